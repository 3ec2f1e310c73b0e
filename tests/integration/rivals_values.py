"""Run by the Python of `.venv-rivals`: what other libraries make of FOLDER/cases.json, written to FOLDER/values.json.

Knows nothing of ours. Writes {library: {measure: {case: value}}}; a case that a library leaves out is missing.
"""

import json
import sys
import warnings
from pathlib import Path

import ir_measures
import numpy as np
import pandas as pd
import pytrec_eval
import ranx
from ir_measures import AP, RR, Judged, P, R, Rprec, SetP, Success, nDCG
from rectools import Columns
from rectools import metrics as rectools

CUTS = (1, 3, 10)
LEVELS = (1, 2)
GAINS = {2: 3, 3: 7}  # 2^label - 1 for labels to 3; trec_eval itself has linear gains only


def of_pytrec_eval(run, qrels):
    cuts = ",".join(map(str, CUTS))
    families = {f"{name}.{cuts}" for name in ("ndcg_cut", "map_cut", "P", "recall", "success")}
    values = {}
    for level in LEVELS:
        evaluator = pytrec_eval.RelevanceEvaluator(
            qrels, families | {"ndcg", "map", "recip_rank", "Rprec", "set_P"}, relevance_level=level
        )
        for query, measured in evaluator.evaluate(run).items():
            for measure, value in measured.items():
                values.setdefault(f"{measure} l{level}", {})[query] = value
    return values


def of_ir_measures(run, qrels):
    measures = [SetP, RR, RR(judged_only=True)]
    for k in CUTS:
        measures += [nDCG @ k, nDCG(judged_only=True) @ k, AP(judged_only=True) @ k, P(judged_only=True) @ k]
        for level in LEVELS:
            measures += [each(rel=level) @ k for each in (AP, P, R, RR, Success)]
    measures += [Rprec(rel=level) for level in LEVELS]
    # Asked together with these, nDCG without gains takes theirs or not, as the hashes of the process fall (0.4.3).
    with_gains = [each @ k for k in CUTS for each in (nDCG(gains=GAINS), nDCG(gains=GAINS, judged_only=True))]
    shown = {query: ranked for query, ranked in run.items() if ranked}  # Judged divides by zero on an empty list
    values = {}
    for found in (
        *ir_measures.iter_calc(measures, qrels, run),
        *ir_measures.iter_calc(with_gains, qrels, run),
        *ir_measures.iter_calc([Judged @ k for k in CUTS], qrels, shown),
    ):
        values.setdefault(str(found.measure), {})[found.query_id] = found.value
    return values


def of_ranx(run, qrels):
    """ranx takes no empty lists, and its order among ties is not documented: only full lists, told apart by score."""
    run = {query: {doc: float(len(run[query]) - rank) for rank, doc in enumerate(run[query])} for query in run}
    both = [query for query in run if run[query] and qrels[query]]
    names = [f"{name}@{k}" for k in CUTS for name in ("ndcg", "ndcg_burges", "map", "mrr", "precision", "recall")]
    names += [f"{name}@{k}" for k in CUTS for name in ("hit_rate", "f1")] + ["r-precision"]
    answers = ranx.Run({query: run[query] for query in both})
    ranx.evaluate(ranx.Qrels({query: qrels[query] for query in both}), answers, names)
    return {name: {query: float(value) for query, value in answers.scores[name].items()} for name in names}


def of_rectools(people):
    reco = pd.DataFrame(
        [(user, item, rank) for user, items in people["rankings"].items() for rank, item in enumerate(items, 1)],
        columns=[Columns.User, Columns.Item, Columns.Rank],
    )
    pairs = [Columns.User, Columns.Item]
    interactions = pd.DataFrame([(u, i) for u, items in people["bought"].items() for i in items], columns=pairs)
    before = pd.DataFrame(people["before"], columns=pairs)
    catalogue = range(people["items"])
    categories = pd.DataFrame({"category": people["categories"]}, index=pd.Index(catalogue, name=Columns.Item))
    distance = rectools.PairwiseHammingDistanceCalculator(categories)
    values, whole = {}, {}
    for k in CUTS:
        for name, metric in {
            "Precision": rectools.Precision(k),
            "RPrecision": rectools.Precision(k, r_precision=True),
            "Recall": rectools.Recall(k),
            "HitRate": rectools.HitRate(k),
            "F1Beta": rectools.F1Beta(k),
            "F1Beta2": rectools.F1Beta(k, beta=2.0),
            "MAP": rectools.MAP(k),
            "MAPbyK": rectools.MAP(k, divide_by_k=True),
            "NDCG": rectools.NDCG(k),
            "NDCG3": rectools.NDCG(k, log_base=3),
            "NDCGachievable": rectools.NDCG(k, divide_by_achievable=True),
            "MRR": rectools.MRR(k),
            "PartialAUC": rectools.PartialAUC(k),
            "PAP": rectools.PAP(k),
        }.items():
            values[f"{name}@{k}"] = metric.calc_per_user(reco, interactions)
        values[f"MeanInvUserFreq@{k}"] = rectools.MeanInvUserFreq(k).calc_per_user(reco, before)
        values[f"AvgRecPopularity@{k}"] = rectools.AvgRecPopularity(k).calc_per_user(reco, before)
        normalised = rectools.AvgRecPopularity(k, normalize=True)
        values[f"AvgRecPopularityNormalised@{k}"] = normalised.calc_per_user(reco, before)
        diversity = rectools.IntraListDiversity(k, distance_calculator=distance)
        values[f"IntraListDiversity@{k}"] = diversity.calc_per_user(reco)
        values[f"Serendipity@{k}"] = rectools.Serendipity(k).calc_per_user(reco, interactions, before, catalogue)
        whole[f"CatalogCoverage@{k}"] = {"all": rectools.CatalogCoverage(k, normalize=True).calc(reco, catalogue)}
    return {name: {str(user): float(value) for user, value in each.items()} for name, each in values.items()} | whole


def main(folder):
    cases = json.loads((folder / "cases.json").read_text())
    values = {"rectools": of_rectools(cases["people"])}
    for name in ("graded", "binary"):
        run, qrels = cases[name]["run"], cases[name]["qrels"]
        values[f"pytrec_eval {name}"] = of_pytrec_eval(run, qrels)
        values[f"ir_measures {name}"] = of_ir_measures(run, qrels)
        values[f"ranx {name}"] = of_ranx(run, qrels)
    (folder / "values.json").write_text(json.dumps(values))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    main(Path(sys.argv[1]))
