"""Run all benchmarks and write their tables, with the machine's CPU, to RESULTS.md.

make bench
"""

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import accuracy
import cats_dogs
import finetune_speed
import footprint
import large_data
import metrics_footprint
import scorers
import speed
import text

RESULTS = Path(__file__).with_name("RESULTS.md")


def cpu_name():
    """Return the CPU's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main():
    """Write the file and print it."""
    packages = ("torch", "scikit-learn", "skorch", "skada", "transformers", "peft", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    results = f"""# Benchmark results

Written by `make bench` on {date.today()}; {cpu_name()}, {os.cpu_count()} CPUs, Python
{platform.python_version()}, {versions}.

What is run by itself stands in [RESULTS_ADAPTATION.md](RESULTS_ADAPTATION.md).

## Speed (`benchmarks/speed.py`)

Medians over interleaved repeats; ratios are taken within a repeat.

{speed.main()}

## Footprint (`benchmarks/footprint.py`)

{footprint.main()}

## Accuracy (`benchmarks/accuracy.py`)

{accuracy.main()}

## Fine-tuning: speed (`benchmarks/finetune_speed.py`)

Bodies have generated weights.

{finetune_speed.main()}

## Fine-tuning: cats and dogs (`benchmarks/cats_dogs.py`)

EfficientNet-Lite0 with its ImageNet weights, photos of 150x150.

{cats_dogs.main()}

## Fine-tuning: text (`benchmarks/text.py`)

all-MiniLM-L6-v2 tells from which part of SciPy a sentence of its documentation is.

{text.main()}

## Choosing without target labels (`benchmarks/scorers.py`)

{scorers.main()}

## Metrics (`benchmarks/metrics_footprint.py`)

{metrics_footprint.main()}

## Data larger than memory (`benchmarks/large_data.py`)

{large_data.main()}
"""
    RESULTS.write_text(results)
    print(results)


if __name__ == "__main__":
    main()
