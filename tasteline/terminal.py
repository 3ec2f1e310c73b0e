"""How the verbs of the command speak: what goes to standard output and standard error, and how a run ends badly.

For `tasteline.cli` and the modules of its groups. Whatever weighs is imported when it is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from tasteline.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def fail(message: str, code: int) -> NoReturn:
    """One line on standard error, and the exit code."""
    sys.stderr.write(f"tasteline: {message}\n")
    raise SystemExit(code)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def say_json(value: object) -> None:
    """On one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))


def read_settings(**changes: object) -> Settings:
    """From the environment, with what the command's options say instead (None: nothing); ends the run where wrong."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from tasteline.settings import Settings

    try:
        return Settings(**{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        fail(f"setting TASTELINE_{name}: {first['msg']}", 2)
    except SettingsError as error:
        fail(f"settings: {error}; lists are written as JSON, such as TASTELINE_API_KEYS='[\"…\"]'", 2)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; silent where that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar: RichProgress
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield advance
