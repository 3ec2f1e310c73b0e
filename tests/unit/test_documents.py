"""The documents say what is so: their examples run, links resolve, settings are complete, numbers are measured ones.

A fenced block is run when a comment stands above it: `file: NAME` writes it, `run` runs it in the document's folder,
`output` is what the block before must have printed, `served` runs beside the demo shop (`served: problem` where the
service is meant to refuse). All of them with the hashing embedder and templates, so that a run takes seconds.
"""

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import httpx
import pytest
import typer.main
from typer.testing import CliRunner

from eval.results import RESULTS_FOLDER, stale_tables
from tasteline.cli import app as command_line
from tasteline.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
RUNNABLE = ("README.md", "docs/api.md", "docs/feeds.md", "docs/evaluation.md", "docs/offers.md")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TOUR = ("tasteline/types.py", "tasteline/ports.py", "app/agent/pipeline.py", "app/bootstrap.py")
PUBLISHED = "http://127.0.0.1:8080"
QUICK = {"TASTELINE_EMBEDDER": "hashing", "TASTELINE_LANGUAGE_MODEL": "none"}
NOT_MEASURED = "Not measured yet."

_BLOCK = re.compile(
    r"<!-- (?P<kind>file|run|served|output)(?:: (?P<argument>[^\n]+))? -->\n```(?P<language>\w+)\n(?P<text>.*?)```\n",
    re.DOTALL,
)
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_CODE = re.compile(r"`([^`\n]+)`")
_SOURCE = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|md|toml|jinja|html|js|css)\b")
_MARKED = re.compile(r"<!-- result:(([\w.-]+)[^>\n]*) -->\n(.*?)\n<!-- /result -->", re.DOTALL)
_SETTING = re.compile(r"^\| `TASTELINE_(\w+)` \| (?:`([^`]*)`)? ?\|", re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w./-])tasteline (?!tasteline )([a-z][a-z-]*(?: [a-z-]+)*)")


@dataclass(frozen=True)
class Step:
    kind: str
    argument: str
    language: str
    text: str


def steps_of(document: str) -> list[Step]:
    found = _BLOCK.finditer((ROOT / document).read_text())
    return [Step(m["kind"], m["argument"] or "", m["language"], m["text"]) for m in found]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASTELINE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return kept | QUICK | {"PATH": path} | more


def run(step: Step, folder: Path) -> str:
    command = [sys.executable, "-c"] if step.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    done = subprocess.run(
        [*command, step.text], cwd=folder, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{step.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_here(step: Step) -> str:
    """In this process where the block is `tasteline` commands alone: starting Python takes longer than an import."""
    lines = [shlex.split(line) for line in step.text.splitlines()]
    if any(words[0] != "tasteline" for words in lines):
        return run(step, Path.cwd())
    results = [CliRunner().invoke(command_line, words[1:], catch_exceptions=False) for words in lines]
    assert all(result.exit_code == 0 for result in results), [result.output for result in results]
    return "".join(result.stdout for result in results)


@pytest.mark.parametrize("document", RUNNABLE)
def test_examples_run_as_written(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TASTELINE_")]:
        monkeypatch.delenv(name)
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    printed = ""
    for step in steps_of(document):
        if step.kind == "file":
            (tmp_path / step.argument).write_text(step.text)
        elif step.kind == "run":
            printed = run_here(step)
            assert printed
        elif step.kind == "output":
            assert printed == step.text


@dataclass(frozen=True)
class Demo:
    url: str
    folder: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`tasteline demo`, as a reader of the README has it running."""
    folder = tmp_path_factory.mktemp("demo")
    log = folder / "demo.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasteline.cli", "demo", "--no-browser", "--port", "0"],
            cwd=folder,
            env=environment(TASTELINE_HOME="var"),
            stderr=stderr,
        )
    try:
        yield Demo(_ready_url(log, process), folder)
    finally:
        process.terminate()
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def _ready_url(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if opened := re.search(r"opens at (\S+)/\n", log.read_text()):
            try:
                httpx.get(f"{opened[1]}/health/ready", timeout=60).raise_for_status()
            except httpx.TransportError:
                pass
            else:
                return opened[1]
        time.sleep(0.1)
    pytest.fail(f"the demo did not start: {log.read_text()}")


@pytest.mark.parametrize("document", RUNNABLE)
def test_examples_beside_the_demo_shop(document: str, demo: Demo) -> None:
    for step in steps_of(document):
        if step.kind != "served":
            continue
        here = Step(step.kind, step.argument, step.language, step.text.replace(PUBLISHED, demo.url))
        printed = run(here, demo.folder)
        assert printed
        assert ("urn:tasteline:" in printed) == (step.argument == "problem"), printed


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_file_names_resolve(document: Path) -> None:
    text = _FENCED.sub("", document.read_text())
    for link in _LINK.finditer(text):
        target = (document.parent / link["target"]).resolve() if link["target"] else document
        assert target.exists(), f"{document.name} links to {link['target']}"
        if link["anchor"]:
            assert link["anchor"] in anchors_of(target), f"{target.name} has no heading #{link['anchor']}"
    for source in (name for code in _CODE.findall(text) for name in _SOURCE.findall(code)):
        assert (ROOT / source).exists(), f"{document.name} names {source}"


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(document: Path) -> None:
    text = document.read_text()
    for words in (said for code in [*_FENCED.findall(text), *_CODE.findall(text)] for said in _COMMAND.findall(code)):
        assert is_command(words.split()), f"{document.name}: tasteline {words}"


def is_command(words: Sequence[str]) -> bool:
    group = typer.main.get_command(command_line)
    for word in words:
        commands = getattr(group, "commands", None)
        if commands is None:
            return True  # the rest are arguments
        if word not in commands:
            return False
        group = commands[word]
    return True


def test_commands_that_do_not_exist_are_found() -> None:
    assert is_command(["import", "feed"])
    assert not is_command(["imprt", "feed"])


def test_the_settings_table_is_complete() -> None:
    documented = {name.lower(): default for name, default in _SETTING.findall(README.read_text())}
    defaults = {name: str(field.default or "") for name, field in Settings.model_fields.items()}
    assert documented == defaults


def test_the_reading_tour_exists() -> None:
    named = re.findall(r"^\d\. \[([^\]]+)\]", README.read_text(), re.MULTILINE)
    assert tuple(named) == TOUR
    assert all((ROOT / name).is_file() for name in TOUR)


def test_the_reading_tour_is_short() -> None:
    """Lines of code; docstrings and comments are what makes them quick to read."""
    assert sum(code_lines((ROOT / name).read_text()) for name in TOUR) <= 500


def code_lines(source: str) -> int:
    texts = [node for node in ast.walk(ast.parse(source)) if is_text(node)]
    quoted = {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}
    lines = enumerate(source.splitlines(), start=1)
    return sum(
        1 for number, line in lines if number not in quoted and line.strip().strip("#") and line.strip()[0] != "#"
    )


def is_text(node: ast.AST) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if "<!-- result:" in path.read_text()], ids=str)
def test_numbers_are_the_measured_ones(document: Path) -> None:
    """Where a result file exists its table must stand in the document; where none does, nothing may be claimed."""
    results = ROOT / RESULTS_FOLDER
    for mark, name, table in _MARKED.findall(document.read_text()):
        if not (results / f"{name}.json").is_file():
            assert table == NOT_MEASURED, f"{name} has no file in {RESULTS_FOLDER}"
        else:
            block = f"<!-- result:{mark} -->\n{table}\n<!-- /result -->"
            assert not stale_tables(block, results), f"{name} has a newer result: render the tables of {document.name}"


def test_the_readme_has_measured_numbers() -> None:
    assert _MARKED.search(README.read_text())
