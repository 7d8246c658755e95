# Everything from a bare Debian machine. `make demo` and `make test` are the two to know.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-begin serve test test-all check format accept attacks bench bench-full chaos fuzz fuzz-seeds interoperability verapdf picture lock system-run system-test

PYTHON ?= python3
# Where make serve listens. Not taken from the environment: some shells have a HOST of their own there.
HOST := 127.0.0.1
PORT := 8080
VENV := .venv
BIN := $(VENV)/bin

# Whole files, in their order: the long ones of whole installations come before the short ones of units, not last.
IN_PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
# What depends on rows most. `make test-all` repeats everything.
ON_POSTGRESQL := tests/unit/certs/test_inventory.py tests/unit/certs/test_prepared.py tests/unit/api/test_migrations.py \
    tests/unit/pki/test_audit_chain.py tests/unit/pki/test_approval.py tests/unit/pki/test_issuance_batch.py \
    tests/unit/pki/test_revocation.py tests/unit/signer/test_intents.py tests/unit/signer/test_signing_batch.py \
    tests/integration/test_postgres_commits.py tests/integration/test_signing_together.py

help:
	@echo "make demo    from nothing to stamped, signed, verified documents"
	@echo "make serve   the service on http://127.0.0.1:8080, same home (PORT=8097 HOST=… for another address)"
	@echo "make test    all tests but the long walks (test-all: those too, and everything again on PostgreSQL)"
	@echo "make check   format, lint, types, architecture"
	@echo "make accept  the done-when checks on a fresh home"
	@echo "make bench   benchmarks with ratios (bench-full: with the huge cases)"
	@echo "make chaos   docs/hsm-chaos.md: what comes of every fault of a token, measured anew"
	@echo "make attacks docs/attacks.md: every attack on a signed document made anew, and who is taken in"
	@echo "make fuzz    made-up files, signatures, lists and requests for hours (FUZZ_SECONDS=36000 FUZZ_READER=cms FUZZ_EXAMPLES=100000)"
	@echo "make interoperability docs/interoperability.md: other programs are asked anew about signed files"
	@echo "make verapdf whether veraPDF finds signed PDF/A and PDF/UA files conforming (wants java and mvn)"
	@echo "make picture docs/signed-page.png, drawn anew from the demo"
	@echo "make lock    requirements*.txt from pyproject.toml"

system-run:
	@docker/debian-packages.sh run

system-test:
	@docker/debian-packages.sh test

# A stamp per lock file: an unchanged one installs nothing again.
$(VENV)/.run: requirements.txt pyproject.toml | system-run
	@$(PYTHON) -c 'import sys; sys.exit("antin: Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run | system-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

demo-begin:
	@[ -e $(VENV)/.run ] || echo "The first run fetches packages and takes one to five minutes, later ones take seconds."

demo: demo-begin system-run $(VENV)/.run
	@$(BIN)/antin init --demo
	@$(BIN)/antin demo

serve: system-run $(VENV)/.run
	@$(BIN)/antin init
	@exec $(BIN)/antin serve --host "$(HOST)" --port "$(PORT)"

# Seconds of processor time that are spent on fuzzing while tests wait for something, and behind them what is left of it.
FUZZ_BESIDE ?= 120

test: system-test $(VENV)/.dev
	@nice -n 19 $(BIN)/python -m tests.attacks.fuzzing $(FUZZ_BESIDE) > $(VENV)/fuzzing.txt 2>&1 & fuzzing=$$!; \
	trap 'kill $$fuzzing 2>/dev/null || true' EXIT; \
	$(BIN)/python -m pytest $(IN_PARALLEL) -rs -m "not walk"; \
	echo "Again on PostgreSQL: what depends on rows"; \
	ANTIN_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(IN_PARALLEL) -rs -m "not walk" $(ON_POSTGRESQL); \
	found=0; wait $$fuzzing || found=$$?; \
	echo "Fuzzing beside the tests, $(FUZZ_BESIDE) seconds of processor time in all"; cat $(VENV)/fuzzing.txt; exit $$found

# Takes long on two processors.
test-all: system-test $(VENV)/.dev
	@$(BIN)/python -m pytest $(IN_PARALLEL) -rs
	@ANTIN_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(IN_PARALLEL) -rs

check: system-test $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

accept: system-test $(VENV)/.dev
	@$(BIN)/python -m pytest -v tests/acceptance tests/integration/test_corpus_verify.py tests/integration/test_sign_corpus.py

bench: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.bench

bench-full: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.bench --full

chaos: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.chaos docs/hsm-chaos.md

attacks: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.attacks docs/attacks.md

FUZZ_EXAMPLES ?= 100000
# In all; FUZZ_READER="time-stamp request" for one reader alone.
FUZZ_SECONDS ?= 36000
fuzz: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.attacks.fuzzing --another-walk $(FUZZ_SECONDS) $(if $(FUZZ_READER),"$(FUZZ_READER)")
	@ANTIN_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -n 2 tests/attacks/test_fuzz.py

fuzz-seeds: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.attacks.seeds

interoperability: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.interoperability docs/interoperability.md

# Java and Maven are nobody else's need here, so they are not installed for it.
verapdf: system-test $(VENV)/.dev
	@mvn -q -B -f tests/verapdf/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(VENV)/verapdf
	@ANTIN_TEST_VERAPDF=$(CURDIR)/$(VENV)/verapdf $(BIN)/python -m pytest tests/unit/signer/test_conformance.py -k verapdf

picture: system-test $(VENV)/.dev
	@$(BIN)/python -m tests.picture docs/signed-page.png

lock: $(VENV)/.dev
	@for extra in "" "--extra dev"; do \
	    $(BIN)/uv pip compile pyproject.toml --extra build $$extra --universal --python-version 3.11 --generate-hashes \
	        --no-emit-index-url --no-header --no-annotate -q -o requirements$${extra:+-dev}.txt; \
	done
