"""Training of a response model: logistic regression with a penalty on large weights, the campaigns being few.

Takes features of cases and whether each responded, gives a `ResponseModel`, which serving computes without this
library. Knows nothing of campaigns or of how cases are divided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.offers.response import Features, ResponseModel
from tasteline.errors import InvalidInput

ITERATIONS = 2_000


def fit_response(
    names: Sequence[str], features: Features, responded: NDArray[np.bool_], freedom: float, learned_from: str = ""
) -> ResponseModel:
    """`freedom` is the inverse of the penalty on squared weights: smaller holds weights nearer to 0.

    Raises InvalidInput where nobody responded, or everybody.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if not 0 < responded.sum() < len(responded):
        raise InvalidInput(f"{int(responded.sum())} of {len(responded)} cases responded: nothing to tell apart")
    scaling = StandardScaler().fit(features)
    fitted = LogisticRegression(C=freedom, max_iter=ITERATIONS).fit(scaling.transform(features), responded)
    return ResponseModel(
        tuple(names),
        tuple(scaling.mean_.tolist()),
        tuple(scaling.scale_.tolist()),
        tuple(fitted.coef_[0].tolist()),
        float(fitted.intercept_[0]),
        learned_from,
    )
