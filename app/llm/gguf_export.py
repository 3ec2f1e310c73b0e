"""Merged weights as a GGUF file, which the OpenVINO engine reads.

Takes the folder of a merged causal language model (safetensors) and the GGUF file of its base; gives a GGUF file with
the base's tokenizer, template and figures and the new weights. A LoRA adapter laid on the engine's graph of the base
loads and changes nothing, hence this way. PyTorch is not loaded.

Matrices are kept in 8 bits (Q8_0), the rest as it is: rounded by .4 %, where the Q4_1 of the embedded model is off by
8 % in this engine (`openvino_weights`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tasteline.errors import SetupError

_TIED: Final = {"output.weight": "token_embd.weight"}
"""Of a model whose last matrix is its first one, the file has only the first."""
_BLOCK = 32
"""Numbers that share one scale in Q8_0: a row must be a multiple of it."""

Floats = NDArray[np.float32]


def write_gguf(merged: Path, base: Path, target: Path) -> None:
    """All or nothing. Raises SetupError where `merged` is no model of the base's shape."""
    from gguf import GGUFReader, GGUFWriter

    like = GGUFReader(base)
    architecture = str(_value(like, "general.architecture"))
    weights = dict(_weights(merged, architecture, like))
    missing = {tensor.name for tensor in like.tensors} - weights.keys()
    if missing:
        raise _no_match(merged, base, f"{len(missing)} tensors are missing, such as {min(missing)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, writing = tempfile.mkstemp(dir=target.parent, prefix=".writing-", suffix=".gguf")
    os.close(handle)
    try:
        writer = GGUFWriter(writing, architecture)
        _copy_figures(like, writer)
        for tensor in like.tensors:
            wanted = tuple(int(length) for length in reversed(tensor.shape))
            if weights[tensor.name].shape != wanted:
                raise _no_match(merged, base, f"{tensor.name} is {weights[tensor.name].shape} and not {wanted}")
            _add(writer, tensor.name, weights[tensor.name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        Path(writing).chmod(0o644)
        os.replace(writing, target)
    finally:
        Path(writing).unlink(missing_ok=True)


def _weights(merged: Path, architecture: str, like: Any) -> Iterator[tuple[str, Floats]]:
    """By the names that a GGUF file has for them, as that format lays them out."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    names = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
    known = get_tensor_name_map(names[architecture], int(_value(like, f"{architecture}.block_count")))
    heads = int(_value(like, f"{architecture}.attention.head_count"))
    heads_of = {"attn_q": heads, "attn_k": int(_value(like, f"{architecture}.attention.head_count_kv") or heads)}
    present = {tensor.name for tensor in like.tensors}
    for name, tensor in _tensors(merged):
        ours = known.get_name(name, try_suffixes=(".weight", ".bias"))
        if ours is None:
            raise SetupError(f"{merged} has a tensor {name}, unknown to {architecture}.", remedy="tasteline train llm")
        if ours in _TIED and ours not in present:
            continue
        part = ours.split(".")[-2]
        values = _floats(tensor)
        # In this family the format has the two halves of each head's rotation side by side.
        yield ours, _interleaved(values, heads_of[part]) if architecture == "llama" and part in heads_of else values


def _tensors(merged: Path) -> Iterator[tuple[str, Any]]:
    from gguf.utility import SafetensorsLocal

    files = sorted(merged.glob("*.safetensors"))
    if not files:
        raise SetupError(f"There are no weights (*.safetensors) in {merged}.", remedy="tasteline train llm")
    for file in files:
        yield from SafetensorsLocal(file).tensors.items()


def _floats(tensor: Any) -> Floats:
    raw = tensor.mmap_bytes()
    if tensor.dtype == "BF16":
        values = (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = raw.view({"F32": np.float32, "F16": np.float16}[tensor.dtype]).astype(np.float32)
    return np.asarray(values, dtype=np.float32).reshape(tensor.shape)


def _interleaved(values: Floats, heads: int) -> Floats:
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _add(writer: Any, name: str, values: Floats) -> None:
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType.F32
    if values.ndim > 1:
        even = values.shape[-1] % _BLOCK == 0
        kind = GGMLQuantizationType.Q8_0 if even else GGMLQuantizationType.F16
    writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)


def _copy_figures(like: Any, writer: Any) -> None:
    from gguf import GGUFValueType, LlamaFileType

    for name, figure in like.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":  # the writer's own
            continue
        value = figure.contents()
        if name == "general.file_type":
            value = int(LlamaFileType.MOSTLY_Q8_0)
        kind = figure.types[0]
        writer.add_key_value(name, value, kind, figure.types[-1] if kind == GGUFValueType.ARRAY else None)


def _value(like: Any, name: str) -> Any:
    figure = like.get_field(name)
    return figure.contents() if figure is not None else None


def _no_match(merged: Path, base: Path, what: str) -> SetupError:
    return SetupError(f"{merged} is not made from {base.name}: {what}.", remedy="tasteline train llm")
