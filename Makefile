# make demo: the original RPP experiment, ending in a picture     make test: the tests
# Both make .venv and install what they need; ARGS goes to the command, as in make demo ARGS="--data FILE --epochs 5".

PYTHON ?= python3
BIN := .venv/bin

# what a change of one room needs
kernels := ldlrpp/kernels tests/test_ldl.py tests/test_ldl_weights.py tests/test_rpp.py tests/test_bijection.py \
    tests/test_dense.py tests/test_elementwise.py tests/test_masks.py tests/test_losses.py tests/test_threading_layer.py
cuda := ldlrpp/kernels/cuda tests/test_backend.py tests/test_cuda_ldl.py tests/test_cuda_rpp.py tests/test_cuda_dense.py \
    tests/test_elementwise.py tests/test_losses.py tests/test_transfer.py
network := ldlrpp/network tests/test_network.py tests/test_memory.py tests/test_network_backends.py tests/test_cuda_network.py
estimators := ldlrpp/estimators tests/test_checkpoint.py tests/test_saved_models.py tests/test_versions.py \
    tests/test_estimators.py tests/test_training_options.py tests/test_mixed.py \
    tests/test_transformers.py tests/test_devices.py tests/test_typing.py tests/test_saving.py tests/test_undo.py
examples := tests/test_examples.py tests/test_readme.py

.PHONY: demo test quick lint bench bench-check scaling clean

demo: .venv/.installed-plot
	$(BIN)/python examples/fashion_mnist_rpp.py $(ARGS)

# Two files at a time: many tests have one thread.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: .venv/.installed-test
	$(PYTEST) $(ARGS)

quick: .venv/.installed-test
	$(if $($(ROOM)),,$(error make quick ROOM=... takes kernels, cuda, network, estimators or examples))
	$(PYTEST) -m "not slow" $($(ROOM)) $(ARGS)

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/zizmor --offline --quiet .github/workflows

# In this environment, of the commit that is checked out; PROFILE is fast, regular or large. OPENBLAS_CORETYPE may have
# NumPy's products run on the kernels of an older processor.
PROFILE ?= fast
ASV := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE LDLRPP_BENCH=$(PROFILE) $(BIN)/asv
HERE := --environment existing:$(abspath $(BIN))/python
bench: .venv/.installed-bench
	$(ASV) machine --yes
	$(ASV) run $(HERE) --set-commit-hash $$(git rev-parse HEAD) $(ARGS)
	$(ASV) publish

# Every benchmark once, for one that breaks to be seen.
bench-check: .venv/.installed-bench
	$(ASV) machine --yes
	$(ASV) check $(HERE)
	$(ASV) run $(HERE) --quick --dry-run

# The README's picture, of this machine: scaling.png and scaling.json.
scaling: .venv/.installed-plot
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/scaling.py --json scaling.json \
	    --picture scaling.png $(ARGS)

.venv/.installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv .asv build *.egg-info
