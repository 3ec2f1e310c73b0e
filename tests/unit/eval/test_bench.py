"""The benchmarks measure what they say: the load generator, the queries, the filters, and a whole run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from eval import demo_shop
from eval.bench import filters, search
from eval.bench.load import LoadFailed, generate, get, load, post_json
from tasteline.settings import Settings
from tasteline.types import Product

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Answers every request after `delay` seconds, and keeps what it was asked and how many were under way at once."""

    def __init__(self, answer: bytes = ANSWER, delay: float = 0.0) -> None:
        self.asked: list[bytes] = []
        self.most_at_once = 0
        self.port = 0
        self._answer = answer
        self._delay = delay
        self._at_once = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(f[15:]) for f in head.lower().split(b"\r\n") if f.startswith(b"content-length:")), 0)
                self.asked.append(head.split(b" ")[1] + b" " + await reader.readexactly(length))
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                await asyncio.sleep(self._delay)
                self._at_once -= 1
                writer.write(self._answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def test_load_is_counted_and_timed() -> None:
    async def measure() -> None:
        async with running(Server(delay=0.01)) as server:
            done = await generate(server.port, [get("/a"), post_json("/b", {"q": 1})], clients=4, seconds=0.2)
        assert done.requests == len(server.asked)
        assert server.most_at_once == 4
        assert 10 <= done.p50_ms <= done.p95_ms
        assert done.seconds >= 0.2
        assert done.per_second == done.requests / done.seconds <= 4 / 0.01
        assert done.mean_bytes == 5
        assert set(server.asked) == {b"/a ", b'/b {"q": 1}'}

    asyncio.run(measure())


def test_clients_share_one_list_and_a_phase_goes_on_where_it_is_told() -> None:
    async def measure() -> None:
        requests = [get(f"/{number}") for number in range(5)]
        async with running(Server(delay=0.005)) as server:
            await generate(server.port, requests, clients=2, seconds=0.05, first=3)
        assert server.asked[:4] == [b"/3 ", b"/4 ", b"/0 ", b"/1 "]

    asyncio.run(measure())


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
)
def test_an_answer_that_is_none_ends_the_measurement(answer: bytes) -> None:
    async def measure() -> None:
        async with running(Server(answer)) as server:
            with pytest.raises(ExceptionGroup) as failure:
                await generate(server.port, [get("/")], clients=2, seconds=0.1)
        assert failure.group_contains(LoadFailed)

    asyncio.run(measure())


def test_from_a_process_of_its_own() -> None:
    async def measure() -> None:
        async with running(Server()) as server:
            done = await asyncio.to_thread(load, server.port, [get("/")], 2, 0.1)
        assert done.requests == len(server.asked) > 0

    asyncio.run(measure())
    with pytest.raises(LoadFailed):
        load(1, [get("/")], clients=1, seconds=0.1)


def test_queries_are_many_and_distinct() -> None:
    queries = search.distinct_queries(demo_shop.products())
    assert len(queries) == len(set(queries)) >= 300
    assert queries == search.distinct_queries(demo_shop.products())


def test_marked_products() -> None:
    marked = filters.marked([Product("a", "A", attributes={"colour": ("red",)}), Product("b", "B")], 2_000)
    assert len({product.id for product in marked}) == 2_000
    kept = {name: sum(name in p.attributes[filters.ATTRIBUTE] for p in marked) for name in filters.SHARES}
    assert kept == {"50%": 1_000, "10%": 200, "1%": 20, "0.1%": 2}
    assert marked[0].attributes["colour"] == ("red",)


def test_recall_counts_ties_as_right_and_misses_as_wrong() -> None:
    exact = np.array([5, 6, 7, 8]), np.array([0.9, 0.8, 0.7, 0.7], dtype=np.float32)

    def of(*rows: int) -> float:
        return filters.recall(np.array(rows), np.ones(len(rows), dtype=np.float32), exact, k=3)

    assert of(5, 6, 7) == of(5, 6, 8) == of(7, 6, 5) == 1.0
    assert of(5, 6, 9) == of(5, 6) == of(5, 6, 6) == pytest.approx(2 / 3)
    assert (
        filters.recall(np.array([1]), np.ones(1, np.float32), (np.zeros(0, np.int64), np.zeros(0, np.float32))) == 1.0
    )


def test_no_filter_costs_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTELINE_EMBEDDER", "hashing")
    result = filters.run(demo_shop.products(), tmp_path, size=3_000, queries=20)
    recalls = {name: value for name, value in result["ratios"].items() if name.startswith("recall")}
    assert recalls == {f"recall@10_{name}": 1.0 for name in filters.SHARES}
    assert [each["kept"] for each in result["raw"]["filtered"].values()] == [1_500, 300, 30, 3]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_search_side_by_side(tmp_path: Path) -> None:
    result = search.run(demo_shop.products()[:300], tmp_path, seconds=1.0, repeats=1)
    assert set(result["ratios"]) == {"search_p50", "search_throughput_32"}
    assert all(ratio > 0 for ratio in result["ratios"].values())
    assert result["raw"]["tasteline"]["memory_mb"] > 0
    again = search._indexed(demo_shop.products()[100:200], Settings(home=tmp_path))
    assert again.shape == (100, 384)  # what the home held before and is not asked for is gone
