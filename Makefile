# Two commands for a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ACDC_ROOT ?= $(abspath ../shared/data/acdc)
export ACDC_ROOT

.PHONY: demo test test-slow lint docs pictures readme check-extension study study-cpu benchmark clean

demo: $(VENV)/.installed-demo
	$(BIN)/segquality demo

# Two processes, a file of tests to each at a time, and one thread each: threads of both would wait for one another.
test: $(VENV)/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov=SegQualityQCLib --cov-report=term

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-test
	$(BIN)/mkdocs build --strict

# Every picture of README and docs/. Slicer's views come from trame-slicer, whose slicer-core is another one than the tests'.
pictures: $(VENV)/.installed-test $(VENV)-pictures/.installed
	$(BIN)/python docs/make_pictures.py --views-python $(VENV)-pictures/bin/python

# The figures in README and docs/accuracy.md, from training/results.
readme: $(VENV)/bin/python
	$(BIN)/python docs/update_readme.py

check-extension: $(VENV)/bin/python
	$(BIN)/python Testing/check_extension.py

study: $(VENV)/.installed-test
	$(BIN)/snakemake -c2 -s training/Snakefile --configfile training/configs/acdc-paper.yaml

# What the bundled models were made with: hours on two cores.
study-cpu: $(VENV)/.installed-test
	$(BIN)/snakemake -c2 -s training/Snakefile --configfile training/configs/acdc-cpu.yaml

benchmark: $(VENV)/.installed-test
	$(BIN)/python Testing/Benchmarks/assess_speed.py
	$(BIN)/python Testing/Benchmarks/cohort_speed.py
	$(BIN)/python Testing/Benchmarks/review_gain.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed-demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cli]"
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cli]"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test,docs]"
	touch $@

$(VENV)-pictures/.installed:
	$(PYTHON) -m venv $(VENV)-pictures
	$(VENV)-pictures/bin/python -m pip install --quiet "trame-slicer[standalone]==2.0.0" "SimpleITK>=2.3"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-pictures build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
