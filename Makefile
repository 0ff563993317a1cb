PY = .venv/bin/python

help:
	@echo "make notebooks"
notebooks:
	$(PY) tools/tidy_notebooks.py
