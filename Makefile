# make demo | test | lint | bench | fuzz | wheel | test-arch | docs | clean. Each makes .venv and builds when needed, and only then.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find native/include native/src -name '*.[ch]') native/CMakeLists.txt CMakeLists.txt
SEAM := $(wildcard src/evcore/core/*.pyx src/evcore/core/*.pxd src/evcore/core/*.pxi)
WORKERS ?= 2

.PHONY: build demo test test-c test-py lint format conformance bench fuzz soak wheel test-arch docs screenshot clean

build: $(VENV)/.built

$(VENV)/.deps: pyproject.toml src/evcore/__init__.py
	@sh .ci/check-system "$(PYTHON)"
	@echo "evcore: installing what it needs into $(VENV); the first time takes a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python .ci/requirements.py pyproject.toml > $(VENV)/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/requirements.txt
	@touch $@

$(VENV)/.built: $(VENV)/.deps $(NATIVE) $(SEAM)
	@echo "evcore: building the native core"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: build
	@$(BIN)/evcore demo

test: test-c test-py

test-c: build
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh .ci/test-c

test-py: build
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: build
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/stubtest --concise --ignore-unused-allowlist --allowlist .ci/stubtest-allowed evcore.core.can evcore.core.modbus evcore.core.ocpp evcore.core.ocpp_encode evcore.core.ocpp_schema
	@$(BIN)/lint-imports
	@! grep -rnE '^(<<<<<<<|>>>>>>>) ' --include='*.md' --include='*.toml' docs examples *.md
	@find native fuzz -name '*.[ch]' -print0 | xargs -0 $(BIN)/clang-format --dry-run --Werror

format: build
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
	@find native fuzz -name '*.[ch]' -print0 | xargs -0 $(BIN)/clang-format -i

# Autobahn's WebSocket cases against the OCPP port and bare picows; takes a quarter of an hour.
conformance: build
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check kosoku
	@$(BIN)/python benches/autobahn.py

bench: build
	@$(BIN)/python benches/table.py --out docs/benchmarks.md
	@$(BIN)/python benches/csms_cpu.py --append docs/benchmarks.md
	@$(BIN)/python benches/csms_storm.py --append docs/benchmarks.md

# FUZZ_SECONDS=60 make fuzz: how long each target runs.
fuzz: build
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash .ci/fuzz

# The long runs: 200 kills of the gateway and of the store under load (KILLS=1000 make soak).
KILLS ?= 200
soak: build
	@EVCORE_KILLS=$(KILLS) $(BIN)/python -m pytest -q --timeout 7200 tests/gateway/test_kill_*.py

wheel: build
	@bash .ci/wheel

test-arch: build
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash .ci/test-arch

docs: build
	@$(BIN)/python docs/make.py

# The README's picture, from the demo in a headless Chromium.
screenshot: build
	@$(BIN)/python docs/screenshot.py docs/dashboard.png

clean:
	rm -rf build dist wheelhouse .venv
