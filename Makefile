# One environment per trainer and version, made from constraints/, under .venv/. Nothing outside the checkout is touched.
SHELL        := bash
comma        := ,
VERSION      ?= 0.9.5
XTUNER       ?= 0.2.0
VERSIONS     := $(patsubst constraints/llamafactory-%.txt,%,$(sort $(wildcard constraints/llamafactory-*.txt)))
XTUNERS      := $(patsubst constraints/xtuner-%.txt,%,$(sort $(wildcard constraints/xtuner-*.txt)))
LLAMAFACTORY  = .venv/llamafactory-$(VERSION)
XT            = .venv/xtuner-$(XTUNER)
# Activated, as a user would: both trainers start `torchrun` and `python` from PATH. What DeepSpeed compiles stays there
# too: checkouts that share a place for it compile it over each other, while it runs.
in            = PATH="$(CURDIR)/$(1)/bin:$$PATH" TORCH_EXTENSIONS_DIR="$(CURDIR)/$(1)/torch_extensions"

# First interpreter that runs, of those a trainer's version takes. pyenv's python3.X may be there and still refuse.
pythons_llamafactory-0.9.3 := python3.10 python3.11 python3.12
pythons_xtuner-0.1.23      := python3.10
pythons_newest             := python3.12 python3.11
pythons        = $(or $(pythons_$(1)),python3.11 python3.12)
find_python    = $(shell for p in $(foreach v,$(1),$(v) $(wildcard $(HOME)/.pyenv/versions/*/bin/$(v))); do \
                   "$$p" -c "" 2>/dev/null && command -v "$$p" && break; done)
python_for     = $(or $(PYTHON),$(call find_python,$(call pythons,$(1))),\
                   $(error $(1) needs one of: $(call pythons,$(1)); name yours with PYTHON=/path/to/python))
# Ours, the data tools' with the trainer whose tests run them. Then what a trainer leaves to its users: --deepspeed, the
# metrics of prediction.
extras         = wsi,test$(if $(filter llamafactory-%,$(1)),$(comma)pathgen$(comma)patchtcga$(comma)ray$(comma)readers$(comma)scores$(comma)serve$(comma)tissue)
needs          = torch torchvision deepspeed $(if $(filter llamafactory-%,$(1)),jieba nltk rouge-chinese hdf5plugin openai)
# What shows slides on the page of `pathplugins serve`; fetched once, checked by its hash, in no commit.
VIEWER        := pathplugins/commands/serve/page/openseadragon/openseadragon.min.js
# Compiled once while installing: else every first start of a trainer compiles, and each start reads sources where the
# environment may not be written to. pip does so by itself.
export UV_COMPILE_BYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help env demo demo-pallava demo-pathgen demo-patchtcga demo-features test test-llamafactory test-xtuner test-data-tools test-matrix test-newest lint docs site clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 25
	@echo "  LLaMA-Factory VERSION=$(VERSION) of: $(VERSIONS)    XTUNER=$(XTUNER) of: $(XTUNERS)"
	@echo "  SLIDE=slide.svs for the demo    PYTHON=python to build with"

env: $(LLAMAFACTORY)/.installed $(XT)/.installed $(VIEWER)  ## an environment for each trainer, with this package in it

demo: $(LLAMAFACTORY)/.installed  ## WSI-LLaVA in small, in LLaMA-Factory, on CPU, on SLIDE or on a slide it draws
	$(call in,$(LLAMAFACTORY)) pathplugins demo $(if $(SLIDE),--slide "$(SLIDE)")

demo-pallava: $(XT)/.installed  ## PA-LLaVA in small, in XTuner, on CPU, on images it draws
	$(call in,$(XT)) pathplugins demo pallava

demo-pathgen: $(LLAMAFACTORY)/.installed  ## PathGen-LLaVA in small: captions and slides to pairs to two phases, on CPU
	$(call in,$(LLAMAFACTORY)) pathplugins demo pathgen

demo-patchtcga: $(LLAMAFACTORY)/.installed  ## PatchTCGA in small: archives to BYOL, a scored probe and answers, on CPU
	$(call in,$(LLAMAFACTORY)) pathplugins demo patchtcga

demo-features: $(LLAMAFACTORY)/.installed  ## features of any encoder in small: bags of UNI, diagnoses to scores, on CPU
	$(call in,$(LLAMAFACTORY)) pathplugins demo features

reads_pictures := $(shell grep -rlE "^(from|import) PIL" tests/data)

# The longest first, so that neither core waits for the other at the end.
test: lint env  ## style and all tests
	$(MAKE) --no-print-directory -k -j2 test-llamafactory test-xtuner test-data-tools test-shared-xtuner test-shared-llamafactory

test-llamafactory: env  ## what starts LLaMA-Factory, and the commands
	OMP_NUM_THREADS=1 $(call in,$(LLAMAFACTORY)) python -m pytest tests/llamafactory tests/commands tests/test_*.py

test-xtuner: env  ## what starts XTuner
	OMP_NUM_THREADS=1 $(call in,$(XT)) python -m pytest tests/xtuner tests/commands/test_doctor.py tests/test_readme.py

test-data-tools: env  ## slides, patches, features, captions, formats, patch encoders
	OMP_NUM_THREADS=1 $(call in,$(LLAMAFACTORY)) python -m pytest tests/data_tools tests/encoders tests/classify

test-shared-llamafactory: env  # models, data and what they stand on must run beside either trainer
	OMP_NUM_THREADS=1 $(call in,$(LLAMAFACTORY)) python -m pytest tests/models tests/weights tests/data tests/published tests/core

# What meets other versions there: of PyTorch, Transformers and PEFT, of Pillow, and the trainer itself.
test-shared-xtuner: env
	OMP_NUM_THREADS=1 $(call in,$(XT)) python -m pytest tests/models tests/weights $(reads_pictures) tests/core/test_hosts.py

test-matrix:  ## the tests that start a trainer, in every supported version
	failed=; for each in $(VERSIONS:%=llamafactory-%) $(XTUNERS:%=xtuner-%); do \
	  $(MAKE) host-tests IN=.venv/$$each || failed+=" $$each"; done; \
	[ -z "$$failed" ] || { echo "tests failed in:$$failed"; exit 1; }

# No trainer holds anything back here. What was newest when all passed is written to the record, which no target reads.
newest         = torch torchvision transformers peft accelerate timm open_clip_torch tifffile openslide-python \
                 openslide-bin ray safetensors huggingface_hub sentencepiece
record         = from importlib.metadata import distributions as all; \
                 print(*sorted({f"{d.name}=={d.version}" for d in all() if d.name != "pathplugins"}, key=str.lower), sep="\n")
test-newest: .venv/newest/.upgraded  ## what needs no trainer, with the newest of everything that the index offers
	OMP_NUM_THREADS=1 $(call in,.venv/newest) python -m pytest tests/models tests/weights tests/data tests/published tests/core tests/encoders
	OMP_NUM_THREADS=1 $(call in,.venv/newest) python -m pytest tests/data_tools tests/classify tests/commands/test_ask.py
	{ sed -n '/^# Not yet/d;/^#/p' constraints/newest.txt; .venv/newest/bin/python -c '$(record)'; } > .venv/newest/record
	mv .venv/newest/record constraints/newest.txt

.PHONY: .venv/newest/.upgraded
.venv/newest/.upgraded: .venv/tools/.ready
	mkdir -p $(@D)
	$(call environment,newest); "$${install[@]}" --upgrade $(newest) -e ".[wsi,test,pathgen,patchtcga,ray]"

.PHONY: host-tests
host-tests: $(IN)/.installed $(LLAMAFACTORY)/.installed
	OMP_NUM_THREADS=1 $(call in,$(IN)) python -m pytest -m host

lint: $(LLAMAFACTORY)/.installed  ## ruff: rules and layout; codespell: spelling
	$(LLAMAFACTORY)/bin/ruff check .
	$(LLAMAFACTORY)/bin/ruff format --check .
	$(LLAMAFACTORY)/bin/codespell

docs: $(LLAMAFACTORY)/.installed  ## write the generated parts of README.md and docs/ anew
	$(LLAMAFACTORY)/bin/python docs/generate.py

# Tools of its own: the trainers' environments hold what trains and nothing else.
site: .venv/site/.installed  ## the pages as a site, in site/, without a network once its tools are there
	NO_MKDOCS_2_WARNING=1 .venv/site/bin/mkdocs build --quiet --strict
	@echo "site/index.html"

clean:  ## remove environments and everything that was built
	rm -rf .venv build dist site *.egg-info .pytest_cache .ruff_cache demo demo-pallava demo-pathgen demo-patchtcga demo-features
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is many times faster than pip and reads the same constraints; without it pip does the work.
.venv/tools/.ready:
	$(call python_for,llamafactory-$(VERSION)) -m venv .venv/tools
	.venv/tools/bin/python -m pip install --quiet uv || echo "uv cannot be installed here, going on with pip"
	touch $@

# Start an environment for $(1) in the folder of the target, and define `install` in it.
define environment
set -e; tools="$(CURDIR)/.venv/tools/bin"; python="$(@D)/bin/python"; \
if [ -x "$$tools/uv" ]; then \
  [ -x "$$python" ] || "$$tools/uv" venv --no-project --python "$(call python_for,$(1))" "$(@D)"; \
  install=("$$tools/uv" pip install --python "$$python"); \
else \
  [ -x "$$python" ] || "$(call python_for,$(1))" -m venv "$(@D)"; \
  install=("$$python" -m pip install); \
fi
endef

.venv/site/.installed: constraints/site.txt | .venv/tools/.ready
	$(call environment,site); "$${install[@]}" --quiet -r $<
	touch $@

$(VIEWER): pathplugins/commands/serve/viewer.py | $(LLAMAFACTORY)/.installed
	$(LLAMAFACTORY)/bin/pathplugins get-viewer || echo "the page of pathplugins serve is not tested without it"

.venv/%/.installed: constraints/%.txt setup.py pyproject.toml pathplugins.pth | .venv/tools/.ready
	$(call environment,$*); \
	"$${install[@]}" -c $< $(subst -,==,$*) $(call needs,$*) -e ".[$(call extras,$*)]"
	touch $@
