"""transformers loads one model at a time.

While `from_pretrained` makes a network it changes what all of PyTorch does, in every thread: two loads side by side
leave weights without values (github.com/huggingface/transformers/issues/41782, transformers/pull/44940).
"""

import threading

LOADING = threading.RLock()
"""Held while anything of transformers, sentence-transformers or peft is read into this process."""
