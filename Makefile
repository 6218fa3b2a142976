# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later

# Where the virtual environment goes, and which Python makes it (a version or a path; empty: the newest suitable one).
VENV = .venv
PYTHON =

# What `make tune` takes. USERS and DEST have defaults; an empty variable leaves the playbook's own default.
USERS = 5
DEST = ./synapse
RAM =
CPUS =
STORAGE =
RESERVED =
TOPOLOGY =
WORKERS =
FEDERATION =
DATABASE_SIZE =
SERVER_NAME =
MODE =
# true: also start, restart and verify; else only write.
APPLY = false
# More arguments for ansible-playbook, such as ARGS='--check --diff'.
ARGS =

# More arguments for pytest, such as PYTEST_ARGS='-k homeserver'.
PYTEST_ARGS =

# Which Molecule scenario; empty: all.
SCENARIO =

# Which benchmarks, and more arguments for them.
BENCH = playbook rooms levers speed memory hour
BENCH_ARGS =

# More arguments for `uv pip compile`.
LOCK_ARGS =

SHELL = /bin/sh
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

BIN = $(VENV)/bin
VENV_PATH := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))
RUNTIME = $(VENV)/.stamp-runtime
APPLYING = $(VENV)/.stamp-apply
DEV = $(VENV)/.stamp-dev
LAB = $(VENV)/.stamp-lab
SHELL_SCRIPTS = tools/find-python .ci/run $(wildcard tests/stack/recipes/*/*.sh tests/stack/recipes/*/policy-rc.d roles/*/files/*.sh)

# ansible.cfg names .venv; the environment wins over it where VENV says otherwise.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(VENV_PATH)/collections
# The linters start other commands of the same environment by name.
export PATH := $(VENV_PATH)/bin:$(PATH)
# Where it is set, every module that Ansible starts compiles Docker's and PostgreSQL's libraries again: a second each.
unexport PYTHONDONTWRITEBYTECODE
# Through the environment and not pasted into a command line, so that any character may be in them.
export USERS DEST RAM CPUS STORAGE RESERVED TOPOLOGY WORKERS FEDERATION DATABASE_SIZE SERVER_NAME MODE APPLY

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: tune
tune: $(if $(filter-out false,$(APPLY)),$(APPLYING),$(RUNTIME)) ## fit Synapse and PostgreSQL to this machine (USERS=5 DEST=./synapse RAM=2G ...)
	@"$(BIN)/ansible-playbook" playbooks/tune-synapse.yml -i localhost, -c local \
	    -e '{"ansible_python_interpreter": "{{ ansible_playbook_python }}"}' \
	    -e "$$("$(BIN)/python" tools/extra_vars.py create=true "users=$$USERS" "project_dir=$$DEST" "ram=$$RAM" \
	        "cpus=$$CPUS" "storage=$$STORAGE" "reserved=$$RESERVED" "topology=$$TOPOLOGY" "workers=$$WORKERS" \
	        "federation=$$FEDERATION" "database_size=$$DATABASE_SIZE" "server_name=$$SERVER_NAME" "mode=$$MODE" \
	        "apply=$${APPLY:-false}")" $(ARGS)

.PHONY: venv
venv: $(RUNTIME) ## make .venv with what the playbooks need

.PHONY: dev
dev: $(DEV) ## add what the tests and linters need

$(RUNTIME): requirements/runtime.txt tools/find-python
	@if ! "$(BIN)/python" -c '' 2>/dev/null; then \
	    python="$$(tools/find-python $(PYTHON))" || exit 1; \
	    echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	    "$$python" -m venv --clear "$(VENV)" || exit 1; \
	fi
	@echo "Installing ansible-core and ruamel.yaml into $(VENV) (about half a minute)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/runtime.txt
	@"$(BIN)/python" tools/link_collection.py "$(VENV)/collections"
	@touch "$@"

# `ansible` brings thousands of files: Python compiles the few that it runs when it runs them.
$(APPLYING): requirements/apply.txt $(RUNTIME)
	@echo "Installing what it takes to apply into $(VENV): community.docker and three libraries (a few seconds, 270 MB)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-compile --requirement requirements/apply.txt
	@touch "$@"

$(DEV): requirements/dev.txt $(APPLYING)
	@echo "Installing the test and lint requirements into $(VENV) (a minute or two)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch "$@"

$(LAB): requirements/lab.txt $(DEV)
	@echo "Installing what draws the benchmarks' figures into $(VENV): matplotlib (a few seconds, 160 MB)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/lab.txt
	@touch "$@"

.PHONY: test
test: $(DEV) ## run the whole test suite
	@echo "Running the tests: unit, integration, and the stack where this machine can have one"
	@# tests/conftest.py says what stays on one worker; the stack's begin, as they take longest.
	@"$(BIN)/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder tests/stack tests/integration tests/unit $(PYTEST_ARGS)

.PHONY: stack
stack: $(DEV) ## start a Docker Engine, Synapse and PostgreSQL to try things on (root; minutes the first time)
	@"$(BIN)/python" tests/stack/stack.py up

.PHONY: stack-made
stack-made: $(DEV)
	@"$(BIN)/python" tests/stack/stack.py made

.PHONY: stack-down
stack-down: $(DEV) ## stop it; its images stay
	@"$(BIN)/python" tests/stack/stack.py down

.PHONY: molecule
molecule: $(DEV) ## run the Molecule scenarios, or one of them (SCENARIO=compose), on the stack's engine
	@"$(BIN)/python" tests/stack/stack.py run molecule test $(if $(SCENARIO),--scenario-name "$(SCENARIO)",--all)

.PHONY: lint
lint: lint-python lint-yaml lint-docs lint-licences lint-shell build sanity ## run every linter, and build the collection

.PHONY: lint-python
lint-python: $(DEV)
	@echo "Linting Python: ruff, and mypy --strict on the core and on what a role installs"
	@"$(BIN)/ruff" check --quiet .
	@"$(BIN)/ruff" format --check --quiet . || { "$(BIN)/ruff" format --check .; exit 1; }
	@MYPYPATH="$(VENV_PATH)/collections" "$(BIN)/mypy" --no-error-summary \
	    -p ansible_collections.synapse.tuning.plugins.module_utils._core
	@"$(BIN)/mypy" --no-error-summary roles/monitoring/files/watch-memory/*.py

.PHONY: lint-yaml
lint-yaml: $(DEV)
	@echo "Linting YAML: yamllint, and ansible-lint's profile production"
	@"$(BIN)/yamllint" --strict .
	@"$(BIN)/ansible-lint" --offline -q

.PHONY: lint-docs
lint-docs: $(DEV)
	@echo "Linting the documentation of modules and roles, and the changelog"
	@"$(BIN)/antsibull-docs" lint-collection-docs --plugin-docs --validate-collection-refs self .
	@"$(BIN)/antsibull-changelog" lint

.PHONY: lint-licences
lint-licences: $(DEV)
	@echo "Checking that every file says its licence"
	@"$(BIN)/reuse" lint --quiet || { "$(BIN)/reuse" lint; exit 1; }

.PHONY: lint-shell
lint-shell: $(DEV)
	@echo "Linting the shell scripts"
	@"$(BIN)/shellcheck" $(SHELL_SCRIPTS)

.PHONY: sanity
sanity: $(DEV)
	@echo "Running ansible-test sanity (over a minute; three the first time, as it makes its own environments)"
	@"$(BIN)/python" tools/sanity.py

.PHONY: build
build: $(RUNTIME)
	@echo "Building the collection into .cache/build"
	@"$(BIN)/ansible-galaxy" collection build --force --output-path .cache/build

.PHONY: format
format: $(DEV) ## let ruff sort imports and lay out the code
	@"$(BIN)/ruff" check --select I --fix .
	@"$(BIN)/ruff" format .

.PHONY: bench
bench: $(LAB) ## measure (BENCH=playbook, rooms, levers, speed, memory, hour; all of them take many hours; BENCH_ARGS=...)
	@for name in $(BENCH); do \
	    echo "Measuring: $$name"; "$(BIN)/python" "tests/lab/bench_$$name.py" $(BENCH_ARGS) || exit 1; \
	done
	@case " $(BENCH) " in *" memory "*) "$(BIN)/python" tests/lab/results.py docs/benchmarks/memory-runs.jsonl --turns docs/benchmarks/speed-runs.jsonl --out docs/benchmarks ;; esac

.PHONY: lock
lock: $(RUNTIME) ## compile requirements/*.in to the locks again (LOCK_ARGS=--upgrade for newer versions)
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check uv
	@for name in runtime apply dev lab; do \
	    (cd requirements && "$(VENV_PATH)/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	        --no-emit-index-url --no-emit-find-links $(LOCK_ARGS) $$name.in --output-file $$name.txt) || exit 1; \
	done

.PHONY: clean
clean: ## remove the environments and caches (never a deployment)
	rm -rf .venv .venv-* .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
