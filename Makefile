# The newcomer's two commands are `make run` and `make test`; `make check` is what CI runs before the tests.
# Needed on the machine: Python 3.11 or newer, a POSIX shell, make. Everything else goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What to do where the index is away, slow or another one; pip keeps what it has fetched.
UNFETCHED := echo "Not all packages could be fetched (see above). Try again: what was fetched is kept. On a slow line" \
    "give each answer longer: PIP_DEFAULT_TIMEOUT=120 make $(MAKECMDGOALS). Behind a proxy set HTTPS_PROXY, and" \
    "PIP_INDEX_URL where packages come from an index of your own." >&2; exit 1
# Five processes' suites, and modules of them that repeat what others go through: without these twelve, which took over a quarter
# of the time, fewer than forty lines and branches less are seen.
COVERED_SUITES := tests/accounts,tests/tasks,tests/studies,tests/worker tests/tabular,tests/imaging,tests/croissant \
    tests/core,tests/openml,tests/db,tests/mail,tests/datasets,tests/health \
    tests/doctor,tests/metrics,tests/admin,tests/oidc,tests/index,tests/uploads/test_resources.py,tests/uploads/test_tus.py,tests/uploads/test_choices.py \
    tests/storage,tests/web,tests/backup,tests/commands
COVERED_ELSEWHERE := $(addprefix --ignore=tests/tabular/test_,hostile_tables.py early.py real_tables.py kept_plans.py types.py wide.py never_active.py) \
    $(addprefix --ignore=tests/db/test_,engine.py upload_states.py migrations.py) $(addprefix --ignore=tests/core/test_,outflow.py shares.py)
ENGINE_SUITES := tests/uploads tests/tasks tests/studies tests/accounts/signed_in tests/accounts/public
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python

# Each for itself, so that `make -j` can go through several at once.
CHECKS := .check-types .check-types-darwin .check-types-win32 .check-layout .check-rules
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 x86_64-unknown-linux-musl aarch64-unknown-linux-musl aarch64-apple-darwin

.PHONY: help run test coverage test-long test-rest test-engines upgrade chaos outages uploads-1g corpus corpus-statistics mutants check format \
    lock wheels audit release docs bench clean $(CHECKS)

help:  ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1@\2/p' Makefile | awk -F@ '{ printf "%-18s %s\n", $$1, $$2 }'

run: $(VENV)/.sandbox  ## The service, its worker and the sandbox on this machine
	@exec $(BIN)/openml-web dev

# More than twice as many as a small machine has processors: tests wait for servers more than they compute.
# Compiled files are kept even where the environment is against it: some hundred processes are started.
test: $(VENV)/.dev  ## The tests, but for repetitions and what takes long
	@PYTHONDONTWRITEBYTECODE= exec $(BIN)/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder

# Lines and branches of `app` that these suites go through in their own process; fails below the floor in pyproject.toml, and
# for nothing else: whether tests pass is what `make test` says. Servers and children that tests start are not measured:
# on Python 3.11 all of `make test` with them took 2.6 times its time.
coverage: $(VENV)/.dev  ## What the suites of one process go through; fails below the floor
	@$(BIN)/coverage erase
	@printf '%s\n' $(COVERED_SUITES) | tr ',' ' ' | xargs -P 4 -L 1 $(BIN)/coverage run -m pytest -q -n 0 $(COVERED_ELSEWHERE) || true
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

# Everything: each test on each database, and what takes longer. `make test` leaves out what it can spare.
test-long: $(VENV)/.dev  ## Every test
	@TEST_LONG=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder

# What `make test` leaves out, and nothing else.
test-rest: $(VENV)/.dev  ## What `make test` leaves out
	@TEST_LONG=rest PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder

# The suites that upload, once more with bytes in S3 and two workers behind Redis, and behind RabbitMQ.
test-engines: $(VENV)/.dev  ## Uploads on S3, Redis and RabbitMQ
	TEST_ENGINES=s3-redis $(BIN)/python -m pytest -n 3 --dist loadfile $(ENGINE_SUITES)
	TEST_ENGINES=rabbitmq $(BIN)/python -m pytest -n 3 --dist loadfile $(ENGINE_SUITES)

# Backups, and the exchange of the version before for this one behind nginx while people upload, there and back: each once.
# With all the forms of the latter it is part of `make test-long`.
upgrade: $(VENV)/.dev  ## Backup, restore and upgrade without a pause
	@TEST_LONG=1 $(BIN)/python -m pytest -n 2 --dist load tests/test_upgrade.py tests/backup -k "backup or (beside and not apart)"

# Everything that can die, dies, while people upload. Needs mariadbd, redis-server, libfaketime; root for a small disk.
chaos: $(VENV)/.dev  ## Everything that can die, dies, while people upload
	$(BIN)/python -m tests.chaos $(CHAOS)

# MariaDB, Redis, the store and OpenML each die, freeze and fall silent for a minute beneath 200 clients.
outages: $(VENV)/.dev  ## Database, Redis, store and OpenML away beneath 200 clients
	$(BIN)/python -m tests.outages

# A gigabyte with each client over a line that breaks every 4 MB; prints what it took.
uploads-1g: $(VENV)/.dev  ## A gigabyte with each client over a bad line
	UPLOADS_BYTES=1000000000 UPLOADS_CUT_AFTER=4000000 $(BIN)/python -m pytest -q -s tests/uploads/test_clients.py tests/browser/test_sending.py

# Tables that packages of the registries ship, each with its outcome and why it is right (tests/corpus.tsv).
corpus: $(VENV)/.dev  ## Read 475 tables that packages ship, as they are
	$(BIN)/python -m tests.corpus

# The statistics of those that are read, beside numpy's and duckdb's.
corpus-statistics: $(VENV)/.bench  ## Statistics of those tables, beside numpy's and duckdb's
	$(BIN)/python -m tests.corpus_statistics

# Each guard of exactly-once is taken out in a copy of the tree, and the tests that hold it have to fail.
# `make mutants SHORT=1` leaves out what needs MariaDB.
mutants: $(VENV)/.dev  ## Take each guard of exactly-once out; its tests have to fail
	$(BIN)/python -m tests.mutants $(if $(SHORT),--short)

# Each line beside its rival in the same run; ratios that became worse by over 15 % are shown, and fail nothing.
bench: $(VENV)/.bench  ## What it costs, beside others: writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

check: $(CHECKS)  ## Layout, types, imports and rules

.check-layout: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

.check-types: $(VENV)/.dev
	$(BIN)/mypy

.check-types-darwin: $(VENV)/.dev
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin app packages/openml-sandbox/openml_sandbox

.check-types-win32: $(VENV)/.dev
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 app/cli.py app/commands/upload.py

.check-rules: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.rules

format: $(VENV)/.dev  ## Mend layout and the order of imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# Pages and files that are generated from the settings and from the list of metrics; a test says when they are stale.
docs: $(VENV)/.runtime  ## Write docs/configuration.md, .env.example, docs/metrics.md and the dashboard
	$(BIN)/openml-web config --markdown > docs/configuration.md
	$(BIN)/openml-web config --env-example > .env.example
	$(BIN)/openml-web config --metrics > docs/metrics.md
	$(BIN)/openml-web config --dashboard > deploy/grafana/dashboard.json

# Lock what pyproject.toml names, and keep every other version that is locked; `make lock UPGRADE=1` takes the newest of
# everything. No index address goes into the files, and nothing younger than a week: what was published by a thief is
# mostly found within days. `make lock COOL_DOWN=` for a version that mends a hole.
COOL_DOWN := --exclude-newer "7 days"
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(COOL_DOWN) \
    $(if $(UPGRADE),--upgrade) --output-file
lock:  ## Lock what pyproject.toml names, the rest as it is; UPGRADE=1: all anew (needs uv)
	$(COMPILE) requirements.txt --group build pyproject.toml
	$(COMPILE) requirements-engines.txt --constraint requirements.txt --extra s3 --extra redis --extra rabbitmq \
	    --extra otel --extra sentry pyproject.toml
	$(COMPILE) requirements-tables.txt --constraint requirements.txt --extra tables pyproject.toml
	$(COMPILE) requirements-dev.txt --constraint requirements-tables.txt --group build --group dev pyproject.toml
	$(COMPILE) requirements-bench.txt --constraint requirements-dev.txt --group bench
	$(MAKE) wheels

# Every locked requirement has a wheel for each platform that docs/deploy.md names (needs uv); the extra `tables` has none
# for musl.
wheels:  ## Is there a wheel for each platform? (needs uv)
	@for platform in $(PLATFORMS); do for python in 3.11 3.12 3.13 3.14; do echo "$$platform $$python"; done; done | \
	    xargs -P 4 -L 1 sh -c 'echo "wheels for $$0, Python $$1"; \
	    uv pip install --quiet --dry-run --target $(VENV)/nowhere --python-platform $$0 --python-version $$1 \
	        --only-binary :all: --no-deps --requirement requirements-engines.txt \
	        $$(case $$0 in *musl) ;; *) echo --requirement requirements-tables.txt;; esac)'

# Are there published vulnerabilities in what is locked? (needs uv)
audit: $(VENV)/.dev  ## Known vulnerabilities in what is locked (needs uv)
	$(BIN)/python -m tests.audit

# In `dist`: source archive, wheel, CycloneDX list of what the image has, licences, checksums; the version's notes are printed.
release: $(VENV)/.dev  ## What a version is published as, in dist; NOTES=Unreleased: before it has notes (needs uv)
	@$(BIN)/python -m tests.release $(if $(NOTES),--notes $(NOTES))

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

# Made anew if it is not whole: Debian's Python without python3-venv leaves half of one, and so does Ctrl-C.
$(VENV)/.made:
	@for python in $(PYTHONS); do \
	    if command -v $$python >/dev/null 2>&1 && $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        if $(BIN)/python -m pip --version >/dev/null 2>&1; then exec touch $@; fi; \
	        echo "Creating $(VENV) with $$($$python --version)"; \
	        rm -rf $(VENV); \
	        if $$python -m venv $(VENV); then exec touch $@; fi; \
	        rm -rf $(VENV); \
	        echo "$$python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	    fi; \
	done; echo "Python 3.11 or newer was not found. Install it, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1

$(VENV)/.runtime: $(VENV)/.made requirements.txt requirements-tables.txt
	@echo "Installing the locked requirements (once; later starts need no network)"
	@$(PIP) --require-hashes -r requirements.txt || { $(UNFETCHED); }
	@$(PIP) --require-hashes --only-binary pyreadstat -r requirements-tables.txt || \
	    echo "The extra 'tables' is not there for this machine: files of SPSS, Stata, SAS and R will be refused." >&2
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The stand-in OpenML server of development and tests; its requirements are among those above.
$(VENV)/.sandbox: $(VENV)/.runtime packages/openml-sandbox/pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable packages/openml-sandbox
	@touch $@

$(VENV)/.dev: $(VENV)/.sandbox requirements-dev.txt
	@echo "Installing the locked requirements of the tests (once)"
	@$(PIP) --require-hashes -r requirements-dev.txt || { $(UNFETCHED); }
	@touch $@

# The rivals of the benchmarks.
$(VENV)/.bench: $(VENV)/.dev requirements-bench.txt
	@echo "Installing what the benchmarks compare with (once)"
	@$(PIP) --require-hashes -r requirements-bench.txt || { $(UNFETCHED); }
	@touch $@
