"""Run the benchmarks of speed, memory and accuracy and write their tables to RESULTS.md.

    python benchmarks/run.py [part ...]

Each part runs in a process of its own, and its section says when it was measured; the others
stay as they are. `make bench` runs all (an hour on two cores).
"""

import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = ("torch", "scikit-learn", "skorch", "skada", "transformers", "peft", "numpy")
PARTS = {
    "speed": (
        "Speed",
        "Medians over interleaved repeats; ratios are taken within a repeat. When training is "
        "over, `fit` looks\nonce at up to 2,000 rows of each domain (the shares of their classes). "
        "That is spread over the steps here;\nin a fit of one epoch of these images it is a third.",
    ),
    "wide_steps": (
        "Steps of wide features",
        "Losses of two batches of 64 rows, as the library takes them and by their definitions "
        "(differences of\nall pairs of rows, matrices of features by features), in turn: processor "
        "time of forward and backward\non one thread, and relative errors in single precision.",
    ),
    "loops": (
        "Fits beside loops by hand",
        "600 rows of each domain, 20 features, the default MLP, 30 epochs of 64 rows (500 "
        "episodes), one thread:\nprocessor time, in turn; the same losses and networks, and Adam "
        "in one kernel.",
    ),
    "footprint": ("Footprint", ""),
    "accuracy": ("Accuracy", "MNIST -> MNIST-M on the shipped digits."),
    "finetune_speed": ("Fine-tuning: speed", "Bodies have generated weights."),
    "cats_dogs": (
        "Fine-tuning: cats and dogs",
        "EfficientNet-Lite0 with its ImageNet weights, photos of 150x150.",
    ),
    "text": (
        "Fine-tuning: text",
        "all-MiniLM-L6-v2 tells from which part of SciPy a sentence of its documentation is.",
    ),
    "metrics_footprint": (
        "Metrics",
        "Two domains of 50,000 rows of 512 float32 features (the ranking scores: one of them; "
        "`leep` with 100\nsource classes); peak memory above the data.",
    ),
    "large_data": (
        "Data larger than memory",
        "An epoch of DANN on n rows of 500 float32 features in each domain, both in one mapped "
        "file; memory is\nthe peak of what is no file's, above that of a fit on 1,000 rows.",
    ),
}
HEAD = """# Speed, memory and accuracy beside others

Written by `make bench`, of which each part can be run by itself (`python benchmarks/run.py speed`)
and says when it was. Seconds depend on what else the machine does; compare within a table. What
takes longer stands in files of its own, such as [RESULTS_ADAPTATION.md](RESULTS_ADAPTATION.md).
"""


def main(names):
    """Run parts in turn, and put the table of each into the file as soon as it is there."""
    unknown = set(names) - set(PARTS)
    if unknown:
        raise SystemExit(f"no part {sorted(unknown)}; there are {list(PARTS)}")
    for name in names or PARTS:
        command = [sys.executable, str(HERE / f"{name}.py")]
        table = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        RESULTS.write_text(with_section(RESULTS.read_text(), name, table.strip()))
        print(table, flush=True)


def with_section(results, name, table):
    """Return the file's text with the section of one part written anew, in the order of `PARTS`."""
    sections = {
        match[1]: match[0].strip()
        for match in re.finditer(
            r"^## .*?\(`benchmarks/(\w+)\.py`\).*?(?=^## |\Z)", results, re.M | re.S
        )
    }
    title, words = PARTS[name]
    lines = [
        f"## {title} (`benchmarks/{name}.py`)",
        words,
        f"Measured on {date.today()}; {machine()}.",
    ]
    sections[name] = "\n\n".join([*filter(None, lines), table])
    return (
        "\n\n".join([HEAD.strip(), *(sections[part] for part in PARTS if part in sections)]) + "\n"
    )


def machine():
    """Return the CPU, Python and the packages whose speed matters here."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cpu_name()}, {os.cpu_count()} CPUs,\nPython {platform.python_version()}, {packages}"


def cpu_name():
    """Return the CPU's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
