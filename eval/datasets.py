"""Evaluation sets on disk as typed values: what was asked, what people judged, and a checksum of the files.

Takes a folder, gives a frozen dataclass. Products stay in their file: the product import reads them, so that an
evaluation goes the same way as a shop's feed. Knows nothing of systems and metrics.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tasteline.errors import InvalidInput, NotFound

PRODUCTS_FILE = "products.jsonl"
JUDGEMENTS_PATTERN = "judgements*.csv"
JUDGEMENT_COLUMNS = ("query", "product_id", "rating")


@dataclass(frozen=True, slots=True)
class JudgedSearch:
    """Queries with human judgements over one catalogue."""

    name: str
    products: Path
    """The feed, to be read by the product import."""
    judgements: tuple[Path, ...]
    queries: tuple[str, ...]
    """In order of first appearance; those without a relevant product are kept here."""
    qrels: Mapping[str, Mapping[str, float]]
    """query → product id → rating, 0 is not relevant and higher is better; unjudged products are absent."""
    checksum: str
    """SHA-256 over the names and bytes of the feed and the judgement files."""

    def judged_queries(self, rating: float) -> tuple[str, ...]:
        """The queries for which some product was rated `rating` or better."""
        return tuple(query for query in self.queries if max(self.qrels[query].values()) >= rating)


def load_judged_search(folder: Path, judgements: Sequence[str] | None = None) -> JudgedSearch:
    """Read `products.jsonl` + `judgements*.csv` (query, product_id, rating) from `folder`.

    Several judgement files are put together; `judgements` names those to use instead, for example to look at a
    development split only. Raises NotFound where a file is missing, InvalidInput with file and line for a bad row and
    for a product that is rated differently twice for one query.
    """
    products = folder / PRODUCTS_FILE
    files = _judgement_files(folder, judgements)
    for path in (products, *files):
        if not path.is_file():
            raise NotFound(
                f"{path} does not exist; a search evaluation set has {PRODUCTS_FILE} and {JUDGEMENTS_PATTERN}"
            )
    qrels: dict[str, dict[str, float]] = {}
    for path in files:
        for line, query, product_id, rating in _read_judgements(path):
            if qrels.setdefault(query, {}).setdefault(product_id, rating) != rating:
                raise InvalidInput(f"{path}, line {line}: product {product_id} has another rating for {query!r} above")
    return JudgedSearch(
        name=folder.resolve().name,
        products=products,
        judgements=files,
        queries=tuple(qrels),
        qrels=MappingProxyType({query: MappingProxyType(rated) for query, rated in qrels.items()}),
        checksum=checksum_of((products, *files)),
    )


def checksum_of(files: Sequence[Path]) -> str:
    """SHA-256 (hexadecimal) over name and content of each file, in order of name; folders do not matter."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda file: file.name):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _judgement_files(folder: Path, names: Sequence[str] | None) -> tuple[Path, ...]:
    files = tuple(sorted(folder.glob(JUDGEMENTS_PATTERN)) if names is None else [folder / name for name in names])
    if not files:
        raise NotFound(f"{folder} has no {JUDGEMENTS_PATTERN}; give the folder of a search evaluation set")
    return files


def _read_judgements(path: Path) -> Iterator[tuple[int, str, str, float]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not set(JUDGEMENT_COLUMNS) <= set(reader.fieldnames or ()):
            raise InvalidInput(
                f"{path}: the columns are {reader.fieldnames}; {', '.join(JUDGEMENT_COLUMNS)} are needed"
            )
        for row in reader:
            query, product_id = (row["query"] or "").strip(), (row["product_id"] or "").strip()
            rating = _rating(row["rating"])
            if not query or not product_id or rating is None:
                raise InvalidInput(f"{path}, line {reader.line_num}: query, product_id or a finite rating is missing")
            yield reader.line_num, query, product_id, rating


def _rating(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
