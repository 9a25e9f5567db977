# Every target sets up for itself: .venv from the first suitable PYTHON, with what requirements.lock
# pins and the project itself. It is brought up to date when one of those files has changed.

PYTHON ?= python3 python3.13 python3.12 python3.11 python3.10

# Tests run in this many processes, each with a TensorFlow of its own (up to 3.5 GB).
export TEST_PROCESSES ?= 2

VENV_PYTHON := .venv/bin/python
# What `make test` leaves to `make test-all`.
SLOW := engine or crash or (deploy and integration)
# A process takes whole files, in the order of tests/conftest.py.
PYTEST := $(VENV_PYTHON) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile \
	--no-loadscope-reorder --durations 5
READY := .venv/.ready
# The lock is complete: resolving it again is slow, and more than the pip of Python 3.10 can do.
PIP_INSTALL := $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps

LOCK := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.10 \
	--custom-compile-command 'make lock'
# What an image needs, pinned as in requirements.lock.
LOCK_PART := $(LOCK) --constraint requirements.lock --output-file requirements

# Prints the first of $(PYTHON) that will do, or one line on standard error.
define FIND_PYTHON
without_venv=; \
for python in $(PYTHON); do \
	"$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		2>/dev/null || continue; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null && echo "$$python" && exit; \
	without_venv=$${without_venv:-$$python}; \
done; \
if [ "$$without_venv" ]; then \
	echo "error: $$without_venv lacks the venv module (Debian: apt-get install python3-venv)"; \
else \
	echo "error: Python 3.10 to 3.13 is needed; none of these is: $(PYTHON)"; \
fi >&2; \
exit 1
endef

# Also replaces an environment that was left half-made, or whose interpreter is gone.
define ENSURE_VENV
$(VENV_PYTHON) -m pip --version >/dev/null 2>&1 \
	|| { python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv; }
endef

.DEFAULT_GOAL := help
.PHONY: help demo check test test-all advisories lint crash-test prism-test spark-test flink-test deploy-test \
	image-test lock clean find-python

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  A new .venv is made from the first of $(PYTHON)"
	@echo "  that is Python 3.10 to 3.13; name another with make PYTHON=..."

demo: $(READY) ## Write a sample, prepare it, train on it and ask the model (1 minute)
	@$(VENV_PYTHON) -m charseq demo

check: lint ## Lint, types and the unit tests, between two edits (1 minute)
	$(PYTEST) -m 'unit and not integration'

test: lint ## Lint, types and most tests, before a commit (13 minutes)
	$(PYTEST) -m 'not ($(SLOW))'

# Each part once. What prism-test builds, a test of crash-test runs, too.
test-all: test advisories prism-test crash-test flink-test spark-test deploy-test ## All of it but image-test (65 minutes)

advisories: $(READY) ## Compare the locked versions with known advisories (needs the Internet)
	$(VENV_PYTHON) -m tests.advisories

lint: $(READY) ## ruff and mypy only
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

crash-test: $(READY) ## Other runners and devices, kills, each guarantee broken once (20 minutes)
	$(PYTEST) -m '$(SLOW)'
	$(VENV_PYTHON) -m tests.break_promises
	$(VENV_PYTHON) -m tests.signals --times 4 --rows 5000
	$(VENV_PYTHON) -m tests.crash --times 4
	$(VENV_PYTHON) -m tests.crash_training --times 2 --rows 12000 --only elastic

prism-test: $(READY) ## The same bytes from Beam's Prism (Go; 4 minutes)
	$(VENV_PYTHON) -m tests.engines prism

spark-test: $(READY) ## The same bytes from a Spark cluster on this machine (Java, Maven; 10 minutes)
	$(VENV_PYTHON) -m tests.engines spark

flink-test: $(READY) ## The same bytes from a Flink cluster on this machine (Java, Maven; 5 minutes)
	$(VENV_PYTHON) -m tests.engines flink

deploy-test: $(READY) ## What deploy/ holds, checked by the programs it is for (7 minutes at first)
	$(VENV_PYTHON) -m tests.deploy

image-test: $(READY) ## Build every image and run it (root; buildah, debootstrap, Go; 15 minutes)
	$(VENV_PYTHON) -m tests.image

lock: ## Fit the locks to pyproject.toml (delete them first for the newest of all)
	@$(ENSURE_VENV)
	@$(PIP_INSTALL) 'uv>=0.13,<0.14'
	$(LOCK) --extra pipeline --extra aws --extra gcp --extra trainer --extra onnx --extra server \
		--extra dev \
		--output-file requirements.lock pyproject.toml
	echo setuptools | $(LOCK_PART)/build.lock -
	$(LOCK_PART)/pipeline.lock --extra pipeline --extra aws pyproject.toml
	$(LOCK_PART)/server.lock --extra server --extra aws --extra gcp pyproject.toml
	$(LOCK_PART)/trainer-cpu.lock --extra trainer --extra aws --extra gcp pyproject.toml
	$(LOCK_PART)/trainer-cuda.lock --extra trainer --extra cuda --extra aws --extra gcp \
		pyproject.toml

clean: ## Remove .venv, caches and build output; data and runs stay
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

find-python:
	@$(FIND_PYTHON)

$(READY): requirements.lock pyproject.toml setup.py
	@$(ENSURE_VENV)
	@echo "Installing the locked dependencies into .venv; this takes a few minutes."
	@$(PIP_INSTALL) --use-pep517 --require-hashes --requirement requirements.lock
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@
