# Every target does its own set-up: what is missing is fetched or built, with progress, or named in one line.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO := cargo

component_target := wasm32-unknown-unknown
built            := $(abspath $(or $(CARGO_TARGET_DIR),target))
fresh_component  := $(built)/$(component_target)/component/session_repository_component.wasm
committed        := host/session-repository.wasm

.PHONY: help demo test component check-tools check-mongo

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 20

demo: check-tools check-mongo ## Run the complete usage example against MongoDB and print the stored document
	@echo "== building (5 to 10 minutes the first time)"
	@$(CARGO) build --locked --workspace --bins --examples
	@$(built)/debug/with-mongod $(built)/debug/examples/demo

test: check-tools check-mongo ## Run all that must pass: format, lints, docs, freshness of the component, tests
	@tests/scripts/test.sh

component: check-tools ## Build the component and put it beside the host crate, which embeds it
	@tests/scripts/wasm-target.sh
	@echo "== building the component"
	@$(CARGO) build --locked --package session-repository-component --profile component --target $(component_target)
	@cp "$(fresh_component)" $(committed)
	@echo "$(committed): $$(wc -c < $(committed)) bytes"

check-tools:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: install gcc (apt-get install gcc libc6-dev)" >&2; exit 1; }

check-mongo:
	@if [ -n "$${MONGODB_URI:-}" ]; then echo "== MongoDB: the server that MONGODB_URI names"; else echo "== MongoDB: $$(tests/scripts/mongod.sh)"; fi
