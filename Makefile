# The command surface. Every target sets up what it needs.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
RUST_SOURCES := $(shell find rust_core -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
CORE := $(VENV)/.built
ENVIRONMENT := $(VENV)/.locked
# Otherwise every process of the suite and the benches compiles all that it imports afresh: torch
# and JAX took 9 s of processor time instead of 4.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test bench bench-smoke performance sanitize lint docs env build lock clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(ENVIRONMENT) ## create the environment from the lock file
$(ENVIRONMENT): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Install Python 3.11 or newer first."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) found. Set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet 'uv==0.13.8'
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@touch $@

build: $(CORE) ## compile the core into the package
$(CORE): $(ENVIRONMENT) $(RUST_SOURCES) pyproject.toml
	@command -v cargo >/dev/null || \
		{ echo "Install a Rust toolchain (1.89 or newer, https://rustup.rs) first."; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" MATURIN_PEP517_ARGS=--locked $(BIN)/uv pip install --quiet \
		--python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: build ## the weekly nested-CV job on the embedded simulated market
	$(BIN)/fastpanel simulation --simulation-config examples/weekly_nested_cv/demo.yml

test: build ## the whole test suite
	cargo test --workspace --exclude rust_core --release --quiet
	$(BIN)/python -m pytest -n auto --dist worksteal

bench: build ## every benchmark on one thread and on all cores; saved report, pages and charts
	$(BIN)/python -m benches.run $(ONLY)
	@test -n "$(ONLY)" || $(BIN)/python -m benches.render

bench-smoke: build ## every benchmark at a small size; fails when a ratio falls below its floor
	$(BIN)/python -m benches.run --smoke $(ONLY)

performance: build ## the performance pages and charts from the saved reports
	$(BIN)/python -m benches.render

sanitize: ## the kernel crate's tests under valgrind's memcheck, levels up to AVX2
	cargo test -p fastpanel-kernels --release --quiet --no-run
	valgrind --quiet --error-exitcode=9 $$(ls -t target/release/deps/fastpanel_kernels-* | \
		grep -v '\.d$$' | head -1) --test-threads=1 --skip scoring::tests

lint: build ## formatting, types, layers, Rust lints
	$(BIN)/ruff check python tests benches examples
	$(BIN)/ruff format --check python tests benches examples
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --allowlist <(echo 'fastpanel._core.__all__') fastpanel._core
	PYTHONPATH=python $(BIN)/lint-imports
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

docs: build ## the documentation as HTML in docs/_build
	$(BIN)/python docs/tables.py
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build
	@echo docs/_build/index.html

lock: ## renew the lock file
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--no-header --extra pyro --extra numpyro --extra plots --extra pandas --extra tuning \
		--extra ray --extra mlflow --extra calendars \
		--group dev pyproject.toml -o requirements.lock

clean: ## remove what was built
	rm -rf $(VENV) target python/fastpanel/_core*.so
