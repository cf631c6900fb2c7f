# make demo    the whole path on handwritten digits, in a few minutes: data, training, evaluation, prediction, export;
#              TASK=detection or TASK=segmentation for several digits in each image
# make test    the tests of every part, a short form of everything among them
# make test-system   the whole as a user meets it: every block of the documents, the benchmark for GPUs, every task in every
#              format, what takes several processes or a full disk; in one process
# make test-all      both, the export of every model in every format, and the whole rehearsal for a GPU
# make lint    ruff: rules and format
# make types   mypy, strict
# make docs    the documentation site, in build/site; stops at a link that leads nowhere
# make clean   takes the environment and the caches away
#
# The environment is made once, in .venv, with the versions of constraints.txt; PYTHON=... chooses the interpreter.

PYTHON ?=
TASK ?= classification
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

.PHONY: demo test test-system test-all lint types docs clean

demo: $(VENV)/demo.stamp
	@$(BIN)/mobilevit demo --task $(TASK)

# A process for each core, each with one thread: small tensors gain nothing from more. A file of tests stays in one
# process, which shares what it made; in the order of names, so that the long ones are not last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev.stamp
	@$(PYTEST)

test-system: $(VENV)/dev.stamp
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m system

test-all: $(VENV)/dev.stamp
	@$(PYTEST) -m "every_size or not every_size"

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check && $(BIN)/ruff format --check

types: $(VENV)/dev.stamp
	@$(BIN)/mypy

docs: $(VENV)/docs.stamp
	@$(BIN)/mkdocs build --strict

clean:
	@rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The complete environment contains the others, so their stamps are written with its own.
$(VENV)/dev.stamp: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[all$(comma)dev])
	@touch $(VENV)/demo.stamp $(VENV)/docs.stamp $@

$(VENV)/demo.stamp: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[demo])
	@touch $@

$(VENV)/docs.stamp: $(BIN)/pip pyproject.toml constraints.txt
	$(call install,.[docs])
	@touch $@

# Warnings of pip about the machine's own settings are not for our users (-qq); errors still show.
comma := ,
define install
@echo "Installing into $(VENV): a few minutes the first time, most of them PyTorch ..."
@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e "$(1)"
endef

# A directory's time changes whenever something is installed, so the environment is known by its pip.
$(BIN)/pip:
	@for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv $(VENV) && touch $@; exit; \
		fi; \
	done; \
	echo "error: no Python 3.11 or newer was found$(if $(PYTHON), as $(PYTHON));" \
		"install it, or name it: make demo PYTHON=/path/to/python3.11" >&2; exit 1
