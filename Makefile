# Tidemark: `make run` and `make test` are all that is needed; the rest is for whoever works on it.

VENV   := .venv
PYTHON := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR)

# How many processes share the tests. They start servers of their own, which compute too, and wait a good part of the time.
JOBS   := 3

.PHONY: help run test lint format bench fuzz soak demo up docs docs-site pictures test-es9 test-compose check-deploy dist requirements vendor clean

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/installed ## Start the server (TIDEMARK_HOST, TIDEMARK_PORT, TIDEMARK_DATA, ... are honoured)
	@echo "The command: $(VENV)/bin/tidemark (as plain tidemark after . $(VENV)/bin/activate)"
	@exec $(VENV)/bin/tidemark serve

test: $(VENV)/installed-dev lint ## Check everything, run all tests (ARGS="-k name" picks some, ARGS="-n 0" runs one after the other)
	$(PYTHON) -m pytest -n $(JOBS) $(ARGS)

lint: $(VENV)/installed-dev ## Style, types, and which room imports which; types and style of the page's program (needs Node)
	$(PYTHON) -m ruff check apiserver tidemark_events tests
	$(PYTHON) -m ruff format --check apiserver tidemark_events tests
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) scripts/find_secrets.py
	$(PYTHON) -m tests.web.node

format: $(VENV)/installed-dev ## Bring the code into the project's format
	$(PYTHON) -m ruff check --fix apiserver tidemark_events tests
	$(PYTHON) -m ruff format apiserver tidemark_events tests

bench: $(VENV)/installed-dev ## Speed, side by side with yardsticks; docs/performance.md quotes it
	$(PYTHON) -m tests.bench $(ARGS)

fuzz: $(VENV)/installed-dev ## The fuzz campaign at full length
	$(PYTHON) -m pytest tests/fuzz --fuzz 100000 $(ARGS)

soak: $(VENV)/installed-dev ## Kill -9 during ingest, a hundred times
	$(PYTHON) -m pytest tests/soak --kills 100 $(ARGS)

test-es9: $(VENV)/installed-dev ## The behaviour tests on Elasticsearch 9
	TIDEMARK_TEST_ELASTICSEARCH_VERSION=9 $(PYTHON) -m pytest -n $(JOBS) tests/behaviour --engines elastic $(ARGS)

test-compose: $(VENV)/installed-dev ## docker-compose.yml on a real Docker engine: the one that runs, or a dockerd of our own (as root)
	$(PYTHON) -m pytest tests/compose --compose $(ARGS)

check-deploy: $(VENV)/installed-dev ## What is in deploy/, held against helm, Kubernetes' schemas, Prometheus' parser and systemd (needs Go)
	$(PYTHON) scripts/check_deploy.py

demo: $(VENV)/installed ## Start a server, report a made-up training to it, print where to look
	$(PYTHON) examples/demo.py

up: ## Docker with Compose v2: Tidemark, Elasticsearch and Redis
	sh scripts/up.sh

docs: $(VENV)/installed ## Write docs/api from the schemas (scripts/api_answers.py records the example answers)
	$(PYTHON) scripts/api_docs.py

docs-site: $(VENV)/installed-dev ## The documentation as a site in build/site, offline; any warning stops it
	$(PYTHON) scripts/docs_site.py

pictures: $(VENV)/installed-dev ## Take pictures of every view of the page into docs/pictures (needs Chromium)
	$(PYTHON) scripts/pictures.py

dist: $(VENV)/installed-dev ## Build sdist and wheel into dist/, twice, and compare: the same commit gives the same bytes
	$(PYTHON) scripts/dist.py

# Pins stay as they are where they still fit; `make requirements ARGS=--upgrade` takes the newest.
COMPILE := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make requirements"
requirements: $(VENV)/installed-dev ## Pin what pyproject.toml and requirements-*.in name, with hashes
	$(COMPILE) $(ARGS) pyproject.toml -o requirements.txt
	$(COMPILE) $(ARGS) --extra otel -c requirements.txt pyproject.toml -o requirements-image.txt
	$(COMPILE) $(ARGS) requirements-build.in -o requirements-build.txt
	$(COMPILE) $(ARGS) pyproject.toml requirements-dev.in -o requirements-dev.txt

vendor: $(VENV)/installed-dev ## Fetch the page's libraries from npm at the versions of scripts/vendor.py, compare their integrity
	$(PYTHON) scripts/vendor.py

sbom: ## Write dist/sbom.cdx.json, a bill of materials of what is shipped (CycloneDX)
	@python3 scripts/sbom.py

clean: ## Remove what was built; data and the virtual environment's packages stay where they are needed
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find apiserver tidemark_events scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs in seconds; where it can't be had, pip does it slowly.
INSTALL = $(VENV)/bin/uv pip install -q --python $(PYTHON) $(1) || $(PYTHON) -m pip install -q $(1)

$(VENV)/bin/python:
	@echo "Making the virtual environment in $(VENV) ..."
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tidemark needs Python 3.11 or newer; python3 is `python3 --version`" >&2; exit 2; }
	@python3 -m venv $(VENV)
	@$(PYTHON) -m pip install -q --disable-pip-version-check uv || true

# The second step installs the command `tidemark`, which runs this checkout.
$(VENV)/installed: requirements.txt requirements-build.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing requirements.txt ..."
	@$(call INSTALL,--require-hashes -r requirements.txt -r requirements-build.txt)
	@$(call INSTALL,--no-deps --no-build-isolation -e .)
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "Installing requirements-dev.txt ..."
	@$(call INSTALL,--require-hashes -r requirements-dev.txt)
	@touch $@
