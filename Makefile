# Each target starts from nothing but Python 3.11 (or newer) and make; `make book` also needs Node's npm.
# The first one to run creates .venv and installs requirements.lock into it, hashes checked.

BIN := .venv/bin
STAMP := .venv/.installed
MODELS_STAMP := .venv/.installed-models
MUTANTS_STAMP := .venv/.installed-mutants
TRAIN_STAMP := .venv-train/.installed
RUN := env -u ANTHROPIC_API_KEY -u MECHLIB_LLM OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
# Where the system allows it, notebooks are tested inside a network namespace that has no interface at all.
OFFLINE = $(shell unshare -rn true 2>/dev/null && echo unshare -rn)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --no-deps --no-compile --require-hashes -r
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ROOT_FLAG = $(shell test "$$(id -u)" = 0 && echo --allow-root)
say = @printf '\n== %s\n' "$(1)"

UV ?= uv
NOTEBOOK ?= notebooks/05_coordinator.ipynb
RULE ?= quadratic
SEED ?= 0
LAB_ARGS ?=
BOOK_ARGS ?=
MUTANTS ?=

# What is imported is compiled once and kept, not once in each of some hundred interpreters that a test run starts.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help setup lab test lint notebooks unit attack book pdf browser models record train outputs bench mutants lock clean

help:
	@echo "make lab      open the course in JupyterLab"
	@echo "make test     lint, types, every notebook against its committed output, unit and property tests"
	@echo "make attack   run every attack of tests/attacks in full, not the sample of make test (six minutes)"
	@echo "make book     build the site into book/_build/html (needs npm)"
	@echo "make pdf      print the whole course into book/_build/html/course.pdf (needs Chromium, after make book)"
	@echo "make browser  open every page of the site in headless Chromium and test it (after make book)"
	@echo "make models   download the three open models into .models/ (1.7 GB) and check their hashes"
	@echo "make record   serve them and record what NOTEBOOK=$(NOTEBOOK) still misses"
	@echo "make train    train RULE=$(RULE) SEED=$(SEED) again, on the processor, and say how near it came (half an hour)"
	@echo "make outputs  run NOTEBOOK=$(NOTEBOOK) and store its outputs"
	@echo "make bench    compare with other packages and print the ratios"
	@echo "make mutants  break rules, attacks and desk on purpose, and list what no test notices (20 minutes)"
	@echo "make clean    remove what was built (not .venv, not .models)"

setup: $(STAMP)

$(STAMP): requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Install it, or name it: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || { echo "== creating .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "== installing $$(grep -c '^[a-z].*==' requirements.lock) locked packages into .venv (once, a few minutes)"
	@awk '/^[^ ]/ {n++} {print > (".venv/half" n % 2 ".lock")}' requirements.lock
	@$(LOCKED) .venv/half0.lock & other=$$!; $(LOCKED) .venv/half1.lock && wait $$other  # a core each
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(MODELS_STAMP): requirements-models.lock $(STAMP)
	@echo "== installing the model server into .venv (once)"
	@$(PIP) --no-deps --require-hashes -r requirements-models.lock
	@touch $@

$(MUTANTS_STAMP): requirements-mutants.lock $(STAMP)
	@echo "== installing mutmut into .venv (once)"
	@$(PIP) --no-deps --require-hashes -r requirements-mutants.lock
	@touch $@

lab: $(STAMP)
	$(call say,JupyterLab: start with notebooks/00_why_pipelines_defect.ipynb. Ctrl-C stops it)
	@$(BIN)/jupyter lab $(ROOT_FLAG) --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
		--LabApp.news_url= --LabApp.default_url=/lab/tree/notebooks/00_why_pipelines_defect.ipynb $(LAB_ARGS)

# One processor checks style and types while two kernels run; what it says comes when they are done.
test: $(STAMP)
	@mkdir -p .cache; $(MAKE) --no-print-directory lint > .cache/lint.log 2>&1 & linting=$$!; \
	$(MAKE) --no-print-directory notebooks; ran=$$?; \
	wait $$linting; linted=$$?; cat .cache/lint.log; exit $$((ran | linted))
	@$(MAKE) --no-print-directory unit

lint: $(STAMP)
	$(call say,ruff$(comma) mypy --strict$(comma) interrogate)
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/interrogate mechlib

notebooks: $(STAMP)
	$(call say,every notebook cell against its committed output$(comma) without a key$(if $(OFFLINE),$(comma) without a network interface))
	@rm -rf .cache/usage && mkdir -p .cache/usage
	@$(RUN) TQDM_DISABLE=1 MECHLIB_USAGE=$(CURDIR)/.cache/usage $(OFFLINE) $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-cov -p no:cacheprovider \
		--nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 120 notebooks
	$(call say,recordings)
	@$(RUN) MECHLIB_USAGE=$(CURDIR)/.cache/usage $(BIN)/python -m mechlib recordings check

unit: $(STAMP)
	$(call say,unit$(comma) property and theory tests with coverage)
	@$(RUN) $(BIN)/python -m pytest -q -n 2 --dist loadgroup --no-loadscope-reorder -p no:nbval --cov --cov-report=term --cov-fail-under=95 tests

attack: $(STAMP)
	$(call say,kills$(comma) cancellations$(comma) hostile replies$(comma) damaged files and bad calls$(comma) all in full)
	@$(RUN) $(BIN)/python -m pytest -q --no-cov --full tests/attacks \
		$(MORE_ATTACKS)

# A sample in at most twenty minutes; MUTANTS="--all", "--only 'mechlib.attacks.*'" or "--sample 400 --minutes 60".
mutants: $(MUTANTS_STAMP)
	$(call say,which breaks of rules$(comma) attacks and desk no test notices)
	@$(RUN) TQDM_DISABLE=1 $(BIN)/python tests/mutants.py $(MUTANTS)

book: $(STAMP)
	$(call say,the book: book/_build/html)
	@$(BIN)/python book/build.py $(BOOK_ARGS)

pdf: $(STAMP)
	$(call say,the whole course on paper)
	@$(BIN)/python book/pdf.py

browser: $(STAMP)
	$(call say,the book in a real browser)
	@$(RUN) $(BIN)/python -m pytest -q --no-cov tests/browser

models: $(MODELS_STAMP)
	$(call say,the open models: .models/)
	@$(BIN)/python -m mechlib models

record: models
	$(call say,recording what $(NOTEBOOK) still misses)
	@mkdir -p .cache; $(BIN)/python -m mechlib serve > .cache/serve.log 2>&1 & server=$$!; \
	trap 'kill $$server; wait $$server' EXIT; \
	until grep -q '^serving' .cache/serve.log; do \
		kill -0 $$server 2>/dev/null || { cat .cache/serve.log; trap - EXIT; exit 1; }; sleep 1; done; \
	$(BIN)/python -m mechlib record $(NOTEBOOK)

# An interrupted run goes on where it stopped. The adapter lands in .cache/trained; the committed ones stay.
train: $(TRAIN_STAMP) models
	$(call say,training under the rule $(RULE)$(comma) seed $(SEED): what is read once takes a quarter of an hour)
	@PYTHONPATH=$(CURDIR) .venv-train/bin/python training/train.py '$(RULE)' --seed $(SEED) --into .cache/trained

$(TRAIN_STAMP): training/requirements.lock
	@test -x .venv-train/bin/python || $(PYTHON) -m venv .venv-train
	@echo "== installing what training needs into .venv-train (once, 200 MB)"
	@.venv-train/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r $<
	@touch $@

# For authors: run a notebook from top to bottom and keep what it shows.
outputs: $(STAMP)
	$(call say,the outputs of $(NOTEBOOK))
	@$(RUN) TQDM_DISABLE=1 $(BIN)/jupyter nbconvert --log-level=WARN --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False \
		--NotebookExporter.preprocessors=nbconvert.preprocessors.CoalesceStreamsPreprocessor $(NOTEBOOK)

bench: $(STAMP)
	$(call say,benchmarks)
	@$(RUN) $(BIN)/python benchmarks/run.py

# For maintainers: new versions into the locks, and conda's file in step with them.
lock: $(STAMP)
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --quiet --extra course --extra book --extra sweep --extra dev -o requirements.lock
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --quiet --extra local --constraint requirements.lock -o requirements-models.lock
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --quiet --extra mutants --constraint requirements.lock -o requirements-mutants.lock
	$(UV) pip compile benchmarks/requirements.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet -o benchmarks/requirements.lock
	$(MAKE) environment.yml

environment.yml: requirements.lock
	@{ printf 'name: mechlib\nchannels: [conda-forge]\ndependencies:\n  - python=3.12\n  - pip\n'; \
	printf '  # The versions of requirements.lock (pip cannot mix its hashes with -e .). Written by `make lock`.\n  - pip:\n'; \
	sed -n 's/^\([a-z0-9].*==[^\\]*\) \\$$/      - \1/p' requirements.lock; echo '      - -e .'; } > $@

clean:
	$(call say,removing what was built)
	@rm -rf mutants book/_build .cache/usage .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

comma := ,
# Attacks that need what stands beside them: two more kinds of kills, and replies to a running coordinator.
MORE_ATTACKS := tests/test_coordinator.py::test_kill_nine_in_the_middle_of_a_round_loses_nothing_acknowledged \
	tests/test_coordinator.py::test_fuzzed_replies_are_all_accounted_for \
	tests/test_llm.py::test_kill_nine_in_the_middle_of_recording_loses_nothing_acknowledged
