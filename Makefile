# make train ARGS="--dataset=svhn --mixer=mixup --k=4"
# Everything runs in .venv, which is made on first use. PYTHON names the interpreter to make it from.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# make soak BAR=kills MINUTES=45; without BAR every bar that is not complete; BAR=table shows the state of all.
MINUTES ?= 45
# Tests for every edit: configuration, mixing, losses, layers, metrics, input pipeline and a few training steps.
FAST := tests/config/test_config.py tests/test_mixing.py tests/test_losses.py tests/networks/test_layers.py \
    tests/metrics tests/data/test_pipeline.py tests/models/test_vae.py

.PHONY: train bench gpu-check docs test test-fast test-all test-soak test-engines test-next test-slurm soak lint clean

train: $(VENV)/.installed
	$(BIN)/python -m amr_tf.train $(ARGS)

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.train_step $(ARGS)

# About 10 minutes on a GPU; writes gpu_check.json.
gpu-check: $(VENV)/.installed
	$(BIN)/python -m benchmarks.gpu_check $(ARGS)

# The site, in build/docs; building it takes no network.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -n -b html docs build/docs

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto $(ARGS)

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto $(FAST) $(ARGS)

# The slow tests of a file share fixtures and ports, so one process runs them all.
test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto $(ARGS)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not soak" $(ARGS)

# More cases of the slow tests: every recipe at full size, every way to run a step, hostile names by the hundred.
test-soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m soak $(ARGS)

# Engines without TensorFlow, in two environments of their own: OpenVINO, Keras on JAX and PyTorch, and the Hub's client; then
# servers of the Open Inference Protocol, Triton and KServe, whose packages need an older NumPy.
test-engines: $(VENV)/.installed-dev
	@test -x .venv-engines/bin/python || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --disable-pip-version-check openvino==2026.4.1 keras==3.15.1 jax torch \
	    huggingface_hub
	@test -x .venv-servers/bin/python || $(PYTHON) -m venv .venv-servers
	.venv-servers/bin/python -m pip install --disable-pip-version-check nvidia-pytriton==0.7.0 kserve==0.21.0 \
	    onnxruntime==1.32.0
	SERVERS_PYTHON=$(CURDIR)/.venv-servers/bin/python \
	    OPENVINO_PYTHON=$(CURDIR)/.venv-engines/bin/python KERAS_PYTHON=$(CURDIR)/.venv-engines/bin/python \
	    $(BIN)/python -m pytest -m engines $(ARGS)

# The newest pre-releases of TensorFlow and Keras, in an environment of their own: what would break.
NEXT := tests/test_golden.py tests/test_golden_gaia.py tests/models/test_step.py tests/test_recorded_runs.py \
    tests/training/test_experiment.py tests/serving/test_export.py
test-next:
	@test -x .venv-next/bin/python || $(PYTHON) -m venv .venv-next
	sed -E 's/,<[0-9.]+//' requirements.txt > .venv-next/requirements.txt
	.venv-next/bin/python -m pip install --disable-pip-version-check -r .venv-next/requirements.txt \
	    pytest pytest-timeout pytest-xdist hypothesis psutil
	.venv-next/bin/python -m pip install --disable-pip-version-check --pre -U tensorflow keras
	.venv-next/bin/python -m pytest $(NEXT) $(ARGS)

# Debian: apt install --no-install-recommends slurmctld slurmd slurm-client munge
test-slurm: $(VENV)/.installed-dev
	tests/slurm/with_slurm.sh $(BIN)/python -m pytest -m slurm $(ARGS)

soak: $(VENV)/.installed-dev
	$(BIN)/python -m tests.reliability.soak $(BAR) --minutes=$(MINUTES)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/codespell

clean:
	rm -rf $(VENV) .venv-engines .venv-servers .venv-next build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are touched last: an install that was cut short is taken up again, a finished one is left alone. An
# environment in which pip does not run was itself cut short and is made anew.
$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	    2>/dev/null || { echo "amr_tf needs Python 3.11 to 3.13 with venv (Debian: apt install python3-venv)." \
	    "Received: PYTHON=$(PYTHON). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) -r requirements.txt -e .
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	$(INSTALL) -r requirements-docs.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-docs.txt
	$(INSTALL) -r requirements-dev.txt
	@touch $@
