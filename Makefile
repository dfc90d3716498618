# fastos: every command of the project. `make help` lists them.
# Each target makes the environment it needs first: a fresh clone needs python3, gcc and make, no other step.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ENV    := $(VENV)/.ready
NATIVE := $(VENV)/.built
SOURCES := $(wildcard csrc/*.c csrc/*.h csrc/api/*.h) csrc/build.py setup.py

.PHONY: conformance downstream help env build demo test test-native test-stdlib test-posix test-user test-all-pythons test-c asan tsan fuzz soak lint bench clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

$(ENV): pyproject.toml tools/environment
	@tools/environment $(PYTHON) $(VENV)

$(NATIVE): $(ENV) $(SOURCES)
	@echo "fastos: compiling the core"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

env: $(ENV) ## make the virtual environment
build: $(NATIVE) ## compile the core in place

demo: $(NATIVE) ## read /usr (or ROOT=...) and say what is in it
	@$(BIN)/python tools/demo.py $(or $(ROOT),/usr)

test: test-native test-stdlib test-posix test-c ## the whole suite on every backend, and the C tests

test-native: $(NATIVE) ## the suite on the native backend
	$(BIN)/python -m pytest -q $(ARGS)

test-stdlib: $(NATIVE) ## the suite on the standard-library backend
	FASTOS_BACKEND=stdlib $(BIN)/python -m pytest -q $(ARGS)

test-posix: $(NATIVE) ## the suite on the portable C files
	FASTOS_BACKEND=posix $(BIN)/python -m pytest -q $(ARGS)

test-user: $(NATIVE) ## the suite as a user without privileges (when root runs it)
	@tools/ordinary-user $(BIN)/python $(ARGS)

test-all-pythons: $(NATIVE) ## one wheel, installed and tested on every other CPython of the machine
	@tools/all-pythons $(BIN)/python $(ARGS)

test-c: ## the C tests
	@$(MAKE) --no-print-directory -C tests/c check

asan: ## the C tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory -C tests/c check SANITIZE=address,undefined

tsan: ## the C tests under ThreadSanitizer
	@$(MAKE) --no-print-directory -C tests/c check SANITIZE=thread

conformance: $(NATIVE) ## CPython's own tests with the drop-ins, on each interpreter of the machine (ARGS=--python 3.11)
	$(BIN)/python tools/conformance.py $(ARGS)

downstream: $(NATIVE) ## the test-suites of pathspec, honcho and coverage, with and without fastos.install()
	$(BIN)/python tools/downstream.py $(ARGS)

fuzz: ## every parser of foreign bytes, by libFuzzer (clang), SECONDS=20 each
	@$(MAKE) --no-print-directory -C tests/c fuzz

SECONDS_OF_SOAK ?= 120

soak: $(NATIVE) ## disturb a supervisor at random for two minutes, then account for every child
	$(BIN)/python tests/soak_supervise.py $(SECONDS_OF_SOAK)

lint: $(ENV) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

BENCH := $(VENV)/.bench

$(BENCH): $(ENV)
	@tools/peers $(BIN)/python && touch $@

bench: $(NATIVE) $(BENCH) ## the table of comparisons (ONLY=regular expression, ROUNDS=n; FULL=, SHORT=page to put it into)
	@$(BIN)/python -m benchmarks --rounds $(or $(ROUNDS),5) $(if $(ONLY),--only '$(ONLY)') $(if $(FULL),--full $(FULL)) $(if $(SHORT),--short $(SHORT))

clean: ## remove what was built
	rm -rf $(VENV) build dist src/*.egg-info src/fastos/_native*.so .hypothesis .mypy_cache .ruff_cache
	@$(MAKE) --no-print-directory -C tests/c clean
	@$(MAKE) --no-print-directory -C benchmarks/floor clean
