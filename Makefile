# One environment per LLaMA-Factory version, made from constraints/, under .venv/. Nothing outside the checkout is touched.
SHELL    := bash
VERSION  ?= 0.9.5
VERSIONS := $(patsubst constraints/llamafactory-%.txt,%,$(sort $(wildcard constraints/llamafactory-*.txt)))
VENV      = .venv/llamafactory-$(VERSION)
BIN       = $(VENV)/bin
EXTRAS   := wsi,test

# First interpreter that runs, of those a LLaMA-Factory version takes. pyenv's python3.X may be there and still refuse.
pythons_0.9.3 := python3.10 python3.11 python3.12
pythons        = $(or $(pythons_$(1)),python3.11 python3.12)
find_python    = $(shell for p in $(foreach v,$(1),$(v) $(wildcard $(HOME)/.pyenv/versions/*/bin/$(v))); do \
                   "$$p" -c "" 2>/dev/null && command -v "$$p" && break; done)
python_for     = $(or $(PYTHON),$(call find_python,$(call pythons,$(1))),\
                   $(error LLaMA-Factory $(1) needs one of: $(call pythons,$(1)); name yours with PYTHON=/path/to/python))

.DEFAULT_GOAL := help
.PHONY: help env demo test test-matrix lint docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22
	@echo "  VERSION=$(VERSION) of: $(VERSIONS)    SLIDE=slide.svs for the demo    PYTHON=python to build with"

env: $(VENV)/.installed  ## the environment of LLaMA-Factory VERSION, with this package in it

demo: env  ## train and ask a tiny model on CPU, on SLIDE or on a slide it draws
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pathplugins demo $(if $(SLIDE),--slide "$(SLIDE)")

test: env lint  ## style and all tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

test-matrix:  ## the tests that start a trainer, in every supported version
	set -e; for version in $(VERSIONS); do $(MAKE) test-host VERSION=$$version; done

.PHONY: test-host
test-host: env
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m host

lint: env  ## ruff: rules and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: env  ## write the generated parts of README.md and docs/ anew
	$(BIN)/python docs/generate.py

clean:  ## remove environments and everything that was built
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is many times faster than pip and reads the same constraints; without it pip does the work.
.venv/tools/.ready:
	$(call python_for,$(VERSION)) -m venv .venv/tools
	.venv/tools/bin/python -m pip install --quiet uv || echo "uv cannot be installed here, going on with pip"
	touch $@

.venv/llamafactory-%/.installed: constraints/llamafactory-%.txt setup.py pyproject.toml pathplugins.pth | .venv/tools/.ready
	set -e; tools="$(CURDIR)/.venv/tools/bin"; python="$(@D)/bin/python"; \
	if [ -x "$$tools/uv" ]; then \
	  [ -x "$$python" ] || "$$tools/uv" venv --no-project --python "$(call python_for,$*)" "$(@D)"; \
	  install=("$$tools/uv" pip install --python "$$python"); \
	else \
	  [ -x "$$python" ] || "$(call python_for,$*)" -m venv "$(@D)"; \
	  install=("$$python" -m pip install); \
	fi; \
	"$${install[@]}" -c $< llamafactory==$* torch torchvision deepspeed jieba nltk rouge-chinese -e ".[$(EXTRAS)]"
	touch $@
