# glassnet's two commands, on any machine with Python 3.11 or newer and pip:
#   make demo   sets up, then runs the main job on handwritten digits and writes report-demo.html
#   make test   sets up, then runs all tests
# Set-up happens once (tools/setup.sh) and again when the lock changes; PYTHON=... names the interpreter.

python := .venv/bin/python
# The folder's path is part of the stamp's name: a moved or copied clone sets itself up again.
stamp := .venv/.set-up-$(shell pwd | cksum | cut -d ' ' -f 1)

.PHONY: help demo test lint types format ci clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo "Also: make lint, types, format, ci, clean"

$(stamp): uv.lock pyproject.toml tools/setup.sh
	@PYTHON="$(PYTHON)" sh tools/setup.sh
	@touch "$@"

demo: $(stamp)
	@$(python) -m glassnet demo

test: $(stamp)
	@$(python) -m pytest

lint: $(stamp)
	$(python) -m ruff check
	$(python) -m ruff format --check

types: $(stamp)
	$(python) -m mypy

format: $(stamp)
	$(python) -m ruff check --fix
	$(python) -m ruff format

ci: lint types test

clean:
	rm -rf .venv .bootstrap .pytest_cache .ruff_cache .mypy_cache .hypothesis dist
