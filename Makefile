# wmq: `make setup` once, then `make demo` or `make test`.
.PHONY: help setup toolchain demo test lint clean
.DEFAULT_GOAL := help

BIN := .venv/bin

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Python environment in .venv, and the sBPF toolchain where it can be installed
	@scripts/setup.sh

toolchain:  ## only the Rust to sBPF toolchain (Debian 12 or newer, root)
	@scripts/sbpf.sh install

demo: setup  ## the whole way once; REPLAYS=folder takes your own .slp files
	@$(BIN)/wmq demo $(if $(REPLAYS),--replays "$(REPLAYS)")

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## lint, then every Python and Rust test
	$(BIN)/python -m pytest
	cd onchain && cargo fmt --check
	cd onchain && cargo clippy --all-targets -- -D warnings
	cd onchain && cargo test

clean:  ## remove all that make put into this folder (the toolchain's cache stays)
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis onchain/target
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
