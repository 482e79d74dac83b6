# The tasks of the project. `make help` lists them; `make check` is what a change must pass.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
export PYTHON

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: quickstart
quickstart: ## Set up and run the first program: a team of one agent that uses a tool
	@tools/setup quickstart
	@exec $(BIN)/python examples/quickstart.py

.PHONY: quickstart-distributed
quickstart-distributed: ## Set up and run a team whose agents live in two worker processes
	@tools/setup distributed
	@exec $(BIN)/python examples/quickstart_distributed.py

.PHONY: setup
setup: ## Set up everything for development
	@tools/setup dev

.PHONY: test
test: setup ## Set up and run all tests
	@$(BIN)/pytest

.PHONY: check
check: setup ## Set up and run everything a change must pass, tests last
	@$(BIN)/python tools/check.py

.PHONY: fmt
fmt: setup ## Format the code and fix what lint can fix
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

.PHONY: lint
lint: setup ## Check format and lint
	@$(BIN)/python tools/check.py format lint

.PHONY: types
types: setup ## Check types
	@$(BIN)/python tools/check.py types

.PHONY: layers
layers: setup ## Check who imports whom
	@$(BIN)/python tools/check.py layers

.PHONY: wheels
wheels: setup ## Build the wheels and import them in clean environments
	@$(BIN)/python tools/check.py wheels

.PHONY: names
names: setup ## Compare the public names with the frozen contract
	@$(BIN)/pytest -q python/conformance

.PHONY: docs
docs: setup ## Run every documented block and check every link of the docs
	@$(BIN)/python tools/check.py docs

.PHONY: soak
soak: setup ## Kill, hang and restart workers and server at random under load: make soak SOAK="--minutes 15 --seed 7"
	@AUTOGEN_CHAOS_ROUNDS=50 $(BIN)/pytest -q -s python/ext/tests/runtimes/nats/test_failures.py
	@$(BIN)/python python/ext/tests/runtimes/nats/chaos_soak.py $(SOAK)

.PHONY: bench
bench: setup ## Compare speed with the reference release, turn by turn
	@$(BIN)/python benchmarks/compare.py
	@$(BIN)/python benchmarks/growth.py

.PHONY: lock
lock: setup ## Pin the requirements anew; make lock UPGRADE=--upgrade takes the newest versions
	@tools/lock $(UPGRADE)

.PHONY: proto
proto: setup ## Generate the code of the wire protocol anew
	@$(BIN)/python protos/generate.py

.PHONY: clean
clean: ## Remove everything that the tasks made, the environment too
	@rm -rf .venv .venv-reference .cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
