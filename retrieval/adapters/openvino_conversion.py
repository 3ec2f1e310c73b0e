"""From the name of a BERT-class model to a folder that OpenVINO runs without PyTorch: made once, kept under a checksum.

Takes a hub id or a folder and the program that converts it (`embedder_conversion`, `reranker_conversion`), which is run
in a process of its own, so that the service never holds PyTorch's memory and its second OpenMP runtime. Knows nothing
of what the model is for.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tasteline.errors import MissingExtra, SetupError

_MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
_CONVERTERS = ("openvino", "torch", "transformers", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class Converter:
    """What makes the folder of one kind of model."""

    what: str
    """For people: "encoder"."""
    module: str
    """Run as `python -m MODULE MODEL_FOLDER OUTPUT_FOLDER`."""
    manifest: str
    """The file that is there once the folder is whole."""
    format: str
    """Raised when the conversion changes what it writes."""
    instead: str
    """The command that goes round a conversion that fails."""
    fetch: str
    """The command that goes round a model that cannot be had."""


@dataclass(frozen=True, slots=True)
class Converted:
    folder: Path
    label: str
    """A short name for people: the hub id, or the last two parts of a folder."""
    checksum: str
    """SHA-256 over all that decides what the model says."""


def converted(model: str, cache_dir: Path, converter: Converter) -> Converted:
    """The converted model, made in `cache_dir` when it is not there yet. Raises SetupError, MissingExtra."""
    source = _model_folder(model, converter)
    label, checksum = label_of(model), _checksum(source, converter)
    target = cache_dir / f"{label}-{checksum[:16]}".replace("/", "--")
    return Converted(_made(source, target, converter), label, checksum)


def label_of(model: str) -> str:
    folder = Path(model)
    return f"{folder.resolve().parent.name}/{folder.resolve().name}" if folder.is_dir() else model


def _model_folder(model: str, converter: Converter) -> Path:
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"]))
    except (OSError, ValueError) as error:  # every error of the hub's client is one of these
        reason = str(error).splitlines()[0]
        message = f"The {converter.what} '{model}' is no folder and could not be fetched: {reason}"
        raise SetupError(message, remedy=converter.fetch) from error


def _checksum(folder: Path, converter: Converter) -> str:
    """Weights, configuration, tokenizer and the versions that convert."""
    digest = hashlib.sha256(converter.format.encode())
    for package in _CONVERTERS:
        digest.update(f"{package}={_version(package)};".encode())
    paths = {path for pattern in _MODEL_FILES for path in (*folder.glob(pattern), *folder.glob(f"[0-9]_*/{pattern}"))}
    for path in sorted(paths):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _made(source: Path, target: Path, converter: Converter) -> Path:
    """A broken-off conversion leaves nothing."""
    if (target / converter.manifest).exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    draft.chmod(0o755)  # made as 0700, but the user who serves may be another than the one who set up
    try:
        _run(source, draft, converter)
        try:
            draft.rename(target)
        except OSError:
            if not (target / converter.manifest).exists():  # else another process was first, with the same result
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _run(source: Path, folder: Path, converter: Converter) -> None:
    command = [sys.executable, "-m", converter.module, str(source.resolve()), str(folder.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    reason = (done.stderr.strip().splitlines() or ["it broke off"])[-1]
    if "ModuleNotFoundError" in reason:
        raise MissingExtra(f"Converting the {converter.what} needs a missing package: {reason}", remedy="make setup")
    message = f"The {converter.what} in '{source}' could not be converted for OpenVINO: {reason}"
    raise SetupError(message, remedy=converter.instead)
