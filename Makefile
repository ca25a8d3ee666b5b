# make help lists the targets. Every target that needs the environment builds it first, once per change of pyproject.toml.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# The version that our engine is tested with. TORCH= (empty) takes whatever fits, TORCH=torch==2.11.0 another.
TORCH ?= torch==2.13.0
DEMO := model=demo_s,demo_m quant=bf16,w4a16

.PHONY: help setup demo test check soak test-engines test-docker test-gpu test-cluster bench ui clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## Build .venv with the runner, the HF engine and the development tools

$(READY): pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo "installing torch and what the runner needs (a minute or two; the first time also the downloads) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check $(TORCH) 2> >(grep -v 'is ignored: it is' >&2)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[hf,scoring,dev]' 2> >(grep -v 'is ignored: it is' >&2)
	@touch $@

demo: $(READY)  ## The main job on the demo models: 2 models x 2 quantisations read 60 documents
	$(PY) -m runner -m $(DEMO)

test: $(READY)  ## Run the tests
	$(PY) -m pytest

check: $(READY)  ## Formatting, lint, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test-engines: $(READY)  ## Real vLLM and SGLang on a CPU, in environments of their own (13 GB), against the HF engine
	$(PY) -m pytest -m engine -n 0 -rA tests

test-docker: $(READY)  ## Engines in containers of a real Docker daemon, started here (Debian: docker.io docker-registry debootstrap; root)
	$(PY) -m pytest -m docker -n 0 -rA tests/engines

soak: $(READY)  ## Kill the runner 50 times at random moments, and a tracking server; 20 minutes at most
	$(PY) -m pytest -m soak -n 0 -rA -s tests

test-gpu: $(READY)  ## Tests that need a CUDA GPU
	$(PY) -m pytest -m gpu -rA tests

test-cluster: $(READY)  ## A sweep on a real Slurm of one node, on Ray, and on MLflow with PostgreSQL (Debian packages, as root)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[joblib,slurm,ray,postgres]' 2> >(grep -v 'is ignored: it is' >&2)
	$(PY) -m pytest -m cluster -n 0 -rA tests/cluster

bench: $(READY)  ## Measure our own costs beside their limits, 20 minutes or more; fails unless all hold
	@$(PY) benchmarks

ui: $(READY)  ## Open the MLflow UI on what was tracked here: http://127.0.0.1:5000
	$(VENV)/bin/mlflow ui --host 127.0.0.1 --port 5000 --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

clean:  ## Remove the environment and caches; results in multirun/, outputs/ and mlflow.db stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
