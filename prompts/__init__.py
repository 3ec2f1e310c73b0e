"""What is said and how: templates, their typed inputs, rendering. Text and shapes only: no client, no model.

`facts` is what is known about an answer, `reply` says it in the shop's own words, `wording` asks a language model to.
"""
