"""Runs the command in this process, as a script would see it: what is printed where, and how it ends."""

import json
from pathlib import Path

import pytest

from tasteline import cli


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, object]:
        """The one JSON object that is all of standard output."""
        assert self.out.count("\n") == 1, self.out
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Shell:
    """Runs `tasteline ARGUMENTS…` in this process, with a home of its own."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._capture = capture
        self._patch = patch

    def __call__(self, *arguments: str) -> Outcome:
        self._patch.setattr("sys.argv", ["tasteline", *arguments])
        self._capture.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        printed = self._capture.readouterr()
        assert isinstance(code, int)
        return Outcome(code, printed.out, printed.err)


def failed(outcome: Outcome, code: int) -> str:
    """Ended with `code`, printed nothing, and said one clear line."""
    assert (outcome.code, outcome.out) == (code, "")
    [line] = outcome.err.splitlines()
    assert line.startswith("tasteline: ")
    return line
