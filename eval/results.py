"""Results on disk: a JSON file that says where its numbers come from, and the README's tables made out of them.

Takes the mapping of a report, adds commit, versions and machine, writes one file; reads such files back as Markdown.
A result without a commit is not written: nobody could tell what code it measured. Knows nothing of tasks and metrics
beyond the shapes `{"systems": {name: {metric: value}}}` and `{"ratios": {name: value}}`; `eval.report.tables` makes the
tables.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import cast

from eval.report.reading import OURS
from eval.report.tables import markdown_table, published_table, slices_table
from tasteline.errors import InvalidInput, NotFound, SetupError

DISTRIBUTION = "tasteline"
__all__ = [
    "OURS",
    "Commit",
    "commit_of",
    "machine",
    "markdown_table",
    "package_versions",
    "published_table",
    "read_result",
    "render_documents",
    "render_readme_tables",
    "slices_table",
    "stale_tables",
    "write_result",
]

RESULTS_FOLDER = "eval/results"
REQUIRED = ("settings", "seed", "checksum")
"""What a report must say of itself; null where there is no randomness or no data set."""

_MARKED = re.compile(
    r"(?P<mark><!-- result:(?P<name>[\w.-]+)(?: of (?P<metrics>[^>\n]+?))?(?: by (?P<slice>[^>\n]+?))? -->\n)"
    r"(?P<table>.*?)(?P<end><!-- /result -->)",
    re.DOTALL,
)
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    dirty: bool
    """Whether files other than results differ from the commit."""


def commit_of(repository: Path) -> Commit | None:
    """What is checked out in `repository`; None where there is no git or no commit yet.

    Files under `eval/results` do not make a tree dirty: a second result may be written beside the first.
    """
    sha = _git(repository, "rev-parse", "--verify", "HEAD")
    changes = _git(repository, "status", "--porcelain", "--", ":/", f":(top,exclude){RESULTS_FOLDER}")
    if sha is None or changes is None:
        return None
    return Commit(sha=sha.strip(), dirty=bool(changes.strip()))


def write_result(
    report: Mapping[str, object], folder: Path, name: str, *, repository: Path | None = None, allow_dirty: bool = False
) -> Path:
    """Write `folder/name.json`: the report, then commit, package versions and machine. Gives the path.

    `repository` is the checkout whose code ran (the one that holds `folder` where not given). Raises SetupError
    without a commit, or with uncommitted changes unless `allow_dirty`, which is then written down as `"dirty": true`;
    InvalidInput for a report that leaves out settings, seed or data checksum. NaN and infinities become null.
    """
    missing = [key for key in REQUIRED if key not in report]
    if missing:
        raise InvalidInput(f"{name}: the report does not say {', '.join(missing)}; give null where there is none")
    commit = commit_of(repository or folder)
    if commit is None:
        raise SetupError(f"{name}: no commit says which code gave this result.", remedy="git commit")
    if commit.dirty and not allow_dirty:
        raise SetupError(f"{name}: the working tree differs from commit {commit.sha[:12]}.", remedy="git commit")
    complete = {
        **report,
        "commit": commit.sha,
        "dirty": commit.dirty,
        "versions": package_versions(),
        "machine": machine(),
    }
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".json.part")
    unfinished.write_text(json.dumps(_finite(complete), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    unfinished.replace(path)
    return path


def read_result(folder: Path, name: str) -> Mapping[str, object]:
    """The result called `name`. Raises NotFound where there is none, InvalidInput where it is no JSON object."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise NotFound(f"{path} does not exist; run the evaluation that writes it")
    try:
        result = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(result, dict):
        raise InvalidInput(f"{path} holds no JSON object")
    return result


def package_versions() -> dict[str, str]:
    """Python and every direct dependency that is installed, with its version."""
    versions = {"python": platform.python_version()}
    for requirement in metadata.requires(DISTRIBUTION) or ():
        match = _REQUIREMENT_NAME.match(requirement)
        if match is None:
            continue
        try:
            versions[match.group()] = metadata.version(match.group())
        except metadata.PackageNotFoundError:
            continue  # an extra that this environment does without
    return versions


def machine() -> dict[str, str | int]:
    """What a time depends on: processor, cores that this process may use, memory in MiB. No name of the host."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.machine()}",
    }


def render_readme_tables(readme_text: str, results_folder: Path) -> str:
    """`readme_text` with what stands between `<!-- result:NAME -->` and `<!-- /result -->` made anew.

    `result:NAME of ndcg@10, mrr` shows these metrics only, `result:NAME by history length` (or `of ndcg@10 by …`) one
    metric by slice. Raises NotFound for a NAME without a file and for a slice that the result does not have.
    """

    def render(match: re.Match[str]) -> str:
        result = read_result(results_folder, match["name"])
        metrics = [metric.strip() for metric in (match["metrics"] or "").split(",") if metric.strip()]
        if match["slice"]:
            table = slices_table(result, match["slice"], metrics[0] if metrics else None)
        else:
            table = markdown_table(_only(result, metrics) if metrics else result)
        return f"{match['mark']}{table}\n{match['end']}"

    return _MARKED.sub(render, readme_text)


def _only(result: Mapping[str, object], metrics: Sequence[str]) -> dict[str, object]:
    """The result with these metrics alone."""

    def cut(values: Mapping[str, object]) -> dict[str, object]:
        return {metric: values[metric] for metric in metrics if metric in values}

    def cut_all(key: str) -> dict[str, object]:
        systems = cast(Mapping[str, Mapping[str, object]], result.get(key, {}))
        return {name: cut(values) for name, values in systems.items()}

    published = cast(Sequence[Mapping[str, object]], result.get("published", []))
    rows = [{**row, "values": cut(cast(Mapping[str, object], row["values"]))} for row in published]
    return {**result, "systems": cut_all("systems"), "intervals": cut_all("intervals"), "published": rows}


def stale_tables(readme_text: str, results_folder: Path) -> list[str]:
    """Names of the marked tables that differ from their result files; empty when the text is up to date."""
    return [
        match["name"]
        for match in _MARKED.finditer(readme_text)
        if render_readme_tables(match[0], results_folder) != match[0]
    ]


def render_documents(documents: Sequence[Path], results_folder: Path) -> list[Path]:
    """Make the marked tables of Markdown files anew, in place; gives the files that changed."""
    changed = []
    for document in documents:
        text = document.read_text()
        rendered = render_readme_tables(text, results_folder)
        if rendered != text:
            document.write_text(rendered)
            changed.append(document)
    return changed


def _git(repository: Path, *arguments: str) -> str | None:
    nearest = next((path for path in (repository, *repository.resolve().parents) if path.is_dir()), None)
    try:
        done = subprocess.run(["git", *arguments], cwd=nearest, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
