# make demo   install and run the whole graph on real data
# make test   install and run the tests
# make check  what a change must pass: format, lint, types, layers, tests
# make bench  images/s, where a step's time goes, one worker against two; CycleGAN against its plain step;
#             ASHA against the grid
# make reliability  faults and attacks, tried by the thousand: .pix2pipe/reliability/reliability.md
#
# TORCH picks the build: the default is the registry's ordinary one (with CUDA on Linux);
# for a CPU-only one, point pip at PyTorch's CPU index or pass a wheel: make TORCH=path/to/torch.whl demo

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: demo test check bench reliability install

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

demo: install
	dvc repro
	@echo "The report: data/report/index.html. The runs: mlflow ui --backend-store-uri sqlite:///.pix2pipe/mlflow.db"

test: install
	pytest

check: install
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest

bench: install
	python -m benchmarks.step
	python -m benchmarks.cyclegan
	python -m benchmarks.search

reliability: install
	pytest tests/reliability -m "slow or not slow" --figures .pix2pipe/reliability
