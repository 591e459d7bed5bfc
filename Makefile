PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test interop interop-peers lint format docs links recordings bench scale chaos soak fuzz clean

## demo: the quickstart in memory; needs Python only
demo: .venv/core
	@$(BIN)/python examples/quickstart.py

has = $(shell command -v $(1) 2>/dev/null)
HAS_JAVA := $(and $(call has,java),$(call has,mvn))
HAS_NODE := $(and $(call has,node),$(call has,npm))

## test: everything, on a throw-away Kafka (Java and Maven, or Docker), and with other frameworks (Java, Maven, Node.js, npm);
## tests that lack these are skipped, loudly
test: .venv/dev
	@if [ -n "$$TYPEDRPC_KAFKA" ] || $(PYTHON) scripts/kafka.py check; then \
	  $(PYTHON) scripts/kafka.py run -- $(BIN)/python -m pytest -n $(WORKERS); \
	else $(BIN)/python -m pytest -n $(WORKERS); fi
	@$(if $(and $(HAS_JAVA),$(HAS_NODE)),$(MAKE) --no-print-directory interop,echo \
	  "NO OTHER FRAMEWORKS: every test with Spring, NestJS and SmallRye was SKIPPED (needs Java, Maven, Node.js and npm)")

## interop: the tests with Spring, NestJS, SmallRye and FastStream as peers; needs Java, Maven, Node.js and npm
interop: .venv/dev interop-peers
	$(PYTHON) scripts/kafka.py run -- $(BIN)/python -m pytest tests/interop

## interop-peers: the programs of these frameworks, built where their sources changed
PEERS := tests/interop/peers
interop-peers: $(PEERS)/spring/target/built $(PEERS)/smallrye/target/built $(PEERS)/nestjs/build/built

$(PEERS)/%/target/built: $(addprefix $(PEERS)/%/,pom.xml Peer.java Server.java Client.java)
	rm -rf $(@D)
	cd $(PEERS)/$* && mvn -q -B compiler:compile dependency:copy-dependencies
	@touch $@

$(PEERS)/spring/target/built: $(addprefix $(PEERS)/spring/,Bench.java Sampling.java)

$(PEERS)/nestjs/build/built: $(addprefix $(PEERS)/nestjs/,package.json package-lock.json .npmrc tsconfig.json peer.ts bench.ts sampling.ts)
	cd $(@D)/.. && npm ci --silent && npm run --silent build
	@touch $@

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

## links: every link of the site, those that lead elsewhere too; needs a network
links: docs
	$(BIN)/linkchecker --no-robots --check-extern --ignore-url '^http://(localhost|127\.)' site/index.html

## recordings: the pictures of the command line in the docs, docs/images/terminal-*.svg
recordings: .venv/dev
	$(PYTHON) scripts/kafka.py run -- $(BIN)/python scripts/record.py

## bench: typedrpc beside its peers, in one run of about 25 minutes; tables and plots in bench-results/
BENCH_PEERS := $(if $(HAS_JAVA),$(PEERS)/spring/target/built) $(if $(HAS_NODE),$(PEERS)/nestjs/build/built)
bench: .venv/dev $(BENCH_PEERS)
	$(PYTHON) scripts/kafka.py run --jit -- $(BIN)/python -m benchmarks

## scale: what grows with servers, partitions, clients and pending calls, in about 15 minutes
scale: .venv/dev
	$(PYTHON) scripts/kafka.py run --jit -- $(BIN)/python -m benchmarks.scale --out bench-results

## chaos: many calls between processes on three brokers under faults: SEED, CALLS, RATE (0: as fast as can be), FAULTS (all, none, or names)
SEED ?= 1
CALLS ?= 100000
RATE ?= 300
FAULTS ?= all
NODES ?= 3
chaos: .venv/dev
	PYTHONPATH=tests $(BIN)/python -m chaos --seed $(SEED) --calls $(CALLS) --rate $(RATE) --faults $(FAULTS) --nodes $(NODES)

## soak: the same without faults for MINUTES; memory may not grow by 5% over the last 80%
MINUTES ?= 30
soak: .venv/dev
	PYTHONPATH=tests $(BIN)/python -m chaos --seed $(SEED) --minutes $(MINUTES) --rate $(RATE) --faults none --nodes 1

## fuzz: RECORDS at random against a live service and client, a part of them on a throw-away Kafka
RECORDS ?= 1000000
fuzz: .venv/dev
	PYTHONPATH=tests $(PYTHON) scripts/kafka.py run -- $(BIN)/python -m fuzz --records $(RECORDS) --seed $(SEED)

clean:
	rm -rf .venv dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/core: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing typedrpc into .venv ..." && $(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install -q -e ".[generate,uvloop]" --group dev
	@touch $@ .venv/core
