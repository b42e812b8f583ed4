PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-all lint docs

demo: .venv/installed
	.venv/bin/beliefmatch demo --folder runs/demo --resume

test: .venv/installed-dev
	.venv/bin/pytest -m "not long"

test-all: .venv/installed-dev
	.venv/bin/pytest

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright
	.venv/bin/lint-imports

docs: .venv/installed-dev
	.venv/bin/sphinx-build -W --keep-going -b html docs docs/_build/html
	.venv/bin/sphinx-build -W --keep-going -b doctest -D nb_execution_mode=off docs docs/_build/doctest

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/pip pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@
