# For people: each target calls `twin` or a tool. Workflows call `twin ci` and the tools themselves.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
STAGE ?= local
QUERY ?= Why does Ada keep the health check timeout so long?
ARGS ?=
ATTACKS = tests/attacks tests/unit/patterns tests/unit/localcloud/test_perimeter.py tests/unit/rag/test_ingest_untrusted.py \
	tests/browser/test_hostile_text.py tests/browser/test_foreign_page.py tests/integration/localcloud/test_perimeter.py \
	tests/integration/delete/test_faults_everywhere.py tests/e2e/test_faults.py tests/e2e/test_drill.py
TWIN = .venv/bin/twin
UV = .venv/bin/uv
COMPILE = $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --no-emit-index-url --no-header

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-40s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## From nothing: deploy, ask, watch, judge, alarm, delete, proof
	@start=$$(date +%s) && $(PYTHON) scripts/setup.py && $(TWIN) demo --setup-seconds $$(( $$(date +%s) - start )) $(ARGS)

test: setup ## From nothing: set up and run every test
	@.venv/bin/python -m pytest -n logical --dist loadscope --no-loadscope-reorder $(ARGS)

test-attacks: setup ## Every attack and fault: all inputs of the attack suites, every resource's failure; some minutes
	@TWIN_ATTACKS=whole TWIN_EVERY_FAULT=1 .venv/bin/python -m pytest -n logical --dist loadscope --no-loadscope-reorder \
		$(ATTACKS) $(ARGS)

setup: ## Environment only: Python packages, CDK command line, embedding model
	@$(PYTHON) scripts/setup.py

local-start: setup ## Everything up on this machine; prints the URLs (LLM=http://HOST:PORT/v1 MODEL=... answers)
	@$(TWIN) local-start $(if $(LLM),--llm "$(LLM)") $(if $(MODEL),--model "$(MODEL)") $(ARGS)

local-stop: setup ## All of the local cloud down
	@$(TWIN) local-stop $(ARGS)

init: setup ## Set up STAGE on AWS: three questions, then what a deployment would lack
	@$(TWIN) init --stage $(if $(filter local,$(STAGE)),dev,$(STAGE)) $(ARGS)

deploy-inference-pipeline: setup ## Deploy STAGE (local, dev, prod), from a bare account on; with QUERY="..." ask it at the end
	@$(TWIN) deploy --stage $(STAGE) $(if $(filter command,$(firstword $(origin QUERY))),--ask "$(QUERY)") $(ARGS)

call-inference-pipeline: setup ## Ask QUERY="..." and see answer, sources, tokens, timings
	@$(TWIN) ask --stage $(STAGE) $(ARGS) -- "$(QUERY)"

evaluate-llm-monitoring: setup ## Evaluate the monitoring dataset now; score table
	@$(TWIN) evaluate --stage $(STAGE) $(ARGS)

delete-inference-pipeline-deployment: setup ## Delete, wait, list survivors; exit 1 if any
	@$(TWIN) delete --stage $(STAGE) $(ARGS)

synth: setup ## Synthesize the stacks of STAGE into cdk.out; no credentials, no network
	@$(TWIN) synth --stage $(STAGE) $(ARGS)

doctor: setup ## Preflight: what would fail, and how to fix it
	@$(TWIN) doctor --stage $(STAGE) $(ARGS)

benchmark: setup ## What the service costs beside named baselines; tables, JSON, plots (ARGS=--quick for a look)
	@.venv/bin/python -m benchmarks $(ARGS)

cost: setup ## Price of STAGE before it is deployed: per resource, idle, office hours, full load, per 1,000 answers
	@$(TWIN) cost --stage $(STAGE) $(ARGS)

evaluation-layer: setup ## Build the evaluation functions' Lambda layer; a deployment to AWS needs it
	@.venv/bin/python -m scripts.build_evaluation_layer

check: setup ## Format, lint, types, imports; `.venv/bin/pre-commit run --all-files` adds workflows and secrets
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

tools: setup ## Tools that CI checks a change with: the hashed locks tools and checkov, each in .local/venvs
	@for each in tools checkov; do \
		$(UV) venv --quiet --clear --python .venv/bin/python .local/venvs/$$each && \
		$(UV) pip sync --quiet --require-hashes --python .local/venvs/$$each/bin/python requirements/$$each.txt || exit 1; \
	done

docs: setup ## Write the pages that are made from code: docs/configuration.md and docs/environment.md
	@.venv/bin/python -m scripts.configuration_docs

lock: setup ## Recompile the lock files under requirements/ from pyproject.toml; a deployable takes the versions of dev
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	@for each in rag llm evaluation embedding-build; do \
		$(COMPILE) pyproject.toml --extra $$each -c requirements/dev.txt -o requirements/$$each.txt || exit 1; \
	done
	@for each in benchmark tools checkov uv node; do \
		$(COMPILE) --group pyproject.toml:$$each -o requirements/$$each.txt || exit 1; \
	done

.PHONY: help init demo test test-attacks setup local-start local-stop deploy-inference-pipeline call-inference-pipeline \
	evaluate-llm-monitoring delete-inference-pipeline-deployment synth doctor cost benchmark check evaluation-layer \
	tools docs lock
