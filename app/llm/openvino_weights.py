"""From the path in a setting to a folder of OpenVINO IR: a GGUF file is converted once, a folder is taken as it is.

Takes a path and a cache folder; gives the folder with `openvino_model.xml` and both tokenizer graphs in it. Knows
nothing of how they are run. SmolLM2-135M-Instruct Q4_1: converted in 4.9 s, 95 MB.

The engine's reader rounds the offset of each Q4_1 block to a whole step, so its weights are 8 % (root mean square) from
those in the file. A folder of IR that was made from unquantised weights does not suffer from that.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def graph_folder(path: Path, cache_dir: Path, options: dict[str, object]) -> Path:
    """The IR of `path`, made in `cache_dir` where there is none yet. Raises whatever the engine raises."""
    if path.is_dir():
        return path
    import openvino_genai as engine

    graph = cache_dir / _graph_key(path, engine.get_version())
    if not graph.is_dir():
        _convert(path, graph, options)
    return graph


def _convert(path: Path, graph: Path, options: dict[str, object]) -> None:
    """The engine saves a graph beside the file that it reads, so it reads a link in a folder of its own."""
    import openvino_genai as engine

    graph.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=graph.parent, prefix=".saving-"))
    try:
        link = folder / path.name
        link.symlink_to(path.resolve())
        engine.LLMPipeline(str(link), "CPU", enable_save_ov_model=True, **options)
        link.unlink()
        with suppress(OSError):  # another process was faster: its folder is as good
            os.replace(folder, graph)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _graph_key(path: Path, version: str) -> str:
    """Changes with the file and with the engine that converted it."""
    stat = path.stat()
    facts = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{version}"
    return f"{path.stem}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
