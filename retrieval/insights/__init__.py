"""What a whole shop is turning to: interests that rise and fall, what follows what, baskets, segments, what to do."""
