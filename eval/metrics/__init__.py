"""Metrics over arrays: a NumPy leaf that imports nothing of ours and can be used in any notebook.

`ranking` (nDCG, recall, MAP, …), `beyond` (coverage, novelty, diversity, …) and `forecast` (AUC, log-loss,
calibration) hold the metrics; `named` knows the ranking metrics by name and checks them with textbook loops;
`labels` turns item numbers into the label arrays that ranking metrics take, `topk` and `ties` scores into rankings,
`significance` says what is luck.

From rankings and what people bought, by name, checked on a sample:

>>> import numpy as np
>>> ranked = np.array([[7, 5, 9], [5, 9, 7]])  # item numbers, best first
>>> items, labels = judged_labels([{5: 1.0}, {5: 1.0, 8: 1.0}])
>>> values = measured(measures("ndcg@10", "recall@10", "mrr"), ranked, items, labels)
>>> {name: round(float(np.nanmean(each)), 4) for name, each in values.items()}
{'ndcg@10': 0.622, 'recall@10': 0.75, 'mrr': 0.75}

or one metric over labels:

>>> ranked = np.array([[3.0, 0.0, np.nan]])  # labels at ranks 1, 2, 3; NaN: not judged
>>> judged = np.array([[3.0, 0.0]])          # all judgements of that query
>>> float(ndcg_at_k(ranked, judged, k=3)[0])
1.0
"""

from eval.metrics.beyond import (
    average_popularity,
    catalogue_coverage,
    category_diversity,
    gini,
    novelty,
    personalisation,
    serendipity,
    vector_diversity,
)
from eval.metrics.forecast import at_threshold, auc, brier_score, calibration_error, log_loss, reliability
from eval.metrics.labels import judged_labels, labels_of, over_chunks, padded
from eval.metrics.named import Rule, measured, measures
from eval.metrics.ranking import (
    average_precision_at_k,
    condensed,
    condensed_ndcg_at_k,
    f1_at_k,
    hit_rate_at_k,
    judged_at_k,
    mrr_at_k,
    ndcg_at_k,
    partial_auc_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
)
from eval.metrics.reference import Measure, MetricsDisagree, self_check
from eval.metrics.significance import (
    bootstrap_interval,
    bootstrap_intervals,
    difference_interval,
    holm,
    paired_randomisation_test,
    paired_randomisation_tests,
    relative_gains,
)
from eval.metrics.ties import Ties, ordered_by_score
from eval.metrics.topk import ranks_of, top_k

__all__ = [
    "Measure",
    "MetricsDisagree",
    "Rule",
    "Ties",
    "at_threshold",
    "auc",
    "average_popularity",
    "average_precision_at_k",
    "bootstrap_interval",
    "bootstrap_intervals",
    "brier_score",
    "calibration_error",
    "catalogue_coverage",
    "category_diversity",
    "condensed",
    "condensed_ndcg_at_k",
    "difference_interval",
    "f1_at_k",
    "gini",
    "hit_rate_at_k",
    "holm",
    "judged_at_k",
    "judged_labels",
    "labels_of",
    "log_loss",
    "measured",
    "measures",
    "mrr_at_k",
    "ndcg_at_k",
    "novelty",
    "ordered_by_score",
    "over_chunks",
    "padded",
    "paired_randomisation_test",
    "paired_randomisation_tests",
    "partial_auc_at_k",
    "personalisation",
    "precision_at_k",
    "r_precision",
    "ranks_of",
    "recall_at_k",
    "relative_gains",
    "reliability",
    "self_check",
    "serendipity",
    "top_k",
    "vector_diversity",
]
