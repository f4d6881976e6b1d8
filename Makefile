# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATE   := 2025-12-28
PEERS  := .local/bench-peers
SCALE  ?= default

export DBT_SEND_ANONYMOUS_USAGE_STATS := false
# Packages are installed without byte code; each module's is kept when it is first imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo check rules test properties orders lint types imports sql-lint dbt-rules unit docs chaos bench bench-dbt cost reading metrics check-terraform validate-terraform clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/.created: .python-version
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 12), (3, 13)})' || { \
	  echo "Python 3.13 is needed (3.12 does for 'make check') and '$(PYTHON)' is another: install it (pyenv install 3.13, or uv python install 3.13), or name it: make PYTHON=/path/to/python3.13"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.local-installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[data,dbt,local]'
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.local-installed

profiles.yml: | profiles.example.yml
	cp profiles.example.yml profiles.yml

setup: $(VENV)/.dev-installed profiles.yml ## Make .venv with everything, the test tools too

demo: $(VENV)/.local-installed profiles.yml ## Local stack, push, dbt build, and what landed
	@echo "About two minutes on two cores; most of it is dbt's."
	$(BIN)/ingest local up
	$(BIN)/ingest push seeds/conversations/$(DATE)
	$(BIN)/ingest data land-truth seeds/conversations/$(DATE)
	$(BIN)/ingest build --exclude resource_type:unit_test
	$(BIN)/ingest status
	@printf '\nopen %s, or try\n' "$$($(BIN)/ingest site)"
	@printf '  $(BIN)/ingest %s\n' 'show 317675af' 'transcript 317675af' 'bq head agent_daily'

# Tests of rules: no process of the stack, no port, no warehouse.
RULES := tests/unit/domain tests/unit/flows tests/unit/test_validation.py tests/unit/test_extras.py \
  tests/unit/test_ci_script.py tests/unit/formats tests/unit/datagen/test_formats.py

check: $(VENV)/.dev-installed ## Lint, types and the tests of rules, within a minute
	@$(MAKE) --no-print-directory --output-sync=target -j 2 types rules lint imports

rules: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -q -m 'not scale' $(RULES)

test: setup lint types imports sql-lint dbt-rules unit ## Lint, types and every test that needs no cloud

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-installed
	$(BIN)/mypy

imports: $(VENV)/.dev-installed
	$(BIN)/lint-imports

sql-lint: $(VENV)/.dev-installed
	$(BIN)/sqlfluff lint --processes 1 dbt_project tests/data_tests

# Compiled once, without a warehouse; the catalog is what the GoogleSQL analyzer says.
RULES_TARGET := target/rules
dbt-rules: $(VENV)/.dev-installed profiles.yml ## What dbt's own linters say of models, keys, layers and words
	$(BIN)/dbt --quiet compile --target local --no-introspect --no-populate-cache --target-path $(RULES_TARGET) \
	  --vars '{offline_compile: full}'
	$(BIN)/python -m tests.warehouse.catalog $(RULES_TARGET)
	$(BIN)/dbt-bouncer run --config-file tests/warehouse/dbt-bouncer.yml
	$(BIN)/dbt-score lint --manifest $(RULES_TARGET)/manifest.json --show failing-items
	$(BIN)/dbt-coverage compute doc --run-artifacts-dir $(RULES_TARGET) --cov-report $(RULES_TARGET)/coverage.json \
	  --cov-fail-under 1

unit: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

properties: $(VENV)/.dev-installed ## Builds compared: twice, day by day, shuffled, late, edited, forgotten
	$(BIN)/python -m pytest tests/warehouse/test_properties.py

orders: $(VENV)/.dev-installed ## The same with 300 conversations landed in four orders
	$(BIN)/python -m pytest tests/warehouse/landing_orders.py

docs: $(VENV)/.local-installed profiles.yml ## One page with every table, column and its lineage
	$(BIN)/dbt docs generate --static
	@echo "open target/static_index.html"

METRICFLOW := .local/metricflow
$(METRICFLOW)/.installed: constraints.txt | $(VENV)/.created
	$(BIN)/python -m venv $(METRICFLOW)
	$(METRICFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c $< dbt-bigquery 'dbt-metricflow~=0.15.0'
	@touch $@

# One by one: the local stack can't run what MetricFlow writes to join several; BigQuery's analyzer takes it.
metrics: $(VENV)/.local-installed $(METRICFLOW)/.installed profiles.yml ## Each metric by day, asked of the marts by MetricFlow
	$(BIN)/dbt --quiet parse
	for metric in calls customer_sentiment talk_share disclosure_misses violations cost; do \
	  $(METRICFLOW)/bin/mf query --quiet --metrics $$metric --group-by metric_time --order metric_time || exit 1; done

chaos: $(VENV)/.dev-installed ## 50 kills and faults of 5 % and 20 % on every service
	$(BIN)/python -m pytest tests/chaos -m chaos --chaos-full

$(PEERS)/.installed: tests/benchmarks/peers/requirements.txt | $(VENV)/.created
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	@touch $@

bench: $(VENV)/.dev-installed $(PEERS)/.installed ## Every benchmark, ratios into tests/benchmarks/RESULTS.md (SCALE=quick, default, full)
	$(BIN)/python -m tests.benchmarks --scale $(SCALE) --peers $(PEERS)

bench-dbt: $(VENV)/.dev-installed ## Full refresh against increment
	$(BIN)/python -m tests.benchmarks.dbt_builds

cost: $(VENV)/.dev-installed ## Bytes that BigQuery would bill for an hourly build, by node, as history grows
	$(BIN)/python -m tests.benchmarks.build_cost

reading: $(VENV)/.dev-installed ## Time and memory of commands that read, at 1,000 and 10,000 conversations
	$(BIN)/python -m tests.benchmarks.reading_commands

check-terraform: $(VENV)/.dev-installed ## fmt, validate, test, plan and scan terraform/ offline
	$(BIN)/python -m pytest tests/terraform -n 2 --dist loadfile

validate-terraform: ## fmt and validate with Google's own provider, which terraform downloads
	terraform fmt -check -recursive terraform
	for root in terraform/bootstrap terraform/environments/*/; do \
	  terraform -chdir=$$root init -backend=false -input=false && terraform -chdir=$$root validate || exit 1; done

clean: ## Stop the local stack and remove what can be made again
	-$(BIN)/ingest local down
	rm -rf $(VENV) .local target logs .cache .pytest_cache .mypy_cache .ruff_cache
