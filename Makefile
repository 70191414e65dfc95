# Thin: each target is one line onto `twin`, whose commands carry the logic, the help and --json.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
STAGE ?= local
QUERY ?= Why does Ada keep the health check timeout so long?
ARGS ?=
TWIN = .venv/bin/python -m twin

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-40s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## From nothing: deploy, ask, watch, judge, alarm, delete, proof
	@start=$$(date +%s) && $(PYTHON) scripts/setup.py && $(TWIN) demo --setup-seconds $$(( $$(date +%s) - start )) $(ARGS)

test: setup ## From nothing: set up and run every test
	@.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadgroup $(ARGS)

setup: ## Environment only: Python packages, CDK command line, embedding model
	@$(PYTHON) scripts/setup.py

local-start: setup ## Local cloud up, everything deployed, corpus ingested; prints the URLs
	@$(TWIN) local-start $(ARGS)

local-stop: setup ## All of the local cloud down
	@$(TWIN) local-stop $(ARGS)

deploy-inference-pipeline: setup ## Deploy the stacks of STAGE (local, dev, prod)
	@$(TWIN) deploy --stage $(STAGE) $(ARGS)

call-inference-pipeline: setup ## Ask QUERY="..." and see answer, sources, tokens, timings
	@$(TWIN) ask --stage $(STAGE) $(ARGS) -- "$(QUERY)"

evaluate-llm-monitoring: setup ## Evaluate the monitoring dataset now; score table
	@$(TWIN) evaluate --stage $(STAGE) $(ARGS)

delete-inference-pipeline-deployment: setup ## Delete, wait, list survivors; exit 1 if any
	@$(TWIN) delete --stage $(STAGE) $(ARGS)

synth: setup ## Synthesize the stacks of STAGE into cdk.out; no credentials, no network
	@$(TWIN) synth --stage $(STAGE) $(ARGS)

doctor: setup ## Preflight: what would fail, and how to mend it
	@$(TWIN) doctor --stage $(STAGE) $(ARGS)

benchmark: setup ## What the service costs beside named baselines; tables, JSON, plots (ARGS=--quick for a look)
	@.venv/bin/python -m benchmarks $(ARGS)

cost: setup ## Price of STAGE before it is deployed: per resource, idle, office hours, full load, per 1,000 answers
	@$(TWIN) cost --stage $(STAGE) $(ARGS)

check: setup ## Format, lint, types, imports
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

lock: setup ## Recompile the lock files under requirements/
	@.venv/bin/python -m scripts.lock

.PHONY: help demo test setup local-start local-stop deploy-inference-pipeline call-inference-pipeline \
	evaluate-llm-monitoring delete-inference-pipeline-deployment synth doctor cost benchmark check lock
