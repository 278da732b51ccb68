"""Runs whose figures go into a file of JSON lines, each once: a killed benchmark goes on."""

import json
import warnings
from functools import partial
from pathlib import Path

import pandas as pd


def run_missing(path, keys, run):
    """Call `run` for each key that has no line yet, and append the accuracy that it returns."""

    def accuracy_of(key):
        return {"accuracy": float(run(*key))}

    record_missing(path, ((key, partial(accuracy_of, key)) for key in keys))


def record_missing(path, runs, lines=None):
    """Make each run that has no line yet, and append the figures that it returns by name.

    A run is a pair of its key and a function without arguments. The lines that there are stand
    in the file, unless others are given.
    """
    done = {json.dumps(line["key"]) for line in (read(path) if lines is None else lines)}
    for key, make in runs:
        name = json.dumps(list(key))
        if name in done:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figures = make()
        done.add(name)
        with Path(path).open("a") as file:
            file.write(json.dumps({"key": list(key), **figures}) + "\n")
        shown = {name: round(f, 4) for name, f in figures.items() if isinstance(f, float)}
        print(*key, shown, flush=True)


def read(path):
    """Return the lines that were completed."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def table(path, names, rows, column):
    """Return Markdown of mean and standard deviation over seeds."""
    lines = read(path)
    frame = pd.DataFrame([line["key"] for line in lines], columns=names)
    frame["accuracy"] = [line["accuracy"] for line in lines]
    cells = frame.groupby([*rows, column], sort=False)["accuracy"].agg(
        lambda values: f"{values.mean():.3f} ± {values.std():.3f} ({len(values)})"
    )
    return cells.unstack(column).fillna("").to_markdown()
