"""A conversation as the text and the tokens that a chat model reads: its own template, closed against strangers' words.

Takes a transformers tokenizer; serving and training both ask here, so that a model is taught the very bytes that it
will be asked. Knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from retrieval.text import well_formed
from tasteline.types import ChatMessage


class ChatTemplate:
    """Not for two threads at once: a tokenizer keeps its options as state."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._specials = _specials(tokenizer)

    def text(self, messages: Sequence[ChatMessage]) -> str:
        """Up to where the answer begins. A `<|im_end|>` in somebody's text must not end their turn."""
        history = [
            {"role": message.role, "content": self._specials.sub(r"\g<0> ", well_formed(message.content))}
            for message in messages
        ]
        return str(self._tokenizer.apply_chat_template(history, tokenize=False, add_generation_prompt=True))

    def ids(self, text: str) -> list[int]:
        """Of what `text` gave, and of an answer behind it."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _specials(tokenizer: Any) -> re.Pattern[str]:
    """Matches the first character of a special token in a text, behind which it is broken up.

    `<|` is broken wherever it stands, known to this tokenizer or not.
    """
    written = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
    beginnings = ["<|", *sorted(token for token in written if len(token) > 1 and not token.startswith("<|"))]
    return re.compile("|".join(f"{re.escape(text[0])}(?={re.escape(text[1:])})" for text in beginnings))
