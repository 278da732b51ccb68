"""Runs whose figures go into a file of JSON lines, each once: a killed benchmark goes on."""

import json
import warnings
from pathlib import Path

import pandas as pd


def run_missing(path, keys, run):
    """Call `run` for each key that has no line yet, and append its accuracies by name."""
    done = {json.dumps(line["key"]) for line in read(path)}
    for key in keys:
        if json.dumps(list(key)) in done:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line = {"key": list(key), "accuracy": float(run(*key))}
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(*line["key"], round(line["accuracy"], 3), flush=True)


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
