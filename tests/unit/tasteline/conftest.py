from pathlib import Path

import pytest

from tests.unit.tasteline.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("HOME", str(tmp_path / "home")),
        ("EMBEDDER", "hashing"),
        ("LANGUAGE_MODEL", "none"),
        ("VECTOR_INDEX", "numpy"),
    ):
        monkeypatch.setenv(f"TASTELINE_{name}", value)
    monkeypatch.delenv("TASTELINE_API_KEYS", raising=False)
    return Shell(tmp_path / "home", capsys, monkeypatch)
