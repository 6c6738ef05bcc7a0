# The two commands are `make run` and `make test`; `make help` lists the rest.
#
# Everything is kept in this folder: .venv (Python packages), build (compiler output and stamps), .tools (benchmark
# peers). A step runs again only when what it depends on has changed, so a second run needs seconds and no network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Processes start several times as quickly where Python may keep bytecode.
unexport PYTHONDONTWRITEBYTECODE

MESH ?= examples/bookshop/mesh.yaml
ROW ?= http1-32
BENCH ?=
TARGET ?= all
SECONDS ?= 60
SOAK ?=
FUZZ_INPUTS ?= 1000000
CASES ?= 100000
SEED ?= 1
PYTEST ?=
# Tests of processes mostly wait: several at a time, a file's one after the other.
TEST_JOBS ?= 4
# Of what touches the data plane, which also runs uncompiled.
DATAPLANE_TESTS := $(addprefix tests/,dataplane sidecar e2e fuzz xprotocol_testing test_filter_testing.py)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
JOBS := $(shell nproc 2>/dev/null || echo 2)

# Compiled are the modules of the data plane that have a .pxd (setup.py).
REQUEST_PATH := $(shell find tage/dataplane -name '*.py' -o -name '*.pxd')
# The harness's own, where bench.build finds them.
BENCH_COMPILED := bench/system.pxd $(foreach module,relay rpc/frames rpc/answering rpc/asking,$(wildcard bench/$(module).p*))

.PHONY: help run test lint types layers unit interop h2spec fuzz differential build bench bench-table soak soak-table format clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22
	@echo "  variables: MESH=$(MESH)  ROW=$(ROW)  BENCH='--rounds 3'  SOAK='--seconds 300'  PYTEST='-k name'"

run: $(VENV)/.installed build/.compiled  ## Set everything up and run the example mesh (Ctrl-C ends it)
	@exec $(BIN)/tage up $(MESH)

test: lint types layers unit  ## Set everything up and run every check

build: $(VENV)/.installed build/.compiled  ## Set up and compile, nothing more

# -- checks ------------------------------------------------------------------------------------------------------------

lint: $(VENV)/.installed-dev
	@echo "-- ruff"
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .

types: $(VENV)/.installed-dev
	@echo "-- mypy"
	@$(BIN)/mypy

layers: $(VENV)/.installed-dev
	@echo "-- import-linter"
	@$(BIN)/lint-imports --no-cache --no-logo

# The uncompiled run comes first, so that the last line of all is the summary of the whole suite.
unit: $(VENV)/.installed-dev build/.compiled build/.bench
	@echo "-- pytest, the data plane uncompiled"
	@TAGE_PURE=1 $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile -m "not processes or uncompiled" $(PYTEST) \
		$(if $(filter tests/%,$(PYTEST)),,$(DATAPLANE_TESTS))
	@echo "-- pytest, compiled"
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile $(PYTEST)

interop: $(VENV)/.installed-dev build/.compiled  ## SOFARPC, Dubbo (need a JDK, Maven) and gRPC (Go) through sidecars
	@echo "-- pytest, with the protocols' own clients and servers"
	@$(BIN)/python -m pytest -m interop tests/interop $(PYTEST)

h2spec: $(VENV)/.installed-dev build/.compiled  ## All cases of h2spec against a sidecar (needs Go)
	@echo "-- h2spec"
	@TAGE_H2SPEC=build $(BIN)/python -m pytest -rs tests/e2e/test_h2spec.py $(PYTEST)

fuzz: $(VENV)/.installed-dev build/.compiled  ## Fuzz the parsers: make fuzz [TARGET=http1_request] [SECONDS=60]
	@$(BIN)/python -m fuzz $(TARGET) --seconds $(SECONDS)

differential: $(VENV)/.installed-dev build/.compiled  ## Odd messages through a sidecar: make differential [CASES=100000] [SEED=1]
	@TAGE_DIFFERENTIAL=$(CASES) TAGE_DIFFERENTIAL_SEED=$(SEED) $(BIN)/python -m pytest tests/e2e/smuggling

format: $(VENV)/.installed-dev  ## Format the tree (the data plane keeps its own layout)
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

# -- benchmarks --------------------------------------------------------------------------------------------------------

bench: $(VENV)/.installed-dev build build/.bench  ## Measure one row beside the peers: make bench [ROW=http1-32]
	@scripts/bench-tools
	@$(BIN)/python -m bench $(ROW) $(BENCH)

bench-table: $(VENV)/.installed-dev build build/.bench  ## The same, and write the committed table under bench/results
	@scripts/bench-tools
	@$(BIN)/python -m bench $(ROW) --commit $(BENCH)

build/.bench: $(VENV)/.installed-dev bench/build.py $(BENCH_COMPILED)
	@echo "-- compiling the benchmarks' relay, RPC backend and RPC load"
	@$(BIN)/python -m bench.build >build/bench.log 2>&1 || { cat build/bench.log; exit 1; }
	@touch $@

soak: $(VENV)/.installed-dev build  ## Load while rules change and processes are killed: no request may fail; a million frames a codec
	@$(BIN)/python -m bench.soak $(SOAK)
	@TAGE_GOVERNANCE=8 TAGE_OVERLOAD=1 $(BIN)/python -m pytest tests/e2e/test_governance.py tests/e2e/test_overload.py
	@$(BIN)/python -m fuzz xprotocol --inputs $(FUZZ_INPUTS)

soak-table: build  ## The same, and write the committed table under bench/results
	@$(BIN)/python -m bench.soak --commit $(SOAK)

# -- set-up ------------------------------------------------------------------------------------------------------------

build/python:
	@mkdir -p build
	@scripts/system > $@

$(VENV)/.created: | build/python
	@echo "-- virtual environment ($$(cat build/python))"
	@"$$(cat build/python)" -m venv $(VENV)
	@touch $@

# TAGE_NO_EXTENSIONS: compiling is the next step's work, which knows what has changed.
$(VENV)/.installed: $(VENV)/.created pyproject.toml
	@echo "-- Python packages"
	@scripts/build-requirements | $(PIP) install -r /dev/stdin
	@TAGE_NO_EXTENSIONS=1 $(PIP) install --no-build-isolation -e '.[control]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	@echo "-- Python packages for development"
	@TAGE_NO_EXTENSIONS=1 $(PIP) install --no-build-isolation -e '.[dev]'
	@touch $@

build/.compiled: $(VENV)/.installed setup.py $(REQUEST_PATH)
	@echo "-- compiling the request path"
	@scripts/compile $(BIN)/python $(JOBS)
	@touch $@

clean:  ## Remove all that was built (the virtual environment and the peers too)
	rm -rf build dist .venv .tools tage.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache bench/raw
	find tage bench -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
