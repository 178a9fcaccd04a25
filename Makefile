# Needs Python 3.10 to 3.13 and takes the newest that answers, with what pip resolves today.
PYTHON ?= $(shell bash .ci/python 3.13 3.12 3)
OUT ?= demo
PY := .venv/bin/python

.PHONY: demo test fuzz lint integration browser installs

demo: .venv/.installed
	$(PY) -m stylus_ops demo --out $(OUT)

test: lint
	OMP_NUM_THREADS=1 $(PY) -m pytest --ignore tests/integration --numprocesses logical --maxprocesses 4 --dist worksteal
	$(PY) -m pytest tests/integration

# Of damaged recordings `make test` reads 300.
fuzz: .venv/.installed
	STYLUS_FUZZ_FILES=5000 $(PY) -m pytest tests/fuzz

lint: .venv/.installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/deptry stylus_ops
	$(PY) -m mypy
	mkdir -p .mypy_cache && ln -sfn .. .mypy_cache/stylus # the nodes are a part of a package, as ComfyUI imports them
	MYPYPATH=.mypy_cache $(PY) -m mypy -p stylus.nodes

# STYLUS_REQUIRE_COMFYUI turns "no ComfyUI found" from a skip into a failure.
integration: .venv/.installed
	STYLUS_REQUIRE_COMFYUI=1 $(PY) -m pytest tests/integration

# Needs a ComfyUI and a Chromium; pictures of what was seen are in browser-screenshots.
browser: .venv/.installed
	$(PY) -m pytest tests/browser

# Fresh virtual environments as users make them: downloads gigabytes.
installs: .venv/.installed
	$(PY) -m pytest tests/installs

.venv/.installed: pyproject.toml requirements.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --editable '.[dev]'
	touch $@
