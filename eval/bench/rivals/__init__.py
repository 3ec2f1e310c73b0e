"""The sides of `eval.bench.evaluation` and `eval.bench.recommend`: the same tasks with ours and with other libraries.

A side runs as `python -m eval.bench.rivals.SIDE TASK FOLDER` from the checkout, ours in the project's environment, the
others in that of `make rivals`; so nothing here but `ours…` imports anything of ours, and only `turn` is shared.
"""
