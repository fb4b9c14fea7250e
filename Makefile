# Every target does its own set-up: what is missing is fetched or built, with progress, or named in one line.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO := cargo

built     := $(abspath $(or $(CARGO_TARGET_DIR),target))
committed := host/session-repository.wasm host/session-repository-sync.wasm

.PHONY: help demo demo-mongo bench bench-driver bench-embedded bench-history bench-plugins bench-start test component component-sync component-wasi-0-3 standalone package check-tools check-lints check-foreign check-mongo

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /  make \1\t/' | expand -t 28

demo: check-tools ## Run the complete usage example on a store of its own in a file, and print the stored document
	@echo "== building what the demo needs (some minutes the first time)"
	@$(CARGO) build --locked --package session-repository --no-default-features --features embedded --example demo
	@env -u DEMO_STORE $(built)/debug/examples/demo

demo-mongo: check-tools check-mongo ## The same on a real MongoDB
	@echo "== building (10 minutes and more the first time)"
	@$(CARGO) build --locked --workspace --bins --examples
	@$(built)/debug/with-mongod sh -c 'DEMO_STORE=$$MONGODB_URI $(built)/debug/examples/demo'

bench: check-tools check-mongo ## Measure what calls cost: all of the following, one after the other
	@$(MAKE) --no-print-directory bench-driver
	@$(MAKE) --no-print-directory bench-embedded
	@$(MAKE) --no-print-directory bench-history
	@$(MAKE) --no-print-directory bench-plugins
	@$(MAKE) --no-print-directory bench-start

bench-driver: check-tools check-mongo ## Measure the MongoDB store against the plainest command of the driver, in turns
	@$(CARGO) build --release --locked --workspace --bins
	@$(built)/release/with-mongod $(CARGO) bench --locked --workspace --bench driver

bench-embedded: check-tools ## Measure the embedded store: many writers against one, long sessions against short ones
	@$(CARGO) bench --locked --workspace --bench embedded

bench-history: check-tools check-mongo ## Measure long histories against short ones, in the embedded store and on a real MongoDB
	@$(CARGO) build --release --locked --workspace --bins
	@$(built)/release/with-mongod $(CARGO) bench --locked --workspace --bench history

bench-plugins: check-tools ## Measure what a neighbour notices of plugins that misbehave
	@tests/scripts/wasm-target.sh
	@$(CARGO) build --locked --package session-repository-test-plugins --lib --profile component --target wasm32-unknown-unknown
	@BENCH_PLUGIN=$(built)/wasm32-unknown-unknown/component/session_repository_test_plugins.wasm \
		$(CARGO) bench --locked --workspace --bench plugins

bench-start: check-tools ## Measure how long a command takes from its start, beside sqlite3
	@$(CARGO) bench --locked --workspace --bench start

test: check-tools check-lints check-foreign check-browser check-mongo ## Run all that must pass: format, lints, docs, freshness of the component, tests
	@tests/scripts/test.sh

component: check-tools ## Build the component, in both flavours, and put it beside the host crate, which embeds it
	@cp "$$(tests/scripts/component.sh async)" host/session-repository.wasm
	@cp "$$(tests/scripts/component.sh sync)" host/session-repository-sync.wasm
	@wc -c $(committed)

component-sync: check-tools ## Build the synchronous flavour alone
	@cp "$$(tests/scripts/component.sh sync)" host/session-repository-sync.wasm
	@wc -c host/session-repository-sync.wasm

component-wasi-0-3: check-tools ## Build the component, in both flavours, for hosts that have no clock but that of WASI 0.3
	@tests/scripts/component.sh async wasi-0-3
	@tests/scripts/component.sh sync wasi-0-3

standalone: check-tools ## Build the storages that are components, and one component of each and the repository, into target/components
	@tests/scripts/standalone.sh >/dev/null
	@ls -l $(built)/components/*.wasm | awk '{ print $$NF ": " $$5 " bytes" }'

package: check-tools check-foreign ## Build all that would be published into target/package, and publish nothing (with PROFILE=dev quickly)
	@tests/scripts/package.sh

check-tools:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: install gcc (apt-get install gcc libc6-dev)" >&2; exit 1; }

check-lints:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 \
		|| { echo "rustfmt or clippy is missing: rustup component add rustfmt clippy" >&2; exit 1; }

check-foreign:
	@command -v npm >/dev/null || { echo "npm is missing, for the tests in Node: install Node (apt-get install npm)" >&2; exit 1; }
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "python3 with venv is missing, for the tests in Python (apt-get install python3-venv)" >&2; exit 1; }

check-browser:
	@browser=$$(tests/scripts/chromium.sh); echo "== browser: $$browser"

check-mongo:
	@if [ -n "$${MONGODB_URI:-}" ]; then echo "== MongoDB: the server that MONGODB_URI names"; else mongod=$$(tests/scripts/mongod.sh); echo "== MongoDB: $$mongod"; fi
