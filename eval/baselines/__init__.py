"""The systems that stand in every table beside ours. One file each: a class with `name` and `rank`."""

from eval.baselines.bm25 import Bm25
from eval.baselines.dense import Dense
from eval.baselines.fusion import Fusion

__all__ = ["Bm25", "Dense", "Fusion"]
