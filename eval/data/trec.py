"""TREC's files both ways: runs (what a system ranked), qrels (what people judged) and topics (what was asked).

A run and qrels are arrays in memory, ready for `eval.metrics`. Fields are separated by blanks or tabs, lines may end in
CRLF, empty lines are passed over. Ids are text without blanks, so queries that are sentences get numbers in TREC files
and stand in a topics file, one "number<TAB>text" a line (TREC's older topics in SGML are not read).

>>> run = Run.of_lists("mine", {"1": ["b", "a"], "2": []})
>>> qrels = Qrels.of({"1": {"a": 1.0}, "2": {"c": 2.0}})
>>> ranked, judged = labels(run, qrels)
>>> ranked
array([[ nan,   1.],
       [-inf, -inf]])
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NoReturn, TypeVar

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from eval.data.interactions import Codes, Order
from eval.datasets import PRODUCTS_FILE, JudgedSearch, checksum_of
from eval.metrics.labels import Items, labels_of
from eval.metrics.ranking import PAST_THE_END, Labels
from tasteline.errors import InvalidInput, NotFound

Values = NDArray[np.float64]
Follow = Literal["score", "rank"]
Number = TypeVar("Number", bound=np.number)

_RUN_COLUMNS = ("query", "q0", "document", "rank", "score", "tag")
_QRELS_COLUMNS = ("query", "iteration", "document", "rating")
_WORD = re.compile(r"[^ \t\n\v\f\r]+")
_BLANKS = bytes.maketrans(b"\t\v\f\r", b"    ")


@dataclass(frozen=True, slots=True)
class Run:
    """What one system ranked: query i got `items[starts[i]:starts[i + 1]]`, best first."""

    tag: str
    """The name of the system, without blanks."""
    queries: tuple[str, ...]
    """None twice, in order of first appearance."""
    documents: tuple[str, ...]
    """The ids behind `items`, ascending."""
    starts: Order
    items: Codes
    """Places in `documents`, none twice within a query."""
    scores: Values
    ranks: Order
    """As they stand in the file, whatever they count from."""

    @classmethod
    def of(
        cls, tag: str, queries: Sequence[str], documents: Sequence[str], items: Items, scores: ArrayLike | None = None
    ) -> Run:
        """From `items` (queries, k), places in `documents`, best first and -1 past the end; ranks count from 1.

        Documents that are ranked nowhere are left out. Without `scores` (queries, k), rank r gets the score k - r + 1,
        so that every reader keeps the order. With scores that are equal, or equal as float32, trec_eval orders by id:
        see `read_run`.
        """
        values = np.broadcast_to(
            np.arange(items.shape[1], 0, -1) if scores is None else np.asarray(scores), items.shape
        )
        there = items >= 0
        ranked = sorted(
            np.flatnonzero(np.bincount(items[there], minlength=len(documents))).tolist(), key=documents.__getitem__
        )
        place = np.full(len(documents), -1, dtype=np.int32)
        place[ranked] = np.arange(len(ranked), dtype=np.int32)
        return cls(
            tag=tag,
            queries=tuple(queries),
            documents=tuple(documents[each] for each in ranked),
            starts=np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int64),
            items=place[items[there]],
            scores=values[there].astype(np.float64),
            ranks=(np.cumsum(there, axis=1)[there]).astype(np.int64),
        )

    @classmethod
    def of_lists(cls, tag: str, rankings: Mapping[str, Sequence[str]]) -> Run:
        """From document ids for each query, best first; scores as in `of`."""
        documents = sorted({document for ranking in rankings.values() for document in ranking})
        place = {document: number for number, document in enumerate(documents)}
        width = max(map(len, rankings.values()), default=0)
        items = np.full((len(rankings), width), -1, dtype=np.int64)
        for row, ranking in zip(items, rankings.values(), strict=True):
            row[: len(ranking)] = [place[document] for document in ranking]
        return cls.of(tag, list(rankings), documents, items)

    def __len__(self) -> int:
        """How many queries."""
        return len(self.queries)

    def matrix(self, k: int | None = None) -> Items:
        """The first k of each query (all where not given) as (queries, k) places in `documents`, -1 past the end."""
        return _filled(self.starts, self.items, k, -1).astype(np.int64)

    def lists(self) -> dict[str, list[str]]:
        """Document ids for each query, best first."""
        items = [self.documents[each] for each in self.items.tolist()]
        bounds = zip(self.queries, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        return {query: items[first:last] for query, first, last in bounds}


@dataclass(frozen=True, slots=True)
class Qrels:
    """What was judged: query i has `items[starts[i]:starts[i + 1]]` with those `ratings`, in the order of the file."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    """The ids behind `items`, ascending."""
    starts: Order
    items: Codes
    ratings: Values

    @classmethod
    def of(cls, judgements: Mapping[str, Mapping[str, float]]) -> Qrels:
        """From query → document → rating."""
        documents = sorted({document for rated in judgements.values() for document in rated})
        place = {document: number for number, document in enumerate(documents)}
        return cls(
            queries=tuple(judgements),
            documents=tuple(documents),
            starts=np.cumsum([0, *map(len, judgements.values())], dtype=np.int64),
            items=np.array([place[each] for rated in judgements.values() for each in rated], dtype=np.int32),
            ratings=np.array([each for rated in judgements.values() for each in rated.values()], dtype=np.float64),
        )

    def __len__(self) -> int:
        """How many queries."""
        return len(self.queries)

    def as_mapping(self) -> dict[str, dict[str, float]]:
        """Query → document → rating."""
        rated = list(zip((self.documents[each] for each in self.items.tolist()), self.ratings.tolist(), strict=True))
        bounds = zip(self.queries, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        return {query: dict(rated[first:last]) for query, first, last in bounds}


def labels(run: Run, qrels: Qrels, k: int | None = None) -> tuple[Labels, Labels]:
    """The labels of what was ranked (n, k) and of all that was judged (n, m), as the metrics of `eval.metrics` take.

    One row for each query of `qrels`, in its order: a query that the run left out has an empty ranking, as in
    `trec_eval -c`; queries without judgements are passed over.
    """
    numbers = {document: number for number, document in enumerate(qrels.documents)}
    ours = np.array([numbers.get(each, -1) for each in run.documents], dtype=np.int64)
    unjudged = ours < 0
    ours[unjudged] = len(numbers) + np.arange(int(unjudged.sum()))
    rows = {query: row for row, query in enumerate(run.queries)}
    wanted = np.array([rows.get(query, -1) for query in qrels.queries], dtype=np.int64)
    ranked = run.matrix(k)
    ranked = np.where(ranked < 0, -1, ours[ranked]) if len(ours) else ranked
    chosen = np.where(wanted[:, None] < 0, -1, ranked[wanted]) if len(run) else np.full((len(qrels), k or 0), -1)
    items = _filled(qrels.starts, qrels.items, None, -1).astype(np.int64)
    judged = _filled(qrels.starts, qrels.ratings, None, PAST_THE_END)
    return labels_of(chosen, items, judged), judged


def read_run(path: Path, *, follow: Follow = "score") -> Run:
    """Read a run: query, Q0, document, rank, score, tag; the second column is not kept.

    TREC orders by score and ignores the ranks: `follow="score"` does as trec_eval, best score first, scores compared
    as float32 (which is what it keeps of them), equal ones by document id from last to first in order of bytes.
    `follow="rank"` takes the order of the rank column, equal ones as in the file. Either way `scores` and `ranks` are
    kept as they stand. Raises NotFound; InvalidInput with the line for another number of fields, a rank that is no
    whole number, a score that is no number (NaN), a document that is there twice for one query, and a second tag.
    """
    rows = _Rows.read(path, _RUN_COLUMNS)
    ranks = rows.numbers("rank", pl.Int64)
    scores = rows.numbers("score", pl.Float64)
    queries, documents, starts, sorting, items = rows.grouped(
        lambda items: _as_trec_eval(scores, items) if follow == "score" else (ranks,)
    )
    tags = rows.cells["tag"].unique(maintain_order=True)
    if len(tags) > 1:
        rows.refuse(int((rows.cells["tag"] == tags[1]).arg_true()[0]), f"tag {tags[1]!r} after {tags[0]!r}")
    return Run(
        "".join(tags),
        queries,
        documents,
        starts,
        items,
        scores[sorting].astype(np.float64),
        ranks[sorting].astype(np.int64),
    )


def write_run(run: Run, path: Path) -> Path:
    """Write a run; `read_run` gives the same again, with `follow="score"` if its order is that of the scores.

    A query with nothing ranked has no line and is not there afterwards.
    Raises InvalidInput for a tag, query or document that is empty or has a blank in it: number such queries first.
    """
    _require_words(path, "tag", [run.tag] if len(run.items) else [])
    documents = _named(path, "document", run.documents, run.items)
    ranks, scores = pl.Series("rank", run.ranks), pl.Series("score", run.scores)
    fields = (pl.lit("Q0").alias("q0"), documents, ranks, scores, pl.lit(run.tag).alias("tag"))
    return _write(path, run.starts, run.queries, fields)


def read_qrels(path: Path) -> Qrels:
    """Read judgements: query, iteration, document, rating; the second column is not kept.

    Ratings below 0 are kept as they stand. Raises NotFound; InvalidInput with the line for another number of fields, a
    rating that is no number, and a document that is judged twice for one query.
    """
    rows = _Rows.read(path, _QRELS_COLUMNS)
    ratings = rows.numbers("rating", pl.Float64)
    queries, documents, starts, sorting, items = rows.grouped(lambda items: ())
    return Qrels(queries, documents, starts, items, ratings[sorting].astype(np.float64))


def write_qrels(qrels: Qrels, path: Path) -> Path:
    """Write judgements, iteration 0; `read_qrels` gives the same again. A query without judgements has no line.

    Raises InvalidInput for a rating that is no whole number, which trec_eval would cut off, and for an id that is empty
    or has a blank in it.
    """
    if not (np.isfinite(qrels.ratings) & (qrels.ratings == np.floor(qrels.ratings))).all():
        raise InvalidInput(f"{path}: TREC's ratings are whole numbers; scale them first")
    documents = _named(path, "document", qrels.documents, qrels.items)
    ratings = pl.Series("rating", qrels.ratings.astype(np.int64))
    return _write(path, qrels.starts, qrels.queries, (pl.lit("0").alias("iteration"), documents, ratings))


def read_topics(path: Path) -> dict[str, str]:
    """Query id → text from a file with "id<TAB>text" lines. Raises NotFound; InvalidInput for a line that is not one,
    and for an id that is there twice."""
    topics: dict[str, str] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        identity, tab, text = line.removesuffix("\r").partition("\t")
        if not tab or not identity.strip() or not text.strip():
            raise InvalidInput(f"{path}, line {number}: not a query id, a tab and a text")
        if topics.setdefault(identity.strip(), text) != text:
            raise InvalidInput(f"{path}, line {number}: query {identity.strip()} has another text above")
    return topics


def write_topics(topics: Mapping[str, str], path: Path) -> Path:
    """Write "id<TAB>text" lines. Raises InvalidInput for an id with a blank, an empty text or one of several lines."""
    _require_words(path, "query", list(topics))
    for text in topics.values():
        if not text.strip() or "\n" in text or "\r" in text:
            raise InvalidInput(f"{path}: the query {text!r} is not one line of text")
    path.write_text("".join(f"{identity}\t{text}\n" for identity, text in topics.items()), encoding="utf-8", newline="")
    return path


def judged_search(qrels: Path, topics: Path, products: Path) -> JudgedSearch:
    """A search evaluation set out of TREC files and a catalogue (`products.jsonl`, or the folder that has it).

    Queries are the topics that have judgements, in the order of the topics file. Raises NotFound for a missing file;
    InvalidInput for judgements of a query that has no topic, and for two judged topics with one text.
    """
    feed = products / PRODUCTS_FILE if products.is_dir() else products
    if not feed.is_file():
        raise NotFound(f"{feed} does not exist; give the folder with {PRODUCTS_FILE}")
    judged, texts = read_qrels(qrels).as_mapping(), read_topics(topics)
    if missing := [identity for identity in judged if identity not in texts]:
        raise InvalidInput(f"{qrels} judges query {missing[0]}, which {topics} does not have")
    by_text = {texts[identity]: MappingProxyType(judged[identity]) for identity in texts if identity in judged}
    if len(by_text) < len(judged):
        raise InvalidInput(f"{topics}: {len(judged)} judged queries have {len(by_text)} different texts")
    return JudgedSearch(
        name=feed.resolve().parent.name,
        products=feed,
        judgements=(qrels, topics),
        queries=tuple(by_text),
        qrels=MappingProxyType(by_text),
        checksum=checksum_of((feed, qrels, topics)),
    )


def topic_ids(dataset: JudgedSearch) -> dict[str, str]:
    """Query → its number in TREC files, counted from 1 in the order of `dataset.queries`."""
    return {query: str(number) for number, query in enumerate(dataset.queries, start=1)}


def write_judged_search(dataset: JudgedSearch, qrels: Path, topics: Path) -> None:
    """Write the judgements and the numbered queries (`topic_ids`); the products are left where they are.

    Raises InvalidInput as `write_qrels` and `write_topics` do.
    """
    numbers = topic_ids(dataset)
    write_qrels(Qrels.of({numbers[query]: dataset.qrels[query] for query in dataset.queries}), qrels)
    write_topics({number: query for query, number in numbers.items()}, topics)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The lines of a file that are not blank, cut into fields of text."""

    path: Path
    cells: pl.DataFrame

    @classmethod
    def read(cls, path: Path, columns: tuple[str, ...]) -> _Rows:
        if not path.is_file():
            raise NotFound(f"{path} does not exist")
        schema = dict.fromkeys(columns, pl.String)
        data = _evenly_blank(path.read_bytes())
        try:
            cells = pl.read_csv(
                data, separator=" ", has_header=False, quote_char=None, schema=schema, raise_if_empty=False
            )
        except pl.exceptions.PolarsError as error:
            _refuse_ragged(path, columns)
            raise InvalidInput(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
        if cells[columns[-1]].has_nulls():
            _refuse_ragged(path, columns)
        return cls(path, cells)

    def numbers(self, column: str, kind: type[pl.Int64] | type[pl.Float64]) -> NDArray[np.number]:
        """The fields of `column` as numbers. Raises InvalidInput with the line of the first that is none."""
        values = self.cells[column].cast(kind, strict=False)
        wrong = values.is_null() | (values.is_nan() if kind is pl.Float64 else False)
        if wrong.any():
            row = int(wrong.arg_true()[0])
            self.refuse(row, f"{column} is {self.cells[column][row]!r}, not a {'whole ' * (kind is pl.Int64)}number")
        return values.to_numpy()

    def grouped(
        self, keys: Callable[[Codes], tuple[NDArray[np.number], ...]]
    ) -> tuple[tuple[str, ...], tuple[str, ...], Order, Order, Codes]:
        """Queries, documents, where each query starts, the order of the rows that puts its rows together, its items.

        `keys` gives the order within a query from the places in `documents`: ascending, the last key counts most.
        """
        queries = self.cells["query"].unique(maintain_order=True)
        documents = self.cells["document"].unique().sort()  # in order of bytes, as trec_eval compares
        query, item = (
            self.cells[name].cast(pl.Enum(known)).to_physical().to_numpy().astype(np.int32)
            for name, known in (("query", queries), ("document", documents))
        )
        pairs = np.sort(query.astype(np.int64) * len(documents) + item)  # four times as fast as `np.unique`
        if (pairs[1:] == pairs[:-1]).any():
            again = ~self.cells.select(pl.struct("query", "document").is_first_distinct()).to_series()
            row = int(again.arg_true()[0])
            self.refuse(row, f"document {self.cells['document'][row]} is there twice for its query")
        sorting = np.lexsort((*keys(item), query))
        starts = np.concatenate(([0], np.cumsum(np.bincount(query, minlength=len(queries))))).astype(np.int64)
        return tuple(queries), tuple(documents), starts, sorting, item[sorting]

    def refuse(self, row: int, reason: str) -> NoReturn:
        """Raise InvalidInput with the line of this row."""
        lines = (number for number, line in enumerate(_lines(self.path), start=1) if line.split())
        raise InvalidInput(f"{self.path}, line {next(islice(lines, row, None))}: {reason}")


def _evenly_blank(data: bytes) -> bytes:
    """One blank between fields, none around them, no empty lines."""
    data = data.removeprefix(BOM_UTF8).translate(_BLANKS)
    for found, wanted in ((b"  ", b" "), (b" \n", b"\n"), (b"\n ", b"\n"), (b"\n\n", b"\n")):
        while found in data:
            data = data.replace(found, wanted)
    return data.strip()


def _as_trec_eval(scores: NDArray[np.number], items: Codes) -> tuple[NDArray[np.number], ...]:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, for trec_eval too
        return -items, -scores.astype(np.float32)


def _filled(starts: Order, values: NDArray[Number], k: int | None, empty: float) -> NDArray[Number]:
    """The first k values of each part as (parts, k), `empty` past the end."""
    lengths = np.diff(starts)
    width = int(lengths.max(initial=0)) if k is None else k
    result = np.full((len(lengths), width), empty, dtype=values.dtype)
    part = np.repeat(np.arange(len(lengths)), lengths)
    rank = np.arange(len(values)) - np.repeat(starts[:-1], lengths)
    result[part[rank < width], rank[rank < width]] = values[rank < width]
    return result


def _named(path: Path, what: str, names: Sequence[str], places: Codes) -> pl.Series:
    _require_words(path, what, names)
    return pl.Series(what, names, dtype=pl.String).gather(places)


def _require_words(path: Path, what: str, names: Sequence[str]) -> None:
    for name in names:
        if not _WORD.fullmatch(name):
            raise InvalidInput(
                f"{path}: the {what} {name!r} is empty or has a blank in it, which TREC's files cannot say"
            )


def _write(path: Path, starts: Order, queries: Sequence[str], fields: Sequence[pl.Series | pl.Expr]) -> Path:
    rows = np.repeat(np.arange(len(queries), dtype=np.int32), np.diff(starts))
    frame = pl.DataFrame({"query": _named(path, "query", queries, rows)}).with_columns(*fields)
    frame.write_csv(path, separator=" ", include_header=False, quote_style="never")
    return path


def _refuse_ragged(path: Path, columns: tuple[str, ...]) -> None:
    for number, line in enumerate(_lines(path), start=1):
        fields = len(line.split())
        if fields not in (0, len(columns)):
            raise InvalidInput(f"{path}, line {number}: {fields} fields; {' '.join(columns)} are needed")


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().removeprefix(BOM_UTF8).split(b"\n")


def _text(path: Path) -> str:
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8: {error}") from error
