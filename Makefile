# make demo: the original RPP experiment, ending in a picture     make test: the tests
# Both make .venv and install what they need; ARGS goes to the command, as in make demo ARGS="--data FILE --epochs 5".

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench clean

demo: .venv/.installed-plot
	$(BIN)/python examples/fashion_mnist_rpp.py $(ARGS)

test: .venv/.installed-test
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/.installed-bench
	$(BIN)/asv machine --yes
	$(BIN)/asv run --python=same $(ARGS)

.venv/.installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv .asv build *.egg-info
