# FlexiRoaster: `make run` starts it, `make test` checks everything. See `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
# Compiled at once: a start with PYTHONDONTWRITEBYTECODE would otherwise compile everything, every time.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(PYTHON)
STAMPS := $(VENV)/stamps
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

DASHBOARD_SOURCES := $(shell find frontend -path frontend/node_modules -prune -o -path frontend/dist -prune \
	-o -type f -not -name '*.test.ts*' -print 2>/dev/null)
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

.PHONY: run
run: setup ## Start FlexiRoaster on http://127.0.0.1:8000 (ARGS="--port 9000" for options)
	@exec flexiroaster up $(ARGS)

.PHONY: setup
setup: $(STAMPS)/backend frontend/dist/index.html ## Prepare everything `make run` needs, and stop there
	@$(PYTHON) -m compileall -q backend/flexiroaster backend/app

.PHONY: setup-tests
setup-tests: setup $(STAMPS)/development ## Prepare everything `make test` needs, and stop there
	@scripts/test-services

.PHONY: dev
dev: $(STAMPS)/backend $(STAMPS)/frontend ## Server with reload on 8000, dashboard with hot reload on http://localhost:3000
	@trap 'kill 0' EXIT INT TERM; \
	(cd backend && uvicorn app.main:app --reload --no-proxy-headers --port 8000) & \
	(cd frontend && npm run dev) & \
	wait

.PHONY: fleet
fleet: setup-tests ## A fleet on this machine, with all it stands on, on free ports (ARGS="--help" for options)
	@exec $(PYTHON) scripts/fleet $(ARGS)

.PHONY: compose-env
compose-env: ## Make deploy/compose.env with secrets of its own, for docker-compose.yml
	@scripts/compose-env

# --- Quality gates ---------------------------------------------------------------------------------------------------

.PHONY: check
check: setup-tests check-backend check-frontend check-generated ## Lint, format, types, layers; generated files in step

.PHONY: check-backend
check-backend:
	cd backend && ruff check . ../bench ../scripts && ruff format --check . ../bench ../scripts
	cd backend && mypy
	cd backend && lint-imports --no-logo

.PHONY: check-frontend
check-frontend: $(STAMPS)/frontend
	cd frontend && npm run --silent check

.PHONY: check-generated
check-generated: $(STAMPS)/frontend
	$(PYTHON) scripts/generate.py --check

.PHONY: generate
generate: $(STAMPS)/development $(STAMPS)/frontend ## Write openapi.json, the API types and the reference pages anew
	$(PYTHON) scripts/generate.py

.PHONY: format
format: $(STAMPS)/development $(STAMPS)/frontend ## Format and fix what can be fixed
	cd backend && ruff check --fix . ../bench ../scripts && ruff format . ../bench ../scripts
	cd frontend && npm run --silent format

# --- Tests -----------------------------------------------------------------------------------------------------------

.PHONY: test
test: check test-frontend test-backend ## Every gate and every test: backend, frontend, browser

.PHONY: test-backend
test-backend: setup-tests
	cd backend && $(CURDIR)/$(PYTHON) -m pytest -n auto --dist worksteal -m "not spark"
	cd backend && $(CURDIR)/$(PYTHON) -m pytest tests/data/spark

.PHONY: test-frontend
test-frontend: $(STAMPS)/frontend
	cd frontend && npm run --silent test

.PHONY: bench
bench: setup $(STAMPS)/development ## Measure against bare limits; writes bench/results.json
	$(PYTHON) bench/run.py $(ARGS)

.PHONY: bench-ai
bench-ai: setup $(STAMPS)/development ## Measure the AI layer beside simpler methods (DATA=folder with data sets)
	$(PYTHON) bench/ai.py $(DATA) $(ARGS)

.PHONY: bench-fleet
bench-fleet: setup-tests ## Measure a fleet beside Celery alone, on RabbitMQ and Redis
	$(PYTHON) bench/fleet.py $(ARGS)

# --- Locks and cleaning ----------------------------------------------------------------------------------------------

.PHONY: lock
lock: $(STAMPS)/uv ## Choose versions anew: the requirements locks and package-lock.json
	cd backend && $(LOCK) --upgrade pyproject.toml -o requirements.lock
	cd backend && $(LOCK) --upgrade -c requirements.lock --group dev --extra ai --extra fleet --extra redis --extra spark \
		pyproject.toml -o requirements-dev.lock
	cd backend && $(LOCK) -c requirements-dev.lock --extra ai --extra fleet --extra redis pyproject.toml -o requirements-image.lock
	cd backend && $(LOCK) --upgrade --group node -o requirements-node.lock
	cd frontend && npm install --package-lock-only

.PHONY: clean
clean: ## Remove everything that was built or installed here; your data folder stays
	rm -rf $(VENV) frontend/node_modules frontend/dist dist bench/results.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf backend/.mypy_cache backend/.ruff_cache backend/.pytest_cache backend/.import_linter_cache backend/.hypothesis

.PHONY: wheel
wheel: setup ## Build a wheel that carries the dashboard, into dist/
	rm -rf backend/flexiroaster/web/dist backend/flexiroaster/examples
	cp -r frontend/dist backend/flexiroaster/web/dist
	cp -r backend/pipelines backend/flexiroaster/examples
	$(UV) build --quiet --wheel --out-dir dist backend
	rm -rf backend/flexiroaster/web/dist backend/flexiroaster/examples

# --- What the targets above stand on ---------------------------------------------------------------------------------

$(STAMPS)/uv:
	@scripts/python-environment $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/backend: $(STAMPS)/uv backend/requirements.lock backend/pyproject.toml
	@echo "Installing the backend's libraries"
	@$(INSTALL) --require-hashes -r backend/requirements.lock
	@$(INSTALL) --no-deps -e backend
	@touch $@

$(STAMPS)/development: $(STAMPS)/backend backend/requirements-dev.lock
	@echo "Installing the development tools"
	@$(INSTALL) --require-hashes -r backend/requirements-dev.lock
	@touch $@

$(STAMPS)/node: $(STAMPS)/uv backend/requirements-node.lock
	@scripts/has-node || { echo "Installing Node 24"; $(INSTALL) --require-hashes -r backend/requirements-node.lock; }
	@touch $@

$(STAMPS)/frontend: $(STAMPS)/node frontend/package.json frontend/package-lock.json
	@echo "Installing the dashboard's libraries"
	@cd frontend && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

frontend/dist/index.html: $(STAMPS)/frontend $(DASHBOARD_SOURCES)
	@echo "Building the dashboard"
	@cd frontend && npm run --silent build
	@node scripts/compress.mjs frontend/dist
	@touch $@
