"""When a text turns in circles, which small models do: generation is stopped there, whatever the engine.

Takes the text so far, says yes or no. Knows no engine.
"""

from __future__ import annotations

LOOP_TAIL = 24
"""Characters: when the end of the text was seen twice before, the model turns in circles."""


def turns_in_circles(text: str) -> bool:
    """
    >>> turns_in_circles("It is a good pot. " * 3)
    False
    >>> turns_in_circles("It is a good pot. " * 4)
    True
    """
    tail = text[-LOOP_TAIL:]
    before = text.rfind(tail, 0, len(text) - 1)
    return before >= 0 and text.rfind(tail, 0, before + len(tail) - 1) >= 0
