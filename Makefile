# make demo   install and run the whole graph on real data
# make test   install and run the tests
# make check  what a change must pass: format, lint, types, layers, tests
# make bench  images/s, where a step's time goes, one worker against two; CycleGAN against its plain step;
#             ASHA against the grid; what safety costs a step
# make docs   docs/ as a site with a search: .pix2pipe/site/index.html
# make reliability  faults and attacks, tried by the thousand: .pix2pipe/reliability/reliability.md
#
# make audit  known vulnerabilities of the pinned packages; those that are waived, and why: docs/reliability.md
# make constraints  write constraints.txt anew from what is installed, after raising a range of pyproject.toml
#
# All but torch is installed at the versions of constraints.txt, on Python 3.11 and 3.12 alike.
# TORCH picks the build: the default is the registry's ordinary one (with CUDA on Linux);
# for a CPU-only one, point pip at PyTorch's CPU index or pass a wheel: make TORCH=path/to/torch.whl demo

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export NO_MKDOCS_2_WARNING := 1

# A file of tests is one process's; with a thread each they do not stand in each other's way.
TESTERS ?= 2
TESTS := OMP_NUM_THREADS=1 pytest --numprocesses $(TESTERS) --dist loadfile

# PYSEC or CVE numbers that are waived, each with its reason in docs/reliability.md
WAIVED := CVE-2025-69872

.PHONY: demo test check bench docs reliability audit constraints install

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install
	dvc repro
	@echo "The report: data/report/index.html. The runs: mlflow ui --backend-store-uri sqlite:///.pix2pipe/mlflow.db"

test: install
	$(TESTS)

check: install
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	$(TESTS)

bench: install
	python -m benchmarks.step
	python -m benchmarks.cyclegan
	python -m benchmarks.search
	python -m benchmarks.safety

docs: install
	mkdocs build

reliability: install
	$(TESTS) tests/reliability -m "slow or not slow" --figures .pix2pipe/reliability

# Every package by its exact version, so nothing is resolved or installed for it.
audit: install
	pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --vulnerability-service osv \
		$(addprefix --ignore-vuln ,$(WAIVED))

# Without torch and what comes with its CUDA build: TORCH chooses those.
constraints: install
	python -m pip freeze --exclude-editable --exclude torch | grep -E '^[A-Za-z0-9._-]+==[^+ ]+$$' \
		| grep -vE '^(triton|nvidia-|cuda-)' > constraints.txt
