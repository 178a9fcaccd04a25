# Needs Python 3.10 to 3.13. The same commands without make are in README.md.
PYTHON ?= python3
OUT ?= demo
PY := .venv/bin/python

.PHONY: demo test lint integration

demo: .venv/.installed
	$(PY) -m stylus_ops demo --out $(OUT)

test: lint
	$(PY) -m pytest

lint: .venv/.installed-dev
	$(PY) -m ruff check .
	$(PY) -m mypy
	mkdir -p .mypy_cache && ln -sfn .. .mypy_cache/stylus # the nodes are a part of a package, as ComfyUI imports them
	MYPYPATH=.mypy_cache $(PY) -m mypy -p stylus.nodes

# STYLUS_REQUIRE_COMFYUI turns "no ComfyUI found" from a skip into a failure.
integration: .venv/.installed-dev
	STYLUS_REQUIRE_COMFYUI=1 $(PY) -m pytest tests/integration

.venv/.installed: requirements.txt constraints.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install -r requirements.txt -c constraints.txt
	touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(PY) -m pip install -r requirements-dev.txt -c constraints.txt
	touch $@
