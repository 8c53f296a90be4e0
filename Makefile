BIN := .venv/bin
STAMP := .venv/installed
SETUP := $(wildcard plugins/*/pyproject.toml)
PLUGINS := $(patsubst %/pyproject.toml,%,$(SETUP))
EXAMPLES := $(patsubst %/pyproject.toml,%,$(wildcard examples/plugins/*/pyproject.toml))
PACKAGES := rocket_kernel $(notdir $(patsubst %/__init__.py,%,$(wildcard plugins/*/rocket_*/__init__.py examples/plugins/*/rocket_*/__init__.py)))
EMPTY :=
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Tests start many processes, which start in two thirds of the time when the code has been compiled once.
PYTEST := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/.venv/pycache $(BIN)/pytest

.PHONY: serve install browser test torture plugin lint surface docs bench wheels clean

serve: install  ## make serve ARGS="--port 9000"
	$(BIN)/rocket serve $(ARGS)

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(SETUP)
	python3 -m venv .venv && $(PIP) setuptools
	$(PIP) --no-build-isolation --editable '.[fast,dev]' $(addprefix --editable ./,$(PLUGINS)) && touch $@

# In the order of their names: by default a file with one long test comes last, and everybody waits for it.
test: install browser  ## make test ARGS="-k name"
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

torture: install browser
	$(PYTEST) -m torture $(ARGS)

# Pages are tested in a real browser. Where it cannot be installed like this, those tests say what they need.
browser:
	@command -v chromium > /dev/null || (apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium) || true

plugin: install  ## make plugin NAME=rules
	$(PYTEST) plugins/$(NAME) $(ARGS)

lint: install
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports
	MYPYPATH=$(subst $(EMPTY) ,:,$(PLUGINS) $(EXAMPLES)) $(BIN)/mypy $(addprefix -p ,$(PACKAGES) bench)

surface: install  ## make surface ARGS=--release
	$(BIN)/python tests/public/surface.py $(ARGS)

docs: install  ## build/docs/index.html
	$(BIN)/python docs/site build/docs

bench: .venv/bench  ## make bench ARGS="--only get --rounds 1"
	$(BIN)/python -m bench $(ARGS)

.venv/bench: $(STAMP)
	$(PIP) --no-build-isolation --editable '.[bench]' && touch $@

wheels: install
	for source in . $(PLUGINS); do rm -rf $$source/build; $(BIN)/python -m build --wheel --no-isolation --outdir dist $$source || exit 1; done

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info plugins/*/build plugins/*/*.egg-info examples/plugins/*/build examples/plugins/*/*.egg-info
