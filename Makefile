# Every target sets up what it needs: a virtual environment in .venv with locked, hash-checked dependencies.
# Only Python 3.11 or newer is needed on the machine; requirements/install.sh says so where it lacks. Another one than the
# first that fits: make PYTHON=python3.13 …, which makes .venv anew with it.

BIN = .venv/bin
LOCALE = bot/words/locale
SOURCES = bot cogs storage sandbox tests benchmarks

# What is imported a thousand times is compiled once, whatever the machine's settings say.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo play pictures recording docs test check faults audit bench words lock clean

demo: .venv/demo
	@$(BIN)/coverbot demo

play: .venv/demo
	@$(BIN)/coverbot play

test: .venv/dev
	COVERAGE_AT_LEAST=90 $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

check: .venv/dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known flaws of the locked dependencies. Asks an outside service, so it is no part of the checks; fails without it.
audit: .venv-tools/tools
	.venv-tools/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/dev.txt
	.venv-tools/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/tools.txt

faults: .venv/dev
	$(BIN)/python -m tests.faults
	COVERBOT_MODEL_SECONDS=1200 $(BIN)/python -m pytest -q tests/model

bench: .venv/dev
	$(BIN)/python -m benchmarks

# After a change of the bot's sentences: bring the catalogues up to date; tests say what lacks a translation.
words: .venv/dev
	$(BIN)/pybabel --quiet extract --no-default-keywords --keyword=Text --keyword=_n --keyword=_ \
	  --add-comments=Translators: --add-location=file --omit-header --width=100 --output=$(LOCALE)/coverbot.pot bot cogs
	$(BIN)/pybabel --quiet update --domain=coverbot --input-file=$(LOCALE)/coverbot.pot --output-dir=$(LOCALE) \
	  --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width=100
	$(BIN)/pybabel --quiet compile --domain=coverbot --directory=$(LOCALE)

# After a change of bot/settings.py: docs/configuration.md is made of it.
docs: .venv/dev
	$(BIN)/python -m tests.project.configuration

pictures: .venv/dev
	$(BIN)/python -m sandbox.pictures.draw

recording: .venv/dev
	$(BIN)/python -m sandbox.play.recording

lock: .venv-tools/tools
	requirements/lock.sh

clean:
	rm -rf .venv .venv-tools

# A stamp per set of dependencies.
.venv/demo .venv/dev: .venv/%: requirements/%.txt pyproject.toml
	@requirements/install.sh $*

# What a lock lacks must not stand in the way of making it, so the tools need nothing of .venv.
.venv-tools/tools: requirements/tools.txt
	@requirements/install.sh tools

ifneq ($(PYTHON),)
ifneq ($(shell $(PYTHON) -V 2>/dev/null),$(shell $(BIN)/python -V 2>/dev/null))
.PHONY: .venv/demo .venv/dev
endif
endif
