"""A language model server that speaks OpenAI's protocol badly on demand: a real socket, real bytes.

`mode` may be changed between requests. It counts what was asked and how many clients left before they had their answer,
because an engine that goes on writing for nobody is the shop's money. It lists its models well in every mode but the
dead one: the failures that matter are those of a server that looked alive.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from types import TracebackType

MODEL = "broken-1b"
SPOKEN = "Here is the Family Tent 4-Person for $259.00."


class Mode(StrEnum):
    WELL = "well"
    """`reply`, word by word, a proper end."""
    SILENT = "silent"
    """Takes the request and never says anything."""
    ERROR = "error"
    """500."""
    FULL = "full"
    """429."""
    UNKNOWN = "unknown"
    """404, as for a model that was taken out."""
    GARBAGE = "garbage"
    """Bytes that are no HTTP."""
    NOT_JSON = "not_json"
    """Proper events whose data is no JSON."""
    OTHER_JSON = "other_json"
    """JSON that is no chunk."""
    PAGE = "page"
    """A proxy's HTML page with status 200."""
    CUT = "cut"
    """The connection is reset in mid-sentence."""
    ENDED = "ended"
    """The stream ends in mid-sentence as if that were all."""
    DRIP = "drip"
    """A word a second."""
    ENDLESS = "endless"
    """The same words for ever."""


class BrokenEngine:
    """Started by `with`, on a port of its own in a thread of its own."""

    def __init__(self) -> None:
        self.mode = Mode.WELL
        self.reply = SPOKEN
        self.pause = 0.0
        """Seconds before each word of a good answer."""
        self.asked = 0
        self.running = 0
        self.left = 0
        """Clients that went away before the end of their answer."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broken-engine")
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> "BrokenEngine":
        self._thread.start()
        self.revive()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.die()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def die(self) -> None:
        """As a process that is killed: connections break, new ones are refused."""
        self._wait(self._stop())

    def revive(self) -> None:
        """On the same port as before."""
        self._wait(self._start())

    def _wait(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._one(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
        await reader.readexactly(int(lengths[0]) if lengths else 0)
        if head.startswith("GET"):
            listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "somebody"}]}
            await _send(writer, 200, json.dumps(listed))
            return
        self.asked += 1
        self.running += 1
        answering = asyncio.create_task(self._answer(writer))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.left += 1
        finally:
            self.running -= 1
            answering.cancel()
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        mode = self.mode
        if mode == Mode.SILENT:
            await asyncio.sleep(3600)
        elif mode == Mode.GARBAGE:
            writer.write(b"\x00\xff\xfe SMTP ready \x80\r\n\r\n" * 20)
            await writer.drain()
        elif mode == Mode.PAGE:
            await _send(writer, 200, "<html><body>502 Bad Gateway: $1.00</body></html>", "text/html")
        elif mode in (Mode.ERROR, Mode.FULL, Mode.UNKNOWN):
            status = {Mode.ERROR: 500, Mode.FULL: 429, Mode.UNKNOWN: 404}[mode]
            await _send(writer, status, json.dumps({"error": {"message": "CUDA out of memory", "code": status}}))
        else:
            await self._stream(writer, mode)

    async def _stream(self, writer: asyncio.StreamWriter, mode: Mode) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n"
        )
        words = self.reply.split(" ")
        if mode in (Mode.CUT, Mode.ENDED):
            words = words[: len(words) // 2]
        for number, word in enumerate(words):
            await asyncio.sleep(1.0 if mode == Mode.DRIP else self.pause)
            await _event(
                writer, _chunk(f" {word}" if number else word) if mode != Mode.OTHER_JSON else '{"weather": ["rain"]}'
            )
            if mode == Mode.NOT_JSON:
                await _event(writer, '{"choices": [{"delta": {"content": "It is $1')
        while mode == Mode.ENDLESS:
            await asyncio.sleep(0.001)
            await _event(writer, _chunk("A tent for a tent. "))
        if mode == Mode.CUT:
            writer.transport.abort()
            return
        if mode != Mode.ENDED:
            await _event(writer, _chunk("", "stop"))
            await _event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _chunk(text: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return json.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
    )


async def _event(writer: asyncio.StreamWriter, data: str) -> None:
    body = f"data: {data}\n\n".encode()
    writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
    await writer.drain()


async def _send(writer: asyncio.StreamWriter, status: int, body: str, kind: str = "application/json") -> None:
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
    await writer.drain()
