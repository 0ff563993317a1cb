# The book in two commands: make book, make test. Each step shows the plain command that it runs,
# the one that the README gives. Paths are relative, so that the folder may have a space in its name.

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python

# A stamp's name holds a checksum of the folder and of all that decides what is installed: nothing is
# installed twice, and a change of any pin is.
BOOK_FILES := requirements.txt constraints.txt pyproject.toml
BOOK_KEY := $(shell { pwd; cat $(BOOK_FILES); } | cksum | tr -d ' ')
TEST_KEY := $(shell { pwd; cat $(BOOK_FILES) requirements-test.txt; } | cksum | tr -d ' ')
BOOK_READY := .venv/book-ready-$(BOOK_KEY)
TEST_READY := .venv/test-ready-$(TEST_KEY)

STEP := $(PY) tools/step.py
BUILD := $(BIN)/jupyter-book build . --warningiserror --keep-going
BUILD_HINT := The first warning above names the file. If a cell failed, its notebook and error are \
above too: mend it, then run $(PY) tools/tidy_notebooks.py FILE

export PYTHONNOUSERSITE := 1
export PYTHONUTF8 := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONHOME PYTHONPATH

.PHONY: help book test serve lab notebooks bench clean
.NOTPARALLEL:
.SUFFIXES:

help:
	@echo "make book       install what is needed, run every notebook, build the site"
	@echo "make test       run every check: style, unit tests, notebooks, site, browser"
	@echo "make serve      build the site and serve it on 127.0.0.1"
	@echo "make lab        open the chapters in JupyterLab"
	@echo "make notebooks  run every chapter and store it in its canonical form"
	@echo "make bench      run the benchmarks"
	@echo "make clean      remove what was built; .venv stays"

book: $(BOOK_READY)
	@$(STEP) "Running the notebooks and building the site" --hint "$(BUILD_HINT)" -- $(BUILD)
	@$(PY) tools/where.py

test: $(TEST_READY)
	@$(STEP) --begin
	@$(STEP) "Finding a Chromium" -- $(PY) tools/ensure_browser.py
	@$(STEP) "Style of the code and the notebooks" \
	    --hint "$(PY) -m ruff check --fix mends most of it" -- $(PY) -m ruff check
	@$(STEP) "Unit tests" \
	    --hint "the last lines above name each test that failed: $(PY) -m pytest TEST" \
	    -- $(PY) -m pytest tests --ignore=tests/browser -n 2 --dist worksteal
	@$(STEP) "Every cell of every chapter against its stored output" \
	    --hint "the cells are counted from 0. If the new output is right: make notebooks" \
	    -- $(PY) -m pytest --nbval --nbval-current-env chapters -n 2 --dist loadfile
	@$(STEP) "Running the notebooks and building the site" --hint "$(BUILD_HINT)" -- $(BUILD)
	@$(STEP) "The site and JupyterLab in a browser" \
	    --hint "the last lines above name each test that failed: $(PY) -m pytest TEST" \
	    -- $(PY) -m pytest tests/browser -n 2 --dist worksteal
	@$(STEP) --end "make test"

serve: book
	@$(PY) tools/serve.py

lab: $(BOOK_READY)
	$(PY) -m jupyterlab chapters

notebooks: $(BOOK_READY)
	@$(STEP) "Running every chapter and storing it" -- $(PY) tools/tidy_notebooks.py

bench: $(TEST_READY)
	@$(STEP) "Benchmarks" -- $(PY) tools/run_benchmarks.py

clean:
	rm -rf _build .hypothesis .pytest_cache .ruff_cache

$(BOOK_READY):
	@sh tools/make_venv.sh $(PY)
	@$(STEP) "Installing what the book needs" \
	    --hint "a network is needed, once. The lines above name the package" \
	    -- $(PY) -m pip install -r requirements.txt
	@rm -f .venv/book-ready-*
	@touch $@

$(TEST_READY): $(BOOK_READY)
	@$(STEP) "Installing what the tests need" \
	    --hint "a network is needed, once. The lines above name the package" \
	    -- $(PY) -m pip install -r requirements.txt -r requirements-test.txt
	@rm -f .venv/test-ready-*
	@touch $@
