# Every task of the project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# Three for two processors, since the tests also wait; the slow files first. With more, whole installations starve.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-fast walks lint format pictures bench chaos attack people money lock clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed; name it with make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q zk_pipeline zk_sandbox
	$(BIN)/python -m zk_pipeline.stages.marts
	@touch $(READY)

demo: $(READY) ## Sync a month of demo data, twice
	@$(BIN)/zk demo

dev: $(READY) ## The demo, kept running with Dagster's UI
	@$(BIN)/zk demo --serve

test: $(READY) ## Run all tests
	@# Rewriting the asserts of all tests takes each worker seven seconds, unless the files are kept.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-fast: $(READY) ## Run the pure tests, in seconds
	$(BIN)/python -m pytest zk_pipeline_tests/domain zk_pipeline_tests/test_architecture.py

walks: $(READY) ## Walk through the month in English, German, on a phone and by keys
	ZK_TEST_WALKS="en-GB/1440 de-DE/1024 de-DE/390 en-GB/1440/keys" \
		$(BIN)/python -m pytest -q zk_pipeline_tests/web/console/test_clicks.py

lint: $(READY) ## Check style, types and the layout's arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_models

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: $(READY) ## Take the pictures of docs/ again, of the console and of Dagster's UI
	$(BIN)/python -m zk_pipeline_tests.pictures
	$(BIN)/python -m zk_pipeline_tests.house > docs/pictures/house.svg

bench: $(READY) ## Measure against the limits (make bench ARGS="--only growth --plots docs/pictures")
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(READY) ## Attack everything while it runs, 20 seeds (make chaos SEEDS=200 SECONDS=4 TOGETHER=10 AT_ONCE=2)
	@$(BIN)/python -m zk_pipeline_tests.chaos --seeds $(or $(SEEDS),20) --first $(or $(FIRST),1) \
		--seconds $(or $(SECONDS),40) --at-once $(or $(AT_ONCE),1) --together $(or $(TOGETHER),1)

attack: $(READY) ## Attack an installation and show what held (make attack ARGS="--only cookies --json")
	@$(BIN)/python -m zk_pipeline_tests.attack $(ARGS)

people: $(READY) ## Let simulated people edit both sides, 100 seeds (make people SEEDS=500 FIRST=1)
	SIMULATED_SEEDS=$(or $(SEEDS),100) SIMULATED_FIRST_SEED=$(or $(FIRST),1) \
		$(BIN)/python -m pytest -q -n $(WORKERS) zk_pipeline_tests/defs/test_people.py

money: $(READY) ## Compare random months with what Kimai charges, 100 seeds (make money SEEDS=300)
	MONEY_SEEDS=$(or $(SEEDS),100) $(BIN)/python -m pytest -q -n $(WORKERS) zk_pipeline_tests/defs/test_money.py

lock: ## Resolve constraints.txt again (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate -o constraints.txt

clean: ## Remove what the tasks made
	rm -rf $(VENV) .zk dbt_models/target .pytest_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
