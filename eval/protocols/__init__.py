"""Ways of dividing a data set into what is known and what is asked. One function each; a Split says which made it."""
