"""Results on disk: a JSON file that says where its numbers come from, and the README's tables made out of them.

Takes the mapping of a report, adds commit, versions and machine, writes one file; reads such files back as Markdown.
A result without a commit is not written: nobody could tell what code it measured. Knows nothing of tasks and metrics
beyond the shapes `{"systems": {name: {metric: value}}}` and `{"ratios": {name: value}}`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import cast

from tasteline.errors import InvalidInput, NotFound, SetupError

DISTRIBUTION = "tasteline"
RESULTS_FOLDER = "eval/results"
OURS = "tasteline"
REQUIRED = ("settings", "seed", "checksum")
"""What a report must say of itself; null where there is no randomness or no data set."""

_MARKED = re.compile(r"(<!-- result:(?P<name>[\w.-]+) -->\n)(?P<table>.*?)(<!-- /result -->)", re.DOTALL)
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


def markdown_table(result: Mapping[str, object]) -> str:
    """The result as a Markdown table with a line of provenance under it; ours in bold, intervals in brackets.

    >>> systems = {"bm25": {"ndcg@10": 0.5}, "tasteline": {"ndcg@10": 0.75}}
    >>> print(markdown_table({"systems": systems, "commit": "c0ffee"}))
    | | ndcg@10 |
    |---|---|
    | bm25 | .500 |
    | **tasteline** | **.750** |
    <BLANKLINE>
    commit c0ffee
    """
    if "systems" in result:
        lines = _systems_table(result)
    elif "ratios" in result:
        lines = _ratios_table(result)
    else:
        raise InvalidInput("a result has `systems` or `ratios`; this one has " + ", ".join(result))
    return "\n".join([*lines, "", _provenance(result)])


def render_readme_tables(readme_text: str, results_folder: Path) -> str:
    """`readme_text` with what stands between `<!-- result:NAME -->` and `<!-- /result -->` made anew.

    Raises NotFound for a NAME without a file.
    """

    def render(match: re.Match[str]) -> str:
        table = markdown_table(read_result(results_folder, match["name"]))
        return f"{match[1]}{table}\n{match[4]}"

    return _MARKED.sub(render, readme_text)


def stale_tables(readme_text: str, results_folder: Path) -> list[str]:
    """Names of the marked tables that differ from their result files; empty when the text is up to date."""
    return [
        match["name"]
        for match in _MARKED.finditer(readme_text)
        if render_readme_tables(match[0], results_folder) != match[0]
    ]


def _systems_table(result: Mapping[str, object]) -> list[str]:
    systems = cast(Mapping[str, Mapping[str, float | None]], result["systems"])
    intervals = cast(Mapping[str, Mapping[str, list[float | None]]], result.get("intervals", {}))
    metrics = list(dict.fromkeys(metric for values in systems.values() for metric in values))
    lines = [f"| | {' | '.join(metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for name, values in systems.items():
        cells = [_cell(values.get(metric), intervals.get(name, {}).get(metric)) for metric in metrics]
        lines.append(_row([name, *cells], bold=name == OURS))
    return lines


def _ratios_table(result: Mapping[str, object]) -> list[str]:
    ratios = cast(Mapping[str, float | None], result["ratios"])
    return [
        "| | ratio, above 1 is ours |",
        "|---|---|",
        *(f"| {name} | {'–' if value is None else f'{value:.2f}'} |" for name, value in ratios.items()),
    ]


def _row(cells: list[str], *, bold: bool) -> str:
    return "| " + " | ".join(f"**{cell}**" if bold else cell for cell in cells) + " |"


def _cell(value: float | None, interval: list[float | None] | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if interval is None or None in interval:
        return _three_digits(value)
    return f"{_three_digits(value)} ({'–'.join(_three_digits(bound) for bound in interval if bound is not None)})"


def _three_digits(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.3f}"


def _provenance(result: Mapping[str, object]) -> str:
    commit = str(result.get("commit", "unknown"))[:12] + (" with changes" if result.get("dirty") else "")
    parts = [str(result[key]) for key in ("dataset", "protocol") if key in result]
    if "intervals" in result:
        parts.append("95 % bootstrap intervals in brackets")
    return "; ".join([*parts, f"commit {commit}"])


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
