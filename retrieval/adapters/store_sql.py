"""The store on SQL: catalogue, events, conversations and rankings of one shop in one database.

Takes and gives the values of `tasteline.types`; implements every part of the `Store` port. Each method is one
transaction and returns after its commit; streams read page by page, so that a slow reader holds nothing back.
It does not know about indexes, which follow by `changes`, nor about HTTP. Connections, locks and errors are those of
`store_engine`: TransientError (locked: try again), SetupError (damaged or newer), InvalidInput (cannot be stored).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from sqlalchemy import ColumnElement, Connection, Delete, bindparam, case, delete, func, or_, select, update

from retrieval.adapters.store_engine import Database, bulk_insert, insert
from retrieval.adapters.store_rows import (
    EVENT_COLUMNS,
    event_columns,
    event_from,
    product_body,
    product_digest,
    product_from,
    time_from,
    turn_columns,
    turn_from,
)
from retrieval.adapters.store_schema import counters, events, products, ranking_items, rankings, trials, turns
from tasteline.clock import latest_moment
from tasteline.errors import TransientError
from tasteline.ports import Change, Deed, Shown, Written
from tasteline.trials import TrialOutcome
from tasteline.types import Event, EventType, Product, Ranking, Turn

_PAGE = 2000
"""Rows read in one go by the streams: some 2 MB of products."""
_RANKINGS_AT_ONCE = 200
"""Their items are read with them, some ten each."""
_IDS_AT_ONCE = 500
"""Ids in one IN list; far below any database's limit on parameters."""

# Statements are built once: putting one together costs more than running it.
_EVENT = tuple(events.c[name] for name in EVENT_COLUMNS)
_INSERT_EVENT = insert(events).values(dict.fromkeys(EVENT_COLUMNS)).on_conflict_do_nothing(index_elements=["id"])
_LAST_SEQ = select(func.coalesce(func.max(events.c.seq), 0))
_IDS_AFTER = select(events.c.id).where(events.c.seq > bindparam("since"))
_EVENTS_AFTER = (
    select(events.c.seq, *_EVENT).where(events.c.seq > bindparam("since")).order_by(events.c.seq).limit(bindparam("n"))
)
_DEEDS_AFTER = (
    select(*(events.c[name] for name in ("seq", "user_id", "product_id", "type", "time", "position", "session_id")))
    .where(events.c.seq > bindparam("since"), events.c.user_id.is_not(None))
    .order_by(events.c.seq)
    .limit(bindparam("n"))
)
_NEWEST_FIRST = (events.c.time.desc().nulls_last(), events.c.position.desc().nulls_last(), events.c.seq.desc())
_HISTORY = select(*_EVENT).order_by(*_NEWEST_FIRST).limit(bindparam("n"))
_HISTORY_OF_USER = _HISTORY.where(events.c.user_id == bindparam("key"))
_HISTORY_OF_SESSION = _HISTORY.where(events.c.session_id == bindparam("key"))
_CHANGES = (
    select(products.c.revision, products.c.id, products.c.body)
    .where(products.c.revision > bindparam("since"))
    .order_by(products.c.revision)
    .limit(bindparam("n"))
)
_DIGESTS = select(products.c.id, products.c.digest).where(products.c.id.in_(bindparam("ids", expanding=True)))
_NEW_PRODUCT = insert(products)
_UPSERT_PRODUCT = _NEW_PRODUCT.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _NEW_PRODUCT.excluded[name] for name in ("revision", "deleted", "body", "digest")},
)
_COUNTER = select(counters.c.value).where(counters.c.name == bindparam("key"))
_RAISE_COUNTER = (
    update(counters)
    .where(counters.c.name == bindparam("key"))
    .values(value=counters.c.value + bindparam("by"))
    .returning(counters.c.value)
)
_SET_COUNTER = update(counters).where(counters.c.name == bindparam("key")).values(value=bindparam("to"))
_BUSIEST = (
    select(events.c.user_id, func.count())
    .where(events.c.user_id.is_not(None))
    .group_by(events.c.user_id)
    .order_by(func.count().desc(), events.c.user_id)
    .limit(bindparam("n"))
)
_TURNS = (
    select(turns.c.role, turns.c.text, turns.c.product_ids, turns.c.state)
    .where(turns.c.conversation_id == bindparam("key"))
    .order_by(turns.c.position)
)
_NEXT_TURN = select(func.coalesce(func.max(turns.c.position) + 1, 0)).where(
    turns.c.conversation_id == bindparam("key"),
)
_INSERT_TURN = insert(turns)
_KNOWN_RANKINGS = select(rankings.c.id).where(rankings.c.id.in_(bindparam("ids", expanding=True)))
_RANKINGS_AFTER = (
    select(rankings.c.id, rankings.c.user_id)
    .where(rankings.c.id > bindparam("after"))
    .order_by(rankings.c.id)
    .limit(bindparam("n"))
)
_SHOWN = (
    select(ranking_items.c.ranking_id, ranking_items.c.product_id)
    .where(ranking_items.c.ranking_id > bindparam("after"), ranking_items.c.ranking_id <= bindparam("last"))
    .order_by(ranking_items.c.ranking_id, ranking_items.c.position)
)
_INSERT_RANKING = insert(rankings)
_INSERT_RANKING_ITEM = insert(ranking_items)
_INSERT_TRIAL = insert(trials)


def _any_of(*types: EventType) -> ColumnElement[int]:
    """1 where an event of the ranking is of one of these types, else 0."""
    return func.max(case((events.c.type.in_([str(each) for each in types]), 1), else_=0))


_OUTCOMES = (
    select(
        trials.c.ranking_id,
        trials.c.arm,
        trials.c.unit,
        _any_of(EventType.SELECT_ITEM, EventType.VIEW_ITEM),
        _any_of(EventType.ADD_TO_CART),
        _any_of(EventType.PURCHASE),
    )
    .join_from(trials, events, events.c.ranking_id == trials.c.ranking_id, isouter=True)
    .where(trials.c.experiment == bindparam("key"), trials.c.ranking_id > bindparam("after"))
    .group_by(trials.c.ranking_id, trials.c.arm, trials.c.unit)
    .order_by(trials.c.ranking_id)
    .limit(bindparam("n"))
)


class SqlStore:
    """Everything that one shop keeps, in the database at `url`; its schema is brought up to date on opening.

    >>> store = SqlStore("sqlite://")
    >>> store.put_products([Product("p1", "Kettle"), Product("p2", "Mug")])
    Written(accepted=2, repeated=0)
    >>> [change.product_id for change in store.changes(since=1)]
    ['p2']
    >>> store.close()
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        # Only what was cut off is left to do here; whoever is in the way may be doing it.
        with suppress(TransientError):
            self._scrub()

    def close(self) -> None:
        self._database.close()

    # catalogue ---------------------------------------------------------------------------------------------------

    def put_products(self, products: Sequence[Product]) -> Written:
        """Of several products with one id the last counts, the others count as repeated."""
        last = {product.id: product for product in products}
        digests = {id_: product_digest(product) for id_, product in last.items()}
        with self._database.writing() as connection:
            known = _digests(connection, list(last))
            changed = [id_ for id_ in last if known.get(id_) != digests[id_]]
            revisions = _next_revisions(connection, len(changed))
            rows = [
                {
                    "id": id_,
                    "revision": revision,
                    "deleted": False,
                    "body": product_body(last[id_]),
                    "digest": digests[id_],
                }
                for id_, revision in zip(changed, revisions, strict=True)
            ]
            if rows:
                connection.execute(_UPSERT_PRODUCT, rows)
        return Written(accepted=len(changed), repeated=len(products) - len(changed))

    def delete_products(self, ids: Sequence[str]) -> int:
        """How many of them were there."""
        with self._database.writing() as connection:
            known = _digests(connection, list(dict.fromkeys(ids)))
            gone = [id_ for id_, digest in known.items() if digest is not None]
            revisions = _next_revisions(connection, len(gone))
            rows = [
                {"id": id_, "revision": revision, "deleted": True, "body": None, "digest": None}
                for id_, revision in zip(gone, revisions, strict=True)
            ]
            if rows:
                connection.execute(_UPSERT_PRODUCT, rows)
        return len(gone)

    def revision(self) -> int:
        """Of the newest change; 0 for a catalogue that never held anything."""
        return self._counter("revision")

    def changes(self, since: int) -> Iterator[Change]:
        """The last state of each product changed after revision `since`, by rising revision.

        What changes while this is read comes again at its new revision.
        """
        while True:
            with self._database.reading() as connection:
                page = connection.execute(_CHANGES, {"since": since, "n": _PAGE}).all()
            for revision, product_id, body in page:
                yield Change(revision, product_id, None if body is None else product_from(body))
            if len(page) < _PAGE:
                return
            since = page[-1][0]

    # events ------------------------------------------------------------------------------------------------------

    def append_events(self, events: Sequence[Event]) -> Written:
        return self.append_event_groups([events])[0]

    def append_event_groups(self, groups: Sequence[Sequence[Event]]) -> list[Written]:
        """Several submissions in one commit, with the counts of each. Idempotent by `Event.id`.

        An event that is in two of them counts as accepted in the first. None or all are written.
        """
        rows = [event_columns(event) for group in groups for event in group]
        if not rows:
            return [Written(0, 0) for _ in groups]
        with self._database.writing() as connection:
            before = connection.execute(_LAST_SEQ).scalar_one()
            if bulk_insert(connection, _INSERT_EVENT, rows) == len(rows):
                return [Written(len(group), 0) for group in groups]
            # Nobody else writes meanwhile, so what lies after `before` is what this call added.
            new = set(connection.execute(_IDS_AFTER, {"since": before}).scalars())
        return [_take(group, new) for group in groups]

    def history(self, user_id: str | None, session_id: str | None = None, limit: int = 1000) -> list[Event]:
        """The last `limit` events of a person, or of a session where `user_id` is None, oldest first.

        By time, then position, then order of arrival; events without a time count as older than those with one.
        What is dated in the future is left out: it would be the newest for years.
        Empty for somebody unknown.
        """
        if limit <= 0 or (user_id is None and session_id is None):
            return []
        statement, key = (_HISTORY_OF_SESSION, session_id) if user_id is None else (_HISTORY_OF_USER, user_id)
        with self._database.reading() as connection:
            rows = connection.execute(statement, {"key": key, "n": limit}).all()
        latest, found = latest_moment(), [event_from(row) for row in reversed(rows)]
        while found and (found[-1].time or latest) > latest:
            found.pop()
        return found

    def events(self, since: int = 0) -> Iterator[tuple[int, Event]]:
        """(sequence number, event) of all events after `since`, streamed. Numbers rise, with gaps."""
        while True:
            with self._database.reading() as connection:
                page = connection.execute(_EVENTS_AFTER, {"since": since, "n": _PAGE}).all()
            for seq, *columns in page:
                yield seq, event_from(columns)
            if len(page) < _PAGE:
                return
            since = page[-1][0]

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]:
        """As `events`, of people only and as bare rows; some five times as fast."""
        while True:
            with (
                self._database.reading() as connection,
                connection.execute(_DEEDS_AFTER, {"since": since, "n": _PAGE}) as found,
            ):
                page = found.cursor.fetchall()  # the driver's rows: as SQLAlchemy's they cost half as much again
            yield page
            if len(page) < _PAGE:
                return
            since = page[-1][0]

    def erasures(self) -> int:
        return self._counter("erasures")

    # people ------------------------------------------------------------------------------------------------------

    def users(self, limit: int = 20) -> list[tuple[str, int]]:
        with self._database.reading() as connection:
            rows = connection.execute(_BUSIEST, {"n": limit}).all()
        return [(user_id, count) for user_id, count in rows]

    def export_user(self, user_id: str) -> dict[str, list[dict[str, object]]]:
        """All that `erase_user` would remove, ready for JSON; three empty lists for somebody unknown."""
        with self._database.reading(snapshot=True) as connection:
            return {
                "events": _exported_events(connection, user_id),
                "conversations": _exported_conversations(connection, user_id),
                "rankings": _exported_rankings(connection, user_id),
            }

    def erase_user(self, user_id: str) -> int:
        """Removes a person's events, turns and rankings, and their bytes from the file; gives the rows removed.

        Removed is what carries this person's id, and the anonymous turns of the conversations in which they spoke.
        Events of a session that carry no person, or another one, stay: a shared device's session is not proof of who
        it was. Where it is cut off (TransientError, a crash) the rows are gone and the bytes may not be: repeating it
        or opening the store again finishes it.
        """
        with self._database.writing() as connection:
            removed = sum(connection.execute(statement).rowcount for statement in _erasing(user_id))
            if removed:
                connection.execute(_RAISE_COUNTER, {"key": "erasures", "by": 1})
        self._scrub()
        return removed

    # conversations -----------------------------------------------------------------------------------------------

    def append_turns(self, conversation_id: str, user_id: str | None, turns: Sequence[Turn]) -> None:
        if not turns:
            return
        with self._database.writing() as connection:
            first = connection.execute(_NEXT_TURN, {"key": conversation_id}).scalar_one()
            rows = [
                {"conversation_id": conversation_id, "position": position, "user_id": user_id, **turn_columns(turn)}
                for position, turn in enumerate(turns, start=first)
            ]
            connection.execute(_INSERT_TURN, rows)

    def turns(self, conversation_id: str) -> list[Turn]:
        """In the order in which they were said; empty for an unknown conversation."""
        with self._database.reading() as connection:
            return [turn_from(row) for row in connection.execute(_TURNS, {"key": conversation_id})]

    # rankings ----------------------------------------------------------------------------------------------------

    def save_rankings(self, rankings: Sequence[tuple[Ranking, str | None]]) -> None:
        """A ranking that is already there stays as it is."""
        first: dict[str, tuple[Ranking, str | None]] = {}
        for ranking, user_id in rankings:
            first.setdefault(ranking.id, (ranking, user_id))
        if not first:
            return
        with self._database.writing() as connection:
            for known in _known_rankings(connection, list(first)):
                del first[known]
            if heads := [
                {"id": id_, "user_id": user_id, "total": ranking.total} for id_, (ranking, user_id) in first.items()
            ]:
                connection.execute(_INSERT_RANKING, heads)
            if items := [row for ranking, _ in first.values() for row in _item_rows(ranking)]:
                connection.execute(_INSERT_RANKING_ITEM, items)
            if tried := [
                {"ranking_id": id_, "experiment": trial.experiment, "arm": trial.arm, "unit": trial.unit}
                for id_, (ranking, _) in first.items()
                if (trial := ranking.trial) is not None
            ]:
                connection.execute(_INSERT_TRIAL, tried)

    def trial_outcomes(self, experiment: str) -> Iterator[TrialOutcome]:
        after = ""
        while True:
            with self._database.reading() as connection:
                page = connection.execute(_OUTCOMES, {"key": experiment, "after": after, "n": _PAGE}).all()
            for _, arm, unit, *acted in page:
                yield TrialOutcome(arm, unit, *map(bool, acted))
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def rankings(self) -> Iterator[Shown]:
        """By id. What is saved while this is read may be there or not."""
        after = ""
        while True:
            with self._database.reading(snapshot=True) as connection:
                heads = connection.execute(_RANKINGS_AFTER, {"after": after, "n": _RANKINGS_AT_ONCE}).all()
                if not heads:
                    return
                items: dict[str, list[str]] = {ranking_id: [] for ranking_id, _ in heads}
                for ranking_id, product_id in connection.execute(_SHOWN, {"after": after, "last": heads[-1][0]}):
                    items[ranking_id].append(product_id)
            for ranking_id, user_id in heads:
                yield Shown(ranking_id, user_id, tuple(items[ranking_id]))
            after = heads[-1][0]

    def _scrub(self) -> None:
        """Takes the bytes of all erasures so far out of the file, where that is still to be done."""
        erasures = self._counter("erasures")
        if self._counter("scrubs") >= erasures:
            return
        self._database.scrub()
        with self._database.writing() as connection:
            connection.execute(_SET_COUNTER, {"key": "scrubs", "to": erasures})

    def _counter(self, name: str) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(_COUNTER, {"key": name}).scalar_one())


def _digests(connection: Connection, ids: Sequence[str]) -> dict[str, bytes | None]:
    """Of the products that are known; None for a deleted one."""
    known: dict[str, bytes | None] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        rows = connection.execute(_DIGESTS, {"ids": ids[start : start + _IDS_AT_ONCE]})
        known.update((id_, digest) for id_, digest in rows)
    return known


def _known_rankings(connection: Connection, ids: Sequence[str]) -> list[str]:
    return [
        known
        for start in range(0, len(ids), _IDS_AT_ONCE)
        for known in connection.execute(_KNOWN_RANKINGS, {"ids": ids[start : start + _IDS_AT_ONCE]}).scalars()
    ]


def _item_rows(ranking: Ranking) -> list[dict[str, object]]:
    return [
        {"ranking_id": ranking.id, "position": position, "product_id": item.product.id, "score": float(item.score)}
        for position, item in enumerate(ranking.items)
    ]


def _next_revisions(connection: Connection, count: int) -> range:
    """The next `count` revisions, handed out to nobody else."""
    if count == 0:
        return range(0)
    last = connection.execute(_RAISE_COUNTER, {"key": "revision", "by": count}).scalar_one()
    return range(last - count + 1, last + 1)


def _take(group: Sequence[Event], new: set[str]) -> Written:
    """Counts the events of a submission that are new, and takes them out of `new`: only their first mention is."""
    accepted = 0
    for event in group:
        if event.id in new:
            new.discard(event.id)
            accepted += 1
    return Written(accepted=accepted, repeated=len(group) - accepted)


def _erasing(user_id: str) -> tuple[Delete, ...]:
    """In order: turns and items hang on what is removed after them."""
    spoken_in = select(turns.c.conversation_id).where(turns.c.user_id == user_id)
    shown = select(rankings.c.id).where(rankings.c.user_id == user_id)
    return (
        delete(events).where(events.c.user_id == user_id),
        delete(turns).where(
            turns.c.conversation_id.in_(spoken_in),
            or_(turns.c.user_id == user_id, turns.c.user_id.is_(None)),
        ),
        delete(ranking_items).where(ranking_items.c.ranking_id.in_(shown)),
        delete(trials).where(trials.c.ranking_id.in_(shown)),
        delete(rankings).where(rankings.c.user_id == user_id),
    )


def _exported_events(connection: Connection, user_id: str) -> list[dict[str, object]]:
    rows = connection.execute(select(*_EVENT).where(events.c.user_id == user_id).order_by(events.c.seq))
    exported: list[dict[str, object]] = []
    for row in rows:
        event = dict(zip(EVENT_COLUMNS, row, strict=True))
        if event["time"] is not None:
            event["time"] = time_from(event["time"]).isoformat().replace("+00:00", "Z")
        exported.append(event)
    return exported


def _exported_conversations(connection: Connection, user_id: str) -> list[dict[str, object]]:
    spoken_in = select(turns.c.conversation_id).where(turns.c.user_id == user_id)
    rows = connection.execute(
        select(turns.c.conversation_id, turns.c.role, turns.c.text, turns.c.product_ids, turns.c.state)
        .where(turns.c.conversation_id.in_(spoken_in), or_(turns.c.user_id == user_id, turns.c.user_id.is_(None)))
        .order_by(turns.c.conversation_id, turns.c.position)
    )
    said: dict[str, list[dict[str, object]]] = {}
    for conversation_id, *columns in rows:
        turn = turn_from(columns)
        said.setdefault(conversation_id, []).append(
            {"role": turn.role, "text": turn.text, "product_ids": list(turn.product_ids), "state": turn.state}
        )
    return [{"id": conversation_id, "turns": spoken} for conversation_id, spoken in said.items()]


def _exported_rankings(connection: Connection, user_id: str) -> list[dict[str, object]]:
    rows = connection.execute(
        select(
            rankings.c.id,
            rankings.c.total,
            trials.c.experiment,
            trials.c.arm,
            ranking_items.c.product_id,
            ranking_items.c.score,
        )
        .join_from(rankings, ranking_items, isouter=True)
        .join(trials, trials.c.ranking_id == rankings.c.id, isouter=True)
        .where(rankings.c.user_id == user_id)
        .order_by(rankings.c.id, ranking_items.c.position)
    )
    shown: dict[str, dict[str, object]] = {}
    items: dict[str, list[dict[str, object]]] = {}
    for ranking_id, total, experiment, arm, product_id, score in rows:
        tried = {} if experiment is None else {"experiment": experiment, "arm": arm}
        shown.setdefault(ranking_id, {"id": ranking_id, "total": total, **tried})
        found = items.setdefault(ranking_id, [])
        if product_id is not None:
            found.append({"product_id": product_id, "score": score})
    return [{**head, "items": items[ranking_id]} for ranking_id, head in shown.items()]
