"""Two processes that share the examples of each step learn what one process learns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.finetune.lora.test_job import Regression, job, module, weights

CHECKOUT = Path(__file__).parents[4]


def learn(folder: str) -> None:
    """In each process: the weights that it ends with, under its number."""
    model = module(dropout=0.0)
    job(model, Regression(model)).run()
    torch.save(weights(model), Path(folder) / f"{os.environ['RANK']}.pt")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    (tmp_path / "aside.py").write_text(f"from {__name__} import learn\nlearn({str(tmp_path)!r})\n")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launch = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launch, str(tmp_path / "aside.py")], cwd=CHECKOUT, env=environment, check=True, timeout=500)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(first, second)
    alone = module(dropout=0.0)
    job(alone, Regression(alone)).run()
    torch.testing.assert_close(first, weights(alone), atol=1e-5, rtol=1e-4)
