# Every target sets up what it needs: a virtual environment in .venv with pinned, hash-checked dependencies.
# Only Python 3.11 or newer is needed on the machine.

PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCALE = bot/words/locale
SOURCES = bot cogs storage sandbox tests benchmarks

.PHONY: demo pictures test check faults audit bench words lock clean

demo: .venv/demo
	@$(BIN)/coverbot demo

test: .venv/dev
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90

check: .venv/dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known flaws of the locked dependencies. Asks an outside service, so it is no part of the checks, and pip-audit is in no
# lock: it is installed into a folder of its own.
audit: .venv/audit
	.venv/audit/bin/pip-audit --disable-pip --require-hashes -r requirements/dev.txt

faults: .venv/dev
	$(BIN)/python -m tests.faults

bench: .venv/dev
	$(BIN)/python -m benchmarks

# After a change of the bot's sentences: bring the catalogues up to date; tests say what lacks a translation.
words: .venv/dev
	$(BIN)/pybabel --quiet extract --no-default-keywords --keyword=Text --keyword=_n --keyword=_ \
	  --add-comments=Translators: --add-location=file --omit-header --width=100 --output=$(LOCALE)/coverbot.pot bot cogs
	$(BIN)/pybabel --quiet update --domain=coverbot --input-file=$(LOCALE)/coverbot.pot --output-dir=$(LOCALE) \
	  --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width=100
	$(BIN)/pybabel --quiet compile --domain=coverbot --directory=$(LOCALE)

pictures: .venv/dev
	$(BIN)/python -m sandbox.pictures

lock: .venv/dev
	@for set in run demo dev; do \
	  extras="--extra build"; [ $$set = demo ] && extras="--extra demo --extra build"; [ $$set = dev ] && extras="--extra dev"; \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --no-header $$extras pyproject.toml -o requirements/$$set.txt; \
	done

clean:
	rm -rf .venv

# A stamp per set of dependencies; dev holds everything that demo needs.
.venv/demo: requirements/demo.txt pyproject.toml | .venv/python
	@echo "Setting up (once)…"
	@$(PIP) install --no-deps --require-hashes -r requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: requirements/dev.txt pyproject.toml | .venv/python
	@echo "Setting up (once)…"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch .venv/demo $@

.venv/audit: | .venv/python
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip --disable-pip-version-check --quiet install pip-audit

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit("Coverbot needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@touch $@
