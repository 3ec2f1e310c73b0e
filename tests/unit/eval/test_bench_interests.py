"""Both sides of the benchmark of interests over time say the same."""

import pytest

from eval.bench.interests import history, with_pandas
from retrieval.steps import steps_of
from retrieval.topics import Topic
from retrieval.turning import drifts_in, timeline_of

TOPICS = {f"p{number}": Topic(f"topic {number % 4}", f"part {number // 8}") for number in range(16)}


@pytest.mark.parametrize("size", [10, 200])
def test_pandas_gives_the_same_shares(size: int) -> None:
    events = history(list(TOPICS), size)
    ours = timeline_of(steps_of(events), TOPICS)
    theirs = with_pandas(events, TOPICS, [moment.time for moment in ours.moments])
    for line in ours.topics:
        assert theirs["short"][line.topic].to_list() == pytest.approx(line.short_term)
        assert theirs["long"][line.topic].to_list() == pytest.approx(line.long_term)


def test_its_people_turn_in_the_midst_of_the_year() -> None:
    events = history(list(TOPICS), 400)
    (drift,) = drifts_in(steps_of(events), TOPICS)
    assert (drift.before, drift.after) == (("part 0",), ("part 1",))
