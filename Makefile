# One-liners that people and CI call alike. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo train-demo train-gpu check test test-slow test-gpu test-browser test-adapters bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Benchside needs Python 3.11 or later, $(PYTHON) is `$(PYTHON) -V`; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,train]'
	@touch $@

demo: install
	$(BIN)/benchside run registry units wards --limit 10 \
	  --tasks training/benchside_training/nano/weights/held_out.txt \
	  --policy reference --policy nano --policy constant

train-demo: install
	$(BIN)/python -m benchside_training.nano training/nano.yaml

# the same on a GPU, with 112 million parameters, over all suites that are generated
train-gpu: install
	$(BIN)/python -m benchside_training.nano training/configs/nano-100m.yaml
	$(BIN)/python -m benchside_training.throughput 'runs/nano-100m/**'

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install
	$(BIN)/pytest -m 'not slow and not soak and not gpu and not network and not browser' -n 2 --dist loadfile --durations=40

test-slow: install
	$(BIN)/pytest -m 'slow and not gpu and not network and not browser' -n 2 --dist loadfile --durations=40

# with an accelerator; prints what steps of 7B models take
test-gpu: install
	$(BIN)/pytest -m gpu -s

test-browser: install
	$(BIN)/pytest -m browser

# verifiers and Inspect ask for other versions than [dev] of packages that both need
ADAPTERS := .venv-adapters

$(ADAPTERS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(ADAPTERS)
	$(ADAPTERS)/bin/pip install --quiet --disable-pip-version-check \
	  --editable '.[verifiers,inspect]' pytest pytest-asyncio pytest-timeout
	@touch $@

test-adapters: $(ADAPTERS)/.installed
	$(ADAPTERS)/bin/pytest tests/workbench/serving/test_verifiers_env.py \
	  tests/workbench/serving/test_inspect_suites.py tests/workbench/serving/test_serving_docs.py \
	  -k 'not Gymnasium and not MCP'

bench: install
	$(BIN)/pytest -m 'soak and not gpu and not network and not browser'
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) $(ADAPTERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
