# make demo   install, make a cohort, train with and without mitigation, compare
# make test   install, run the tests
# make lint   install, check style and types
# make coverage   the tests again, with the lines and branches that they reach; fails below the floor in pyproject.toml
# make lowest     the tests of what needs no training, on the lowest versions that pyproject.toml allows (Python 3.11)
# make docs   install, execute the notebooks, build the site into build/site; make notebooks: only the former
# make bench  install, measure speed and memory beside other libraries

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage lowest lint docs notebooks bench clean
# One after another: two networks that train on two cores take each other's time.
.NOTPARALLEL:
# Or make deletes it after use, as a step between.
.PRECIOUS: $(VENV)/.installed-%

demo: $(VENV)/.installed-train
	$(BIN)/fairseg demo --out demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --durations 20

coverage: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

# An environment of its own, beside the other; the packages are those that these tests import. test_ignored needs a MONAI
# whose losses leave out an index themselves.
LOWEST := $(VENV)-lowest
LOWEST_TESTS ?= tests/metrics tests/statistics tests/scoring tests/clinical tests/cohort tests/io tests/cli tests/report \
	tests/samplers tests/crop tests/losses --ignore tests/losses/test_ignored.py

lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable . --requirement constraints-lowest.txt
	$(LOWEST)/bin/python -m pytest -n 2 $(LOWEST_TESTS)

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

NOTEBOOKS := $(patsubst docs/notebooks/%.py,build/notebooks/%.md,$(wildcard docs/notebooks/*.py))

docs: notebooks
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site is in build/site/index.html"

notebooks: $(NOTEBOOKS)

build/notebooks/%.md: docs/notebooks/%.py website/execute.py $(shell find fairseg -name '*.py') | $(VENV)/.installed-docs
	$(BIN)/python website/execute.py $<

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/losses.py
	$(BIN)/python benchmarks/samplers.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/simulations.py
	$(BIN)/python benchmarks/verdicts.py --cohorts 200
	$(BIN)/python benchmarks/gains.py --cohorts 40

clean:
	rm -rf $(VENV) $(LOWEST) build demo

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fairseg needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

# nnU-Net without timm, which would bring a torchvision that not every build of torch has one for: the tests
# have a stub of it, and all else that nnU-Net needs is in the extra. panoptica wants older NumPy and pandas than ours.
$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[test]
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps nnunetv2 dynamic-network-architectures
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps panoptica plotly ruamel.yaml
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .[$*]
	touch $@
