"""Examples in docstrings are run: what they show is what happens."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("tasteline", "retrieval", "prompts", "app", "eval", "finetune")
WITH_EXAMPLES = sorted(
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_examples_show_what_happens(path: Path) -> None:
    module = importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    # `np` is the one name that an example may use without an import.
    found = doctest.DocTestFinder().find(module, extraglobs={"np": np})
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    for example in found:
        runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).attempted
    assert not runner.failures, "".join(said)
