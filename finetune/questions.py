"""Questions with the texts of their products in place of ids, as encoder and reranker learn from them.

Takes `Question` rows and texts by product id; gives numbers of distinct queries and texts. Products of one text are one
product here, and what answers a query once is never a wrong answer to it. Knows no tokeniser.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.examples import Question
from retrieval.models.sequences import Numbers
from retrieval.text import well_formed
from tasteline.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Asked:
    """Those questions whose product has a text. Row i of all arrays is one question."""

    queries: tuple[str, ...]
    """Distinct."""
    documents: tuple[str, ...]
    """Distinct."""
    query_of: Numbers
    positive_of: Numbers
    negatives_of: tuple[Numbers, ...]
    weights: np.ndarray[tuple[int], np.dtype[np.float32]]
    answers: tuple[frozenset[int], ...]
    """For each query all documents that answer it, by any question."""

    @classmethod
    def of(
        cls, questions: Sequence[Question], texts: Mapping[str, str], negatives: int, beside: Sequence[str] = ()
    ) -> Asked:
        """The first `negatives` of each that have a text and are no answer. `beside`: texts of further documents.

        Raises InvalidInput where no question is left.
        """
        told = [each for each in questions if each.query.strip() and texts.get(each.positive, "").strip()]
        if not told:
            raise InvalidInput("no question has words and names a product with a text; import products first")
        queries, documents = _Numbered(), _Numbered()
        query_of = [queries[each.query] for each in told]
        positive_of = [documents[texts[each.positive]] for each in told]
        answers: dict[int, set[int]] = defaultdict(set)
        for query, positive in zip(query_of, positive_of, strict=True):
            answers[query].add(positive)
        # Others that answer it matter where they are something to somebody here, and would be in the way elsewhere.
        ids = {key for each in told for key in (each.positive, *each.negatives)}
        here = {texts[key] for key in ids if texts.get(key, "").strip()} | set(beside)
        for query, each in zip(query_of, told, strict=True):
            answers[query].update(documents[texts[key]] for key in each.answers if texts.get(key) in here)
        wrong = []
        for query, each in zip(query_of, told, strict=True):
            named = [documents[texts[product]] for product in each.negatives if texts.get(product, "").strip()]
            fresh = [row for row in dict.fromkeys(named) if row not in answers[query]]
            wrong.append(np.array(fresh[:negatives], dtype=np.int64))
        for text in beside:
            documents.note(text)
        return cls(
            tuple(queries.names),
            tuple(documents.names),
            np.array(query_of, dtype=np.int64),
            np.array(positive_of, dtype=np.int64),
            tuple(wrong),
            np.array([each.weight for each in told], dtype=np.float32),
            tuple(frozenset(answers[row]) for row in range(len(queries.names))),
        )

    def __len__(self) -> int:
        return len(self.query_of)

    def as_bytes(self) -> Iterator[bytes]:
        """All of it, for a fingerprint."""
        for text in (*self.queries, *self.documents):
            yield text.encode() + b"\0"
        for numbers in (self.query_of, self.positive_of, *self.negatives_of):
            yield numbers.tobytes() + b"\0"
        yield self.weights.tobytes()


class _Numbered:
    """Texts by the order in which they come up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, text: str) -> int:
        return self._numbers.setdefault(well_formed(text), len(self._numbers))

    def note(self, text: str) -> None:
        """Known from now on."""
        self[text]

    @property
    def names(self) -> list[str]:
        return list(self._numbers)
