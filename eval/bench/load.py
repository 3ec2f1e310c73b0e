"""A cheap load generator: so many clients on keep-alive connections, each sending its next request on the last answer.

Takes whole HTTP/1.1 requests as bytes, gives latencies and what it cost itself. It runs in a process of its own
(`load`), the same for every server that is compared, and does no more for an answer than read it: an HTTP client
library spends more on a request than a fast server does. The clients draw from one list in turn, so that requests under
way at the same time differ as long as the list is longer than there are clients. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from time import perf_counter, process_time

HOST = "127.0.0.1"
GRACE_SECONDS = 120.0
"""Beyond the asked time, for a server that hangs."""


class LoadFailed(RuntimeError):
    """The server refused, failed or fell silent: there is no figure to report."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one phase gave. Times in ms are from the first byte sent to the last byte read."""

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    mean_bytes: float
    generator_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def load(port: int, requests: Sequence[bytes], clients: int, seconds: float, first: int = 0) -> Load:
    """Send `requests` from number `first` on, round and round, to a server on loopback; from a process of its own.

    Raises LoadFailed for any answer that is not a 200 and for a server that does not answer at all.
    """
    task = {
        "port": port,
        "requests": [request.decode("latin-1") for request in requests],
        "clients": clients,
        "seconds": seconds,
        "first": first,
    }
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench.load"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + GRACE_SECONDS,
    )
    if done.returncode != 0:
        raise LoadFailed((done.stderr.strip().splitlines() or ["the load generator died"])[-1])
    return Load(**json.loads(done.stdout))


async def generate(port: int, requests: Sequence[bytes], clients: int, seconds: float, first: int = 0) -> Load:
    """The same within this process; an answer under way when the time is over is waited for and counted."""
    start = first % len(requests)
    turns = cycle([*requests[start:], *requests[:start]])
    latencies: list[float] = []
    sizes: list[int] = []
    began, cpu = perf_counter(), process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(port, turns, began + seconds, latencies, sizes))
    elapsed = perf_counter() - began
    ranked = sorted(latencies)
    return Load(
        requests=len(ranked),
        seconds=elapsed,
        p50_ms=1000 * ranked[len(ranked) // 2],
        p95_ms=1000 * ranked[int(0.95 * len(ranked))],
        mean_bytes=sum(sizes) / len(sizes),
        generator_cpu_seconds=process_time() - cpu,
    )


async def _client(port: int, turns: Iterator[bytes], until: float, latencies: list[float], sizes: list[int]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        while True:
            sent = perf_counter()
            writer.write(next(turns))
            sizes.append(await _read_answer(reader))
            answered = perf_counter()
            latencies.append(answered - sent)
            if answered >= until:
                return
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> int:
    """Reads one answer to its end; the length of its body. Raises LoadFailed unless it is a 200 with a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    if status.split(b" ", 2)[1] != b"200":
        raise LoadFailed(f"the server answered {status.decode('latin-1')!r}")
    for field in fields:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return len(await reader.readexactly(int(value)))
    raise LoadFailed("the server answered without a content-length")


def get(path: str) -> bytes:
    """A GET request for `path`, which is percent-encoded already."""
    return f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\n\r\n".encode("latin-1")


def post_json(path: str, body: object) -> bytes:
    """A POST request with `body` as JSON."""
    content = json.dumps(body).encode()
    fields = f"host: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    return f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode("latin-1") + content


def _main() -> None:
    task = json.load(sys.stdin)
    requests = [request.encode("latin-1") for request in task.pop("requests")]
    sys.stdout.write(json.dumps(asdict(asyncio.run(generate(requests=requests, **task)))))


if __name__ == "__main__":
    _main()
