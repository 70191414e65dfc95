# Thin: each target is one line onto `twin`, whose commands carry the logic, the help and --json.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
STAGE ?= local
QUERY ?= Why does Ada keep the health check timeout so long?
ARGS ?=
MINUTES ?= 15
EVERY ?= 15
DEPLOYABLE ?= rag
QUESTIONS ?= examples/retrieval.jsonl
TWIN = .venv/bin/twin

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-40s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## From nothing: deploy, ask, watch, judge, alarm, delete, proof
	@start=$$(date +%s) && $(PYTHON) scripts/setup.py && $(TWIN) demo --setup-seconds $$(( $$(date +%s) - start )) $(ARGS)

test: setup ## From nothing: set up and run every test
	@.venv/bin/python -m pytest -n logical --dist loadscope --no-loadscope-reorder $(ARGS)

setup: ## Environment only: Python packages, CDK command line, embedding model
	@$(PYTHON) scripts/setup.py

local-start: setup ## Local cloud up, everything deployed, corpus ingested; prints the URLs
	@$(TWIN) local-start $(ARGS)

local-stop: setup ## All of the local cloud down
	@$(TWIN) local-stop $(ARGS)

deploy-inference-pipeline: setup $(if $(filter local,$(STAGE)),,evaluation-layer) ## Deploy the stacks of STAGE (local, dev, prod)
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

evaluation-layer: setup ## Build the evaluation functions' Lambda layer; a deployment to AWS needs it
	@.venv/bin/python -m scripts.build_evaluation_layer

check: setup ## Format, lint, types, imports
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

ci-assembly: setup ## CI: synthesize STAGE into OUT, for the comparison of two checkouts
	@$(TWIN) ci assembly --stage $(STAGE) --out $(OUT)

ci-scores: setup ## CI: ask STAGE every labelled question of QUESTIONS, and DATASET's in Opik, write the scores to OUT
	@$(TWIN) ci scores --stage $(STAGE) --out $(OUT) --file $(QUESTIONS)

ci-gate: setup ## CI: exit 1 when the scores in HEAD regressed against those in BASE
	@$(TWIN) ci gate --base $(BASE) --head $(HEAD)

ci-image: setup ## CI: build and push the image of COMMIT (or GITHUB_SHA) once
	@$(TWIN) ci image --stage $(STAGE)

ci-deploy: setup $(if $(filter local,$(STAGE)),,evaluation-layer) ## CI: deploy COMMIT (or GITHUB_SHA) to STAGE with the image of IMAGE_DIGEST, and no other
	@$(TWIN) ci require-image --stage $(STAGE) && TWIN_RELEASE=$${COMMIT:-$$GITHUB_SHA} $(TWIN) deploy --stage $(STAGE) && \
		$(TWIN) ingest --stage $(STAGE)

ci-smoke: setup ## CI: one question through the public API of STAGE
	@$(TWIN) ci smoke --stage $(STAGE)

ci-watch-alarms: setup ## CI: watch the alarms of STAGE for MINUTES, looking at them EVERY so many seconds
	@$(TWIN) ci watch-alarms --stage $(STAGE) --minutes $(MINUTES) --every $(EVERY)

ci-remember: setup ## CI: keep GITHUB_SHA as the last good release of STAGE
	@$(TWIN) ci remember --stage $(STAGE)

ci-rollback: setup ## CI: deploy the last good release of STAGE again
	@$(TWIN) ci rollback --stage $(STAGE)

ci-preview-comment: setup ## CI: keep the pull request's comment (ARGS=--dry-run prints it only)
	@$(TWIN) ci preview-comment $(ARGS)

ci-preview-delete: setup ## CI: delete STAGE and keep the proof in proof.json
	@$(TWIN) delete --stage $(STAGE) --json > proof.json

ci-teardown: setup ## CI: delete STAGE when CONFIRM is its name
	@$(TWIN) ci teardown --stage $(STAGE)

ci-teardown-expired: setup ## CI: delete every preview that is past its life
	@$(TWIN) ci teardown-expired --stage $(STAGE)

ci-release: setup ## CI: source archive and notes of TAG into dist/
	@mkdir -p dist && $(TWIN) ci release-notes > dist/notes.md && \
		git archive --format tar.gz --prefix "llm-twin-inference-$$TAG/" -o "dist/llm-twin-inference-$$TAG.tar.gz" "$$TAG"

ci-release-image: setup ## CI: build and push the image of TAG once, beside the repository
	@$(TWIN) ci release-image

ci-release-layer: setup evaluation-layer ## CI: the evaluation functions' layer as one file, OUT
	@$(TWIN) ci release-layer --out $(OUT)

ci-release-publish: ## CI: publish dist/ as the release TAG on GitHub
	@gh release create "$$TAG" --verify-tag --notes-file dist/notes.md dist/*.tar.gz dist/*.zip dist/*.json

ci-test: setup ## CI: every test, with the coverage of what runs in the tests' own processes on the run's page
	@.venv/bin/python -m pytest -n logical --dist loadscope --no-loadscope-reorder --cov \
		--cov-report=markdown-append:$${GITHUB_STEP_SUMMARY:-coverage.md} $(ARGS)

ci-image-build: setup ## CI: build the service's image and push it nowhere
	@$(TWIN) ci image-build

ci-dockerfile: setup ## CI: hadolint
	@$(TWIN) ci dockerfile

ci-audit: setup ## CI: known vulnerabilities of every locked package
	@$(TWIN) ci audit

ci-licences: setup ## CI: licences of what the image and the layer contain
	@$(TWIN) ci licences

ci-secrets: setup ## CI: secrets in the files that Git knows
	@$(TWIN) ci secrets

ci-sbom: setup ## CI: list of DEPLOYABLE's parts (CycloneDX) into OUT
	@$(TWIN) ci sbom --deployable $(DEPLOYABLE) --out $(OUT)

ci-templates: setup ## CI: checkov over the templates in OUT, where ci-assembly put them
	@$(TWIN) ci templates --assembly $(OUT)

ci-workflows: setup ## CI: what is wrong (actionlint) or dangerous (zizmor) in the workflows
	@$(TWIN) ci workflows

opik-compatibility: setup ## Pinned and newest Opik SDK against the collector; with OPIK_API_KEY also against a real Opik
	@.venv/bin/python -m scripts.opik_compatibility

docs: setup ## Write the pages that are made from code: docs/configuration.md
	@.venv/bin/python -m scripts.configuration_docs

lock: setup ## Recompile the lock files under requirements/
	@.venv/bin/python -m scripts.lock

.PHONY: help demo test setup local-start local-stop deploy-inference-pipeline call-inference-pipeline \
	evaluate-llm-monitoring delete-inference-pipeline-deployment synth doctor cost benchmark check lock docs evaluation-layer \
	ci-assembly ci-scores ci-gate ci-image ci-deploy ci-smoke ci-watch-alarms ci-remember ci-rollback \
	ci-preview-comment ci-preview-delete ci-teardown ci-teardown-expired ci-release ci-release-image ci-release-layer ci-release-publish ci-workflows \
	ci-test ci-image-build ci-dockerfile ci-audit ci-licences ci-secrets ci-sbom ci-templates opik-compatibility
