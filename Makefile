PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test lint format docs bench clean

## demo: the quickstart in memory; needs Python only
demo: .venv/core
	@$(BIN)/python examples/quickstart.py

## test: everything, on a throw-away Kafka (Java and Maven, or Docker); without these the Kafka tests are skipped, loudly
test: .venv/dev
	@if [ -n "$$TYPEDRPC_KAFKA" ] || $(PYTHON) scripts/kafka.py check; then \
	  $(PYTHON) scripts/kafka.py run -- $(BIN)/python -m pytest -n $(WORKERS); \
	else $(BIN)/python -m pytest -n $(WORKERS); fi

## lint: style, format, import directions, and both type checkers
lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

## docs: the site, in site/
docs: .venv/dev
	$(BIN)/mkdocs build --strict

## bench: typedrpc beside raw aiokafka, in one run
bench: .venv/dev
	$(PYTHON) scripts/kafka.py run -- $(BIN)/python -m benchmarks.echo

clean:
	rm -rf .venv dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/core: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing typedrpc into .venv ..." && $(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install -q -e ".[cli,uvloop]" --group dev
	@touch $@ .venv/core
