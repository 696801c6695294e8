# make run | test | check | bench are the four words to know; each does all the set-up it needs, once.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := .make
EXT := live777py/_media.abi3.so
CARGO := cargo
MANIFEST := --manifest-path rust/Cargo.toml
RUST_SOURCES := $(shell find rust -name target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print 2>/dev/null)
WEB_SOURCES := $(shell find web -name node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: help run setup ext web test test-rust test-python check bench fuzz soak interop screenshots fmt clean tools-run tools-test tools-interop tools-soak

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup ## build what is missing, then start the gateway (ARGS="-c live777.toml")
	@exec $(BIN)/live777py $(ARGS)

setup: tools-run ext web

tools-run:
	@scripts/tools.sh run

tools-test:
	@scripts/tools.sh test

tools-interop: tools-run tools-test
	@scripts/tools.sh interop

tools-soak: tools-test
	@scripts/tools.sh soak

$(STAMP)/venv:
	@mkdir -p $(STAMP)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip 'maturin>=1.16,<2'
	@touch $@

ext: $(EXT) ## build the media engine into the package
$(EXT): $(STAMP)/venv pyproject.toml $(RUST_SOURCES)
	@echo "building the media engine: some minutes the first time"
	PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet
	@touch $@

web: live777py/webui/index.html ## build the pages into the package
live777py/webui/index.html: $(WEB_SOURCES)
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

$(STAMP)/test: $(STAMP)/venv $(EXT) pyproject.toml
	$(BIN)/pip install --quiet --group test --group check
	@touch $@

test: tools-test setup test-rust test-python ## everything, with real browsers and media programs

test-rust: tools-test $(STAMP)/venv ## the engine alone
	PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(CARGO) test --quiet $(MANIFEST) -p live777-media -p live777-ext

test-python: tools-test setup $(STAMP)/test ## the gateway, with coverage (ARGS="-k whip")
	cd web && npm test --silent
	$(BIN)/python -m tests $(ARGS)

check: setup $(STAMP)/test ## format, lint, types, layers, stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m mypy.stubtest live777py._media
	$(CARGO) fmt $(MANIFEST) --all --check
	$(CARGO) clippy --quiet $(MANIFEST) --workspace --all-targets -- -D warnings
	cd web && npm run --silent check

bench: setup $(STAMP)/test ## speed of this machine: fan-out, sessions, latency
	$(CARGO) build --quiet --release $(MANIFEST) -p live777-bench
	$(CARGO) build --quiet --release $(MANIFEST) -p live777-media --example decision_speed
	$(BIN)/python -m tests.bench

fuzz: $(STAMP)/test ## every parser, a minute each (SECONDS_EACH=60)
	LIVE777_FUZZ_SECONDS=$${SECONDS_EACH:-60} $(CARGO) test --release $(MANIFEST) -p live777-media fuzz
	LIVE777_FUZZ_SECONDS=$${SECONDS_EACH:-60} $(BIN)/pytest -q --timeout 3600 tests/fuzz

soak: tools-soak setup $(STAMP)/test ## the slow suites: a thousand viewers, half an hour of a crowd at 2 % loss (SOAK_MINUTES=30)
	$(BIN)/pytest -m slow --timeout 3600

interop: tools-interop setup $(STAMP)/test ## every client that can be had, and docs/interop.md of it (ARGS="-k Firefox": no table)
	$(if $(ARGS),,LIVE777_INTEROP_TABLE=docs/interop.md) $(BIN)/pytest -m matrix --timeout 600 tests/interop/test_matrix.py $(ARGS)

screenshots: tools-test setup $(STAMP)/test ## take the pictures of docs/images anew
	$(BIN)/python scripts/screenshots.py

fmt: $(STAMP)/test ## rewrite to the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(CARGO) fmt $(MANIFEST) --all
	cd web && npm run --silent format

clean: ## forget all that was built
	rm -rf $(VENV) $(STAMP) rust/target web/node_modules live777py/webui live777py/*.so
