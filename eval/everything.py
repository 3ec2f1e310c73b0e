"""`tasteline eval report`: everything that a folder of data sets allows, measured and put on one page.

Takes a folder with one data set in each sub-folder, gives result files beside an HTML page that opens without a server.
What this commit has measured before is not measured again, so that a run that was broken off goes on. Knows the tasks
by what lies in a folder; how a task is measured is the task's own matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from eval import interests, reranking
from eval.data.loading import load
from eval.datasets import JUDGEMENTS_PATTERN, PRODUCTS_FILE
from eval.in_session import run_in_session
from eval.recommending import Asked, ProtocolName, names, run_cold_start, run_next_item
from eval.report.html import write_report
from eval.results import Commit, commit_of, read_result, write_result
from eval.served import Progress, run_search
from eval.transfer import run_transfer
from retrieval.importing.completejourney import NAME as COMPLETEJOURNEY
from retrieval.importing.completejourney import data_folder
from tasteline.errors import InvalidInput, NotFound, TastelineError
from tasteline.settings import Settings

Told = Callable[[str], None]
Report = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Job:
    """One result file."""

    name: str
    run: Callable[[], Report | Mapping[str, Report]]
    parts: tuple[str, ...] = ("",)
    """Ends of the names of its result files, where it makes several."""


def run_everything(
    data: Path,
    out: Path,
    settings: Settings,
    told: Told,
    progress: Progress | None = None,
    *,
    only: str | None = None,
    again: bool = False,
) -> Path:
    """Measure every job of `data` (or those named in `only`), write its JSON beside `out`, then the page. Gives `out`.

    A job that cannot be done here (a rival is not installed, a package is missing) is told and left out. Raises
    NotFound for a folder without data sets, InvalidInput for a name in `only` that is no job of it.
    """
    jobs = list(jobs_of(data, settings, told, progress))
    wanted = set(names(only))
    if unknown := wanted - {job.name for job in jobs}:
        raise InvalidInput(f"{', '.join(sorted(unknown))}: not here; there are {', '.join(job.name for job in jobs)}")
    written = []
    for job in jobs:
        if wanted and job.name not in wanted:
            continue
        told(f"— {job.name}")
        try:
            written.extend(_measured(job, out.parent, again))
        except TastelineError as error:
            told(f"{job.name} is left out: {error}")
    return write_report(written, out)


def jobs_of(data: Path, settings: Settings, told: Told, progress: Progress | None) -> Iterator[Job]:
    """What can be measured on the sub-folders of `data` (or on itself), cheapest first within each."""
    folders = [data, *sorted(path for path in data.glob("*/") if path.is_dir())]
    found = False
    for folder in folders:
        if (folder / PRODUCTS_FILE).is_file() and any(folder.glob(JUDGEMENTS_PATTERN)):
            found = True
            yield from _search_jobs(folder, settings, progress)
        elif _has_histories(folder):
            found = True
            yield from _next_item_jobs(folder, settings, told, progress)
    if not found:
        raise NotFound(f"{data} holds no data set; give a folder with data sets in its sub-folders")
    yield from _household_jobs(settings, told)
    yield Job("bench-eval", lambda: _bench(next(filter(_has_histories, folders), None)))


def _has_histories(folder: Path) -> bool:
    try:
        return len(load(folder).interactions) > 0
    except TastelineError:
        return False


def _search_jobs(folder: Path, settings: Settings, progress: Progress | None) -> Iterator[Job]:
    yield Job(f"search-{folder.name}", lambda: run_search(folder, settings, progress).as_mapping())
    yield Job(
        f"rerank-{folder.name}",
        lambda: reranking.run_rerank(
            Asked(str(folder)), reranking.Rerank(first="bm25", depth=100), settings, _silent, progress
        ),
    )


def _next_item_jobs(folder: Path, settings: Settings, told: Told, progress: Progress | None) -> Iterator[Job]:
    dataset = load(folder)
    protocols: tuple[ProtocolName, ...] = ("leave-one-out", "temporal") if dataset.timed else ("leave-one-out",)
    for protocol in protocols:
        asked = Asked(str(folder), protocol)
        name = folder.name if protocol == "leave-one-out" else f"{folder.name}-{protocol}"

        def next_item(asked: Asked = asked) -> Report:
            return run_next_item(asked, settings, told, progress)

        yield Job(f"next-item-{name}", next_item)
    asked = Asked(str(folder))
    if dataset.timed:
        visits = replace(asked, protocol="session")
        parts = ("", "category") if any(dataset.catalogue.paths) else ("",)
        yield Job(
            f"next-item-{folder.name}-session", lambda: _only(run_in_session(visits, settings, told, progress)), parts
        )
        return  # a short click-stream has newcomers of its own: they are slices of the temporal split
    yield Job(
        f"cold-start-{folder.name}",
        lambda: run_cold_start(asked, settings, told, progress),
        ("", "sentence", "welcome"),
    )
    yield Job(
        f"rerank-{folder.name}",
        lambda: reranking.run_rerank(asked, reranking.Rerank(), settings, told, progress),
    )


def _household_jobs(settings: Settings, told: Told) -> Iterator[Job]:
    try:
        data_folder()
    except TastelineError:
        return
    yield Job("interests", lambda: interests.run(COMPLETEJOURNEY, settings, 0, told), interests.LEVELS)
    households = Asked(COMPLETEJOURNEY, "temporal")
    yield Job(
        f"transfer-{COMPLETEJOURNEY}", lambda: run_transfer(households, None, None, settings, told), ("", "product")
    )


def _only(reports: Mapping[str, Report]) -> Report | Mapping[str, Report]:
    """What a job gives that makes one result."""
    return reports if len(reports) > 1 else reports[""]


def _bench(folder: Path | None) -> Report:
    from eval.bench import evaluation
    from eval.datasets import checksum_of

    checksum = (
        checksum_of([folder / "interactions.csv"]) if folder and (folder / "interactions.csv").is_file() else None
    )
    report = evaluation.run(folder)
    return {**report, "dataset": folder.name if folder else "drawn", "settings": {}, "seed": 0, "checksum": checksum}


def _measured(job: Job, folder: Path, again: bool) -> list[Path]:
    """The job's result files, of this commit; those of a tree with changes are always made anew and say so."""
    files = {part: f"{job.name}-{part}" if part else job.name for part in job.parts}
    commit = commit_of(Path(__file__).parent)
    if not again and commit and not commit.dirty and all(_is_of(commit, folder, name) for name in files.values()):
        return [folder / f"{name}.json" for name in files.values()]
    report = job.run()
    reports = cast(Mapping[str, Report], report if len(files) > 1 else {"": report})
    repository = Path(__file__).parent
    return [
        write_result(reports[part], folder, name, repository=repository, allow_dirty=True)
        for part, name in files.items()
    ]


def _is_of(commit: Commit, folder: Path, name: str) -> bool:
    try:
        known = read_result(folder, name)
    except (InvalidInput, NotFound):
        return False
    return known.get("commit") == commit.sha and not known.get("dirty")


def _silent(name: str) -> None:
    """A task that tells nothing of itself."""
