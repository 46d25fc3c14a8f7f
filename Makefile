# Metergate. `make help` lists what there is. Everything installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test check bench fuzz format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# With uv when it is there, else uv is fetched with pip into an environment of its own.
.venv/installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if command -v uv >/dev/null 2>&1; then UV=uv; else \
	  $(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv && UV=.venv/uv/bin/uv; fi; \
	  $$UV pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock && \
	  $$UV pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed ## a virtual fleet through the whole journey, in under a minute
	@$(BIN)/metergate demo

test: .venv/installed ## all tests; those whose broker or database is missing say how to get it
	@$(BIN)/pytest --numprocesses auto --dist worksteal

check: .venv/installed ## everything that continuous integration runs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest --numprocesses auto --dist worksteal

bench: .venv/installed ## measure, and write docs/performance.md; CASE=ingest for one, SCALE=small for a quick look
	@$(BIN)/python -m benchmarks $(CASE) --scale $(or $(SCALE),full)
	@test "$(or $(SCALE),full)" != full || $(BIN)/python -m benchmarks.report

fuzz: .venv/installed ## any bytes on any topic, guided by coverage; SECONDS=60, and the corpus in .fuzz
	@mkdir -p .fuzz/corpus && $(BIN)/python -m tests.fuzz.target .fuzz/corpus -artifact_prefix=.fuzz/ \
	  -max_len=2000 -max_total_time=$(or $(SECONDS),60)

format: .venv/installed ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## renew requirements.lock (needs uv)
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --group dev pyproject.toml --output-file requirements.lock

clean: ## remove the environment and what the tools left
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
