"""The Jinja2 environment of all prompts and replies: strict about missing values, no escaping (plain text)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

TEMPLATES = Path(__file__).parent / "templates"


@cache
def template(name: str) -> Template:
    """A file of `templates/`; its version is part of the name, and a change of meaning makes a new version."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # plain text: the page puts it into text nodes
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def rotation(turn: int) -> Callable[..., str]:
    """`one_of` of the templates: the phrasing whose turn it is."""

    def one_of(*phrasings: str) -> str:
        return phrasings[turn % len(phrasings)]

    return one_of
