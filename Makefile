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
# More arguments for ansible-playbook, such as ARGS='--check --diff'.
ARGS =

# More arguments for pytest, such as PYTEST_ARGS='-k homeserver'.
PYTEST_ARGS =

SHELL = /bin/sh
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

BIN = $(VENV)/bin
VENV_PATH := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))
RUNTIME = $(VENV)/.stamp-runtime
DEV = $(VENV)/.stamp-dev

# ansible.cfg names .venv; the environment wins over it where VENV says otherwise.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(VENV_PATH)/collections
# The linters start other commands of the same environment by name.
export PATH := $(VENV_PATH)/bin:$(PATH)
# Through the environment and not pasted into a command line, so that any character may be in them.
export USERS DEST RAM CPUS STORAGE RESERVED TOPOLOGY WORKERS FEDERATION DATABASE_SIZE SERVER_NAME MODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: tune
tune: $(RUNTIME) ## fit Synapse and PostgreSQL to this machine (USERS=5 DEST=./synapse RAM=2G ...)
	@"$(BIN)/ansible-playbook" playbooks/tune-synapse.yml -i localhost, -c local \
	    -e "ansible_python_interpreter='$(VENV_PATH)/bin/python'" \
	    -e "$$("$(BIN)/python" tools/extra_vars.py create=true "users=$$USERS" "project_dir=$$DEST" "ram=$$RAM" \
	        "cpus=$$CPUS" "storage=$$STORAGE" "reserved=$$RESERVED" "topology=$$TOPOLOGY" "workers=$$WORKERS" \
	        "federation=$$FEDERATION" "database_size=$$DATABASE_SIZE" "server_name=$$SERVER_NAME" "mode=$$MODE")" $(ARGS)

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

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "Installing the test and lint requirements into $(VENV) (a minute or two)"
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	@touch "$@"

.PHONY: test
test: $(DEV) ## run the whole test suite
	@echo "Running the unit and integration tests"
	@"$(BIN)/python" -m pytest -n auto --dist worksteal tests/unit tests/integration $(PYTEST_ARGS)

.PHONY: clean
clean: ## remove the environments and caches (never a deployment)
	rm -rf .venv .venv-* .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
