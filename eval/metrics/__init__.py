"""Metrics over arrays: a NumPy leaf that imports nothing of ours and can be used in any notebook.

>>> import numpy as np
>>> ranked = np.array([[3.0, 0.0, np.nan]])  # labels at ranks 1, 2, 3; NaN: not judged
>>> judged = np.array([[3.0, 0.0]])          # all judgements of that query
>>> float(ndcg_at_k(ranked, judged, k=3)[0])
1.0
"""

from eval.metrics.labels import judged_labels, labels_of, padded
from eval.metrics.ranking import (
    condensed_ndcg_at_k,
    judged_at_k,
    mrr_at_k,
    ndcg_at_k,
    recall_at_k,
)
from eval.metrics.significance import bootstrap_interval, holm, paired_randomisation_test

__all__ = [
    "bootstrap_interval",
    "condensed_ndcg_at_k",
    "holm",
    "judged_at_k",
    "judged_labels",
    "labels_of",
    "mrr_at_k",
    "ndcg_at_k",
    "padded",
    "paired_randomisation_test",
    "recall_at_k",
]
