# Each target sets up all that it needs, in an environment of its own, and does so again
# only when pyproject.toml or the constraints have changed. PYTHON chooses the interpreter.
PYTHON ?= python3
# `make docs GALLERY=0` leaves the examples unexecuted, which takes half a minute.
GALLERY ?= 1
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# Each process takes neighbouring tests, so that what they share is made once, and in the end some
# of those that the other has left; one thread for each.
PYTEST = -m pytest -n 2 --dist worksteal -q

.NOTPARALLEL:
.PHONY: demo docs test test-fast test-accuracy test-oldest lint package bench clean

demo: .venv/.installed-examples
	.venv/bin/python examples/plot_dann_mnist_m.py

test: .venv/.installed-test
	@echo "All tests, doctests and examples, in two processes: some minutes."
	SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 .venv/bin/python $(PYTEST)

# What can be known in three minutes: without the marker `slow`.
test-fast: .venv/.installed-test
	@echo "Tests without those that are slow, in two processes: up to three minutes."
	SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 .venv/bin/python $(PYTEST) -m "not slow"

# Tests that rest on trained accuracies, as other processors and more threads make them come out.
# Only their files are collected; threads that wait for each other leave the processors free.
ACCURACY = -m accuracy $(shell grep -rl --include='test_*.py' 'mark\.accuracy' tests)
test-accuracy: .venv/.installed-test
	ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 .venv/bin/python $(PYTEST) $(ACCURACY)
	ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=3 OMP_WAIT_POLICY=passive .venv/bin/python $(PYTEST) $(ACCURACY)

lint: .venv/.installed-lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --strict --follow-imports=silent tests/typing_script.py

package: .venv/.installed-package
	.ci/smoke_packages .venv/bin/python

docs: .venv/.installed-docs
	OMP_NUM_THREADS=1 .venv/bin/python -m sphinx -W --keep-going -q -D plot_gallery=$(GALLERY) docs docs/_build/html
	@echo "open docs/_build/html/index.html"

test-oldest: .venv-oldest/.installed-test
	OMP_NUM_THREADS=1 .venv-oldest/bin/python $(PYTEST) -m "not slow" tests/test_common.py tests/adaptation tests/alignment tests/finetuning tests/instance tests/parameters tests/persistence

bench: .venv-bench/.installed-bench
	.venv-bench/bin/python benchmarks/run.py

.venv/.installed-%: pyproject.toml constraints.txt
	@echo "Setting up .venv for '$*': torch and its company, minutes the first time."
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) -c constraints.txt -e '.[$*]'
	touch $@

.venv-oldest/.installed-%: pyproject.toml constraints-oldest.txt
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python $(PIP_INSTALL) -c constraints-oldest.txt -e '.[$*]'
	touch $@

.venv-bench/.installed-%: pyproject.toml constraints.txt
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) -c constraints.txt -e '.[$*]'
	touch $@

clean:
	rm -rf .venv .venv-oldest .venv-bench .venv-package build dist docs/_build docs/auto_examples docs/generated .hypothesis .mypy_cache .ruff_cache .pytest_cache
