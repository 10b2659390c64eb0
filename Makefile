# Set-up and the main jobs of siemlite. `make help` lists them.
# Needs Python 3.11 or newer, make, and Java 17 or newer unless ELASTICSEARCH_URL names a server.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test crash-test exact-test docs clean bench-ship bench-log bench-backlog bench-detect bench-latency failover-test

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export FOLLOW FORMAT TIMEZONE
# Without its compiled form, which some environments forbid, each command takes a second more to load the program.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

run: $(VENV)/.installed ## Set up and run everything until Ctrl-C; FOLLOW=/var/log/auth.log FORMAT=authlog follows a file
	@exec $(BIN)/siemlite up $${FOLLOW:+--follow "$$FOLLOW"} $${FORMAT:+--format "$$FORMAT"} $${TIMEZONE:+--timezone "$$TIMEZONE"}

test: $(VENV)/.installed-dev ## Set up and check everything: ruff, mypy, import-linter, all tests; PYTEST="-k name" narrows
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@test -n "$$TEST_ELASTICSEARCH_URL" || $(BIN)/python -c 'import sys; from pipeline.node.java import main; sys.exit(main())'
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST)

crash-test: $(VENV)/.installed-dev ## Prove that nothing durable is lost, doubled or leaked: the long forms, see docs/proof.md
	@$(BIN)/pytest -m long --ignore tests/acceptance/test_failover.py $(PYTEST)

exact-test: $(VENV)/.installed-dev ## Hold detection against a simple reference: 10,000 random cases; EXACT="--seed 7 --minutes 9"
	@$(BIN)/python -m tests.property.exact $(EXACT)

failover-test: $(VENV)/.installed-dev ## Lose a hundred leaders of two schedulers, see docs/proof.md; TEST_ROUNDS=30 shortens
	@$(BIN)/pytest -m long tests/acceptance/test_failover.py $(PYTEST)

bench-ship: $(VENV)/.installed ## Measure shipping beside its peers, see bench/README.md; BENCH="--rounds 3" passes options
	@$(BIN)/python -m bench.ship $(BENCH)

bench-log: $(VENV)/.installed ## Measure how long a call of security.log takes; BENCH passes options
	@$(BIN)/python -m bench.log_call $(BENCH)

bench-backlog: $(VENV)/.installed ## Measure memory with a backlog of 1,000,000 events; BENCH passes options
	@$(BIN)/python -m bench.backlog $(BENCH)

bench-detect: $(VENV)/.installed ## Measure detection beside ElastAlert2; BENCH="--peer PYTHON" names the Python that has it
	@$(BIN)/python -m bench.detect $(BENCH)

bench-latency: $(VENV)/.installed ## Measure from an event to the webhook; BENCH="--seconds 60" passes options
	@$(BIN)/python -m bench.latency $(BENCH)

docs: $(VENV)/.installed ## Renew the generated parts of the documents
	@$(BIN)/python -m docs.generate

clean: ## Remove the virtual environment and all caches; what siemlite stored stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than pyproject.toml for as long as what it asks for is installed.
$(VENV)/.installed: pyproject.toml
	@$(make_venv)
	@echo "siemlite: installing into $(VENV)" >&2
	@$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@$(make_venv)
	@echo "siemlite: installing into $(VENV), with the tools for development" >&2
	@$(PIP) install --quiet --editable '.[dev]'
	@touch $(VENV)/.installed $@

# An environment works only where it was made and while its Python is there: one that was moved or copied with its
# checkout, or whose Python went, is made again. Of another checkout's, to which a link leads, only the link goes.
ifneq ($(wildcard $(BIN)/siemlite),)
ifneq ($(shell { grep -F "$(abspath $(BIN))/python" $(BIN)/siemlite && $(BIN)/python -c ''; } >/dev/null 2>&1 && echo works),works)
.PHONY: stale
$(VENV)/.installed $(VENV)/.installed-dev: stale
stale:
	@if test -L $(VENV); then rm $(VENV); else rm -f $(BIN)/python; fi
endif
endif

# An installed package has a list of its files only once all of them are there.
complete := import sys; from importlib.metadata import files; sys.exit(sys.version_info < (3, 11) or not files("pip"))

# A Python counts only if it starts (a version manager's shim may not), is new enough, and can make environments.
define make_venv
if $(BIN)/python -c '$(complete)' 2>/dev/null; then exit 0; fi; \
bare=; \
for python in $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then exec "$$python" -m venv --clear $(VENV); fi; \
	bare=$$python; \
done; \
if test -n "$$bare"; then \
	echo "siemlite: $$bare cannot make virtual environments: \`apt install python3-venv\` on Debian" >&2; \
else \
	echo "siemlite: Python 3.11 or newer is needed and was not found: \`apt install python3 python3-venv\` on" \
		"Debian 12 or newer, \`brew install python@3.13\` on macOS" >&2; \
fi; \
exit 1
endef
