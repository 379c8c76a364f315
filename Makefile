# make help lists the targets. Each sets up the environment first, if necessary.
#
# Variables:
#   PYTHON       your own interpreter to install into and use, instead of .venv
#   BOOTSTRAP    the Python (3.10 or newer) that creates .venv
#   PYTEST_ARGS  passed to pytest, e.g. PYTEST_ARGS='-k banks -n 2'
#   JOBS         number of processes of `make test` and `make test-all`; default 2
#   DEMO_ARGS    passed to demo/run.py, e.g. DEMO_ARGS=--short
#   PROBE_ARGS   passed to demo/probe.py, e.g. PROBE_ARGS=--short
#   WEB_ARGS     passed to demo/web/build.py, e.g. WEB_ARGS='--out site'
#   GPU_ARGS     passed to benchmarks.gpu_acceptance, e.g. GPU_ARGS='--part 1'
#   TRANSFER_ARGS  passed to demo/transfer.py, e.g. TRANSFER_ARGS='--seeds 3'

BOOTSTRAP ?= $(or $(PYTHON),python3)
RUN := $(or $(PYTHON),.venv/bin/python)

.DEFAULT_GOAL := help
# Two set-ups would install into the same environment.
.NOTPARALLEL:
.PHONY: help env env-lite env-litert env-lightly-train test test-slow test-all test-formats lint format demo \
	demo-probe demo-transfer demo-web web-runtime gpu-check docs clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env:  ## Set up the environment (.venv, or PYTHON=...); a second call takes seconds
	@$(BOOTSTRAP) tools/setup_env.py $(if $(PYTHON),--python '$(PYTHON)')

env-lite:  ## The same without mmcv's operators, in minutes: no detection, segmentation, tests
	@$(BOOTSTRAP) tools/setup_env.py --lite $(if $(PYTHON),--python '$(PYTHON)')

JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n $(JOBS)

test: env  ## Run the fast tests
	$(PYTEST) -m 'not slow and not gpu and not network and not formats' $(PYTEST_ARGS)

test-slow: env  ## Run the tests that start processes or train
	$(PYTEST) -m 'slow and not gpu and not network and not formats' $(PYTEST_ARGS)

test-all: env  ## Run all tests that need neither GPU nor network
	$(PYTEST) -m 'not gpu and not network and not formats' $(PYTEST_ARGS)

# Beside .venv, whose packages they see and keep: converters ask for many others.
FORMATS := .venv-formats/bin/python
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
define venv
	$(RUN) -m venv $(1)
	$(RUN) $(PURELIB) > "$$($(1)/bin/python $(PURELIB))/main.pth"
endef

.venv-formats/ready: $(wildcard requirements/export_*.txt) | env
	$(call venv,.venv-formats)
	$(FORMATS) -m pip install -q -c constraints.txt $(addprefix -r ,$(filter-out %executorch.txt,$^))
	$(FORMATS) -m pip install -q -r requirements/export_executorch.txt  # wants older pytest
	touch $@

.venv-litert/ready: requirements/litert_converter.txt | env
	$(call venv,.venv-litert)
	.venv-litert/bin/python -m pip install -q -r $<
	touch $@

env-litert: .venv-litert/ready  ## Set up the LiteRT converter beside .venv (1 GB)

# With this project's torch and numpy; its other packages want other versions.
.venv-lightly-train/ready: requirements/lightly_train.txt | env
	$(call venv,.venv-lightly-train)
	$(RUN) -m pip freeze | grep -E '^(torch|torchvision|numpy)==' > .venv-lightly-train/pins
	.venv-lightly-train/bin/python -m pip install -q -r $< -c .venv-lightly-train/pins
	touch $@

env-lightly-train: .venv-lightly-train/ready  ## Set up LightlyTrain for benchmarks, beside .venv

test-formats: env env-litert .venv-formats/ready  ## Install converters beside .venv, test them, write their table
	OMP_NUM_THREADS=1 $(FORMATS) -m pytest -q tests/test_export -m 'slow or formats' \
		$(PYTEST_ARGS)
	OMP_NUM_THREADS=1 $(FORMATS) -m benchmarks.export_formats

lint: env  ## Check style, formatting and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: env  ## Fix lint errors where that is safe
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

demo: env-lite  ## Distil a small CLIP into MobileNetV3 on embedded images
	$(RUN) -m demo.run $(DEMO_ARGS)

# The last file written by the demo.
work_dirs/demo/summary.json: | env-lite
	$(RUN) -m demo.run

demo-probe: env-lite work_dirs/demo/summary.json  ## Linear probes and k-NN on the distilled backbone
	$(RUN) -m demo.probe $(PROBE_ARGS)

demo-transfer: env work_dirs/demo/summary.json  ## Train a detector and a segmentor from it and from scratch
	$(RUN) -m demo.transfer $(TRANSFER_ARGS)

demo-web: env work_dirs/demo/summary.json  ## Build a page that runs the student in a browser
	$(RUN) -m demo.web.build $(WEB_ARGS)

web-runtime: env  ## Fetch onnxruntime-web from the npm registry, for demo-web and its tests
	$(RUN) -m demo.web.runtime

gpu-check: env  ## On a GPU: 20 minutes of checks and speeds (GPU_ARGS='--part 1', 2, 3)
	$(RUN) -m benchmarks.gpu_acceptance $(GPU_ARGS)

# Your own interpreter keeps its versions.
docs: env  ## Build the documentation into build/docs; warnings and broken links are errors
	@$(RUN) -c 'import autoapi, furo, myst_parser, sphinx, sphinx_copybutton' 2>/dev/null || \
		$(RUN) -m pip install -q $(if $(PYTHON),,-c constraints.txt) -r requirements/docs.txt
	$(RUN) -m sphinx -q -W --keep-going docs build/docs
	$(RUN) docs/check_links.py build/docs

clean:  ## Remove build and test files; keep the environment and work_dirs
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage
	find mmlgd benchmarks configs demo tests tools -name __pycache__ -type d -exec rm -rf {} +
