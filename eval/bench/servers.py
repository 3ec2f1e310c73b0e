"""Servers under measurement: each a process of its own on a free port, ready when it is handed over, ended after."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from eval.bench.load import HOST, LoadFailed
from tasteline.settings import Settings

START_SECONDS = 180.0
"""The first start of an embedder converts it."""


@contextmanager
def service(settings: Settings, **environment: str) -> Iterator[tuple[int, psutil.Process]]:
    """Our whole service over `settings.home`; further settings as environment variables."""
    variables = {"TASTELINE_HOME": str(settings.home.resolve()), **environment}
    command = ["-m", "tasteline.cli", "serve", "--port", "{port}"]
    with server("tasteline", command, variables, "/health/ready", settings.home) as started:
        yield started


@contextmanager
def server(
    name: str, command: list[str], environment: dict[str, str], path: str, folder: Path
) -> Iterator[tuple[int, psutil.Process]]:
    """(port, process) of a Python program that listens on the port put for `{port}`; its log is a file in `folder`."""
    port = _free_port()
    arguments = [part.format(port=port) for part in command]
    log_path = folder / f"{name}.log"
    with log_path.open("w") as log:
        started = subprocess.Popen(
            [sys.executable, *arguments], env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_ready(name, started, port, path, log_path)
            yield port, psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(timeout=30)


def _wait_until_ready(name: str, started: subprocess.Popen[bytes], port: int, path: str, log_path: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if started.poll() is not None:
            break
        try:
            with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise LoadFailed(f"{name} did not start; its log is {log_path}")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
