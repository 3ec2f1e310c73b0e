"""The sides of `eval.bench.evaluation`: the same tasks with ours, RecTools, ranx and pytrec_eval, a module for each.

A side runs as `python -m eval.bench.rivals.SIDE TASK FOLDER` from the checkout, ours in the project's environment, the
others in that of `make rivals`; so nothing here but `ours` imports anything of ours, and only `turn` is shared.
"""
