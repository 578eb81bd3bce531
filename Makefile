PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests wait for something: more processes than cores. A module's tests stay in one process.
PROCESSES ?= 4
PARALLEL = --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

# Else each process that is started compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# In memory where there is room for it: the servers of the tests write much, and keep nothing.
MEMORY := $(shell df -k /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8388608 { print "-p /dev/shm" }')

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-rabbitmq bench faults fuzz sure settings translations format lock

# One line of progress from what pip prints, and pip's exit code.
define SHOW_PIP
/^Collecting/ { printf "\r  %3d of %d packages: %-40.40s", ++n, all, $$2; fflush() }
/^Installing collected/ { printf "\r  %3d packages are here; pip unpacks them %-30s\n", n, ""; fflush() }
/^exit/ { code = $$2 }
END { if (code) print ""; exit code }
endef
export SHOW_PIP

help: ## Show what can be done
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(READY) ## Make the virtual environment

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@echo 'Installing what requirements.lock names into $(VENV): about a minute'
	@$(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock; echo "exit $$?"; } \
		| awk -v all="$$(grep -c '==' requirements.lock)" "$$SHOW_PIP"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(READY) ## Delete an instance of a made-up deployment and watch (KEEP=1 leaves it running)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

test: $(READY) ## Run the tests that take minutes in all, side by side in PROCESSES processes
	@folder=$$(mktemp -d $(MEMORY)) && chmod 755 "$$folder" && trap 'rm -rf "$$folder"' EXIT && \
		TMPDIR=$$folder $(BIN)/python -m pytest -m 'not slow' $(PARALLEL)

test-all: test ## Run these, then all others: faults, fuzz, browser, nginx, PgBouncer, RabbitMQ, every name
	$(BIN)/python -m pytest -m slow $(PARALLEL)

test-rabbitmq: $(READY) ## The tests that run deletions, with RabbitMQ as the broker
	CI=1 $(BIN)/python -m pytest --broker rabbitmq $(addprefix tests/integration/,deletion/test_deletion.py deletion/test_operations.py worker/test_pause_timer.py worker/test_traces.py worker/test_flower.py)

faults: $(READY) ## Kill everything in turn, ROUNDS times, and print the figures
	$(BIN)/python -m pytest tests/faults --rounds $(or $(ROUNDS),3) -s

bench: $(READY) ## Measure against the plain way (SCALE=small, medium or large; ONLY=rows)
	$(BIN)/python -m bench --scale $(or $(SCALE),small) $(if $(ONLY),--only $(ONLY))

fuzz: $(READY) ## Send REQUESTS made-up requests from SEED, and print what came of them
	$(BIN)/python -m pytest tests/fuzz --requests $(or $(REQUESTS),20000) --seed $(or $(SEED),1) --timeout 900 -s

sure: $(READY) ## Everything CI does: format, lint, types, layers, all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test-all

settings: $(READY) ## Write the tables of docs/settings.md and docs/operations/errors.md
	$(BIN)/python -m docs.settings_table
	$(BIN)/python -m docs.errors_table

translations: $(READY) ## Collect all texts into the catalogue of translations, and compile it
	$(BIN)/python -m docs.translations

lock: ## Lock the newest versions that fit, with hashes and without host names
	uv export --quiet --format requirements-txt --no-emit-project --no-header --all-groups --all-extras -o requirements.lock
	uv export --quiet --format requirements-txt --no-emit-project --no-header --no-default-groups --all-extras -o requirements-image.lock
	@! grep -n '://' requirements.lock requirements-image.lock

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
