"""Keeps one command and all that it starts: none of it outlives this process or the one that holds its standard input.

Run as a file by any Python: `python keeper.py COMMAND…`. SIGTERM, SIGINT and the end of standard input (whoever started
this is gone, even by SIGKILL) end the command's process group: SIGTERM first, SIGKILL after GRACE_SECONDS. The exit
code is the command's. Needs nothing beyond the standard library and knows nothing of what it keeps.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

GRACE_SECONDS = 15.0


def keep(command: Sequence[str]) -> int:
    """Returns when the command has ended and nothing of its process group is left."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    ending = threading.Event()

    def end(*_: object) -> None:
        if not ending.is_set():
            ending.set()
            threading.Thread(target=_end, args=(child,), daemon=True).start()

    def watch_owner() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        end()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=watch_owner, daemon=True).start()
    code = child.wait()
    _signal_group(child.pid, signal.SIGKILL)  # a server that crashed leaves its workers behind
    return 128 - code if code < 0 else code


def _end(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    raise SystemExit(keep(sys.argv[1:]))
