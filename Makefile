# One word per need; `make` alone lists them. Everything is installed into .venv, nothing outside the tree
# (`make real-components`, and `make test` in CI, install Debian packages).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := uv==0.13.9
SOURCES := agent tracker registry_proxy builder tests shoal.py shoal_launch.py

# Hash-checked and repeatable: no user configuration of pip takes part in what is installed.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-fast bench bench-faults bench-tracker bench-agreement bench-picture simulate simulate-tables simulate-policies check format docs-check lock real-components clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## everything that is pinned, into .venv

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed (make PYTHON=python3.12 ...)")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $@

demo: $(STAMP)  ## the main job on this machine (IMAGE=reference, JSON=file)
	$(BIN)/python -m tests.demo $(if $(IMAGE),--image $(IMAGE)) $(if $(JSON),--json $(JSON))

up: $(STAMP)  ## a single node as a mirror on 127.0.0.1:5050
	$(BIN)/shoal up

test: $(STAMP)  ## every test, with real engines where they are installed (in CI they are installed first)
	@tests/real-components.sh prepare
	$(BIN)/python -m pytest $(PYTEST)

test-fast: $(STAMP)  ## what needs neither root nor real components: under 30 seconds
	$(BIN)/python -m pytest -q -m 'not real and not slow' -n auto $(PYTEST)

bench: $(STAMP)  ## the data plane and a cluster of real agents on slow links, 15 minutes (FULL=1: everything, hours; JSON=file RESUME=1; root)
	$(BIN)/python -m tests.bench $(if $(FULL),--full) $(if $(JSON),--json $(JSON)) $(if $(RESUME),--resume)

bench-faults: $(STAMP)  ## what faults cost while nodes pull (JSON=file; root)
	$(BIN)/python -m tests.bench.faults $(if $(JSON),--json $(JSON))

bench-tracker: $(STAMP)  ## what a tracker bears: 10,000 nodes in 20 swarms each, on one core
	$(BIN)/python -m tests.bench.tracker_load

bench-agreement: $(STAMP)  ## three rollouts of real agents on slow links, and the same simulated (root)
	$(BIN)/python -m tests.bench.agreement

bench-picture: $(STAMP)  ## draw docs/cluster.png from what `make bench JSON=file` wrote (JSON=file)
	@test -n "$(JSON)" || { echo "JSON=file is missing: what make bench JSON=file wrote"; exit 2; }
	$(BIN)/python -m tests.bench.cluster_chart $(JSON) docs/cluster.png

simulate: $(STAMP)  ## how long a rollout takes, simulated (NODES= SIZE= UPLINK= REGISTRY= ZONES= CHUNKS= SCENARIO= JSON=1 PICTURES=)
	@$(BIN)/shoal simulate $(if $(NODES),--nodes $(NODES)) $(if $(SIZE),--size $(SIZE)) $(if $(UPLINK),--uplink $(UPLINK)) \
	  $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(ZONES),--zones $(ZONES)) $(if $(CHUNKS),--chunks $(CHUNKS)) \
	  $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(JSON),--json) $(if $(PICTURES),--pictures $(PICTURES))

simulate-tables: $(STAMP)  ## the tables of docs/simulation.md, 15 minutes (ONLY=bound|scenario|zones; MOST_NODES=10000: half an hour more)
	@$(BIN)/python -m tests.bench.rollouts $(if $(ONLY),--only $(ONLY)) $(if $(MOST_NODES),--most-nodes $(MOST_NODES))

simulate-policies: $(STAMP)  ## the candidates for each policy in docs/policies.md, a quarter of an hour
	@$(BIN)/python -m tests.bench.policies

check: $(STAMP)  ## format, lint, types, the rules of the house
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)  ## let ruff write the format and mend what it can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs-check: $(STAMP)  ## run the commands of README.md and docs/commands.md
	$(BIN)/python -m tests.docs_check README.md docs/commands.md

lock: $(STAMP)  ## pin and hash the dependencies anew (needs the network)
	$(PIP) install --quiet $(UV)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' -c requirements-dev.lock - -o requirements-build.lock

real-components:  ## install the real engines and registries that tests use (Debian, root)
	tests/real-components.sh install

clean:  ## what was made here: .venv, caches, builds
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
