# wmq: `make setup` once, then `make demo` or `make test`.
.PHONY: help setup toolchain rollup play demo live check test lint clean
.DEFAULT_GOAL := help

BIN := .venv/bin
# Every process of the tests would compile pytest's and hypothesis's modules again.
unexport PYTHONDONTWRITEBYTECODE
# A process for each core; the tests of a file share one, and those that take longest begin first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadgroup --no-loadscope-reorder

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Python environment in .venv, and the sBPF toolchain where it can be installed
	@scripts/setup.sh

toolchain:  ## only the Rust to sBPF toolchain (Debian 12 or newer, root)
	@scripts/sbpf.sh install

rollup:  ## the real MagicBlock validator and the delegation program, for a rollup on this machine
	@scripts/rollup.sh install

play: setup  ## a world that comes with wmq, in your browser, with keys or a gamepad; until Ctrl-C
	@$(BIN)/wmq play --world melee-small

demo: setup  ## the whole way once; REPLAYS=folder takes your own .slp files
	@$(BIN)/wmq demo $(if $(REPLAYS),--replays "$(REPLAYS)")

live: setup rollup  ## after `make demo`: its world on a rollup of its own, a frame in one transaction and in three
	cd demo && ../$(BIN)/wmq live --frames 3600
	cd demo && ../$(BIN)/wmq export --target solana --overwrite --out export-split --transactions 3
	cd demo && ../$(BIN)/wmq build export-split
	cd demo && ../$(BIN)/wmq live export-split --frames 600

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint  ## lint, and the quick tests, which need nothing but one process of Python
	$(PYTEST) -m fast

test: lint  ## lint, then every Python and Rust test
	$(PYTEST)
	cd onchain && cargo fmt --check
	cd onchain && cargo clippy --locked --all-targets -- -D warnings
	cd onchain && cargo test --locked

clean:  ## remove all that make put into this folder (the toolchain's cache stays)
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis onchain/target
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
