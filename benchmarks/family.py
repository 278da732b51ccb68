"""The deep family at its defaults, on tasks that defaults were chosen on and on others.

    python benchmarks/family.py RUNS.jsonl [--method NAME ...] [--part screened] [--seeds 0 1 2]
    python benchmarks/family.py RUNS.jsonl --table

Every run adds one line of JSON to the file, as in `holds.py`, of which this is a selection of
tasks; a run whose line stands there is not made again. Methods of one optimizer share a twin.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
from _family_problems import FAMILY
from holds import METHODS, TWIN, key_of, make_run, read

# Whose `source_only()` is the twin of all that have its optimizer.
GAMES = ("dann", "cdan", "confusion", "vada", "dirt-t")
TWINS = {name: ("dann" if name in GAMES else "coral") + TWIN for name in METHODS}
RUNS = ["logistic", *dict.fromkeys(TWINS.values()), *METHODS]


def make_runs(args):
    """Make the runs that lack."""
    done = {json.dumps(line["key"]) for line in read(args.runs)}
    for seed in args.seeds:
        for part in args.part:
            for problem in FAMILY[part]:
                if args.datasets and problem.dataset not in args.datasets:
                    continue
                for method in args.method:
                    params = {} if method == "logistic" else args.params
                    key = key_of(problem, problem.inputs[0], method, params, seed)
                    if json.dumps(key) in done:
                        continue
                    record = make_run(problem, problem.inputs[0], seed, method, params)
                    with args.runs.open("a") as file:
                        file.write(json.dumps({"key": key, **record}) + "\n")
                    print(
                        *key, *(round(record[name], 3) for name in ("last", "seconds")), flush=True
                    )


def to_frame(path):
    """Return a row for each run of the family's tasks, with the accuracy of its twin."""
    parts = {problem.name: part for part, own in FAMILY.items() for problem in own}
    rows = [
        {
            **dict(zip(("task", "inputs", "method", "params", "seed"), line["key"], strict=True)),
            "accuracy": line["last"],
            "best": line.get("best"),
        }
        for line in read(path)
        if line["key"][0] in parts and line["key"][1] in ("source", "raw")
    ]
    runs = pd.DataFrame(rows)
    runs["part"] = runs["task"].map(parts)
    runs["dataset"] = runs["task"].str.split(":").str[0]
    inputs = {"lenet": "raw"}
    runs = runs[runs["inputs"] == runs["dataset"].map(lambda name: inputs.get(name, "source"))]
    place = ["task", "seed", "twin_of"]
    runs["twin_of"] = runs["method"].map(TWINS)
    twins = runs[runs["method"].str.endswith(TWIN)]
    twins = twins.assign(twin_of=twins["method"])[[*place, "accuracy"]]
    return runs.merge(twins.rename(columns={"accuracy": "twin"}), how="left", on=place)


def short(params):
    """Return parameters as they are written in a call."""
    return ", ".join(f"{name}={value}" for name, value in json.loads(params).items())


def make_table(runs):
    """Return Markdown: mean accuracy of each method and data set, gain, worst task, tasks."""
    rows = {}
    for (method, params), own in runs.groupby(["method", "params"], sort=False):
        cells = {}
        for dataset, of in own.groupby("dataset", sort=False):
            tasks = of.groupby("task")[["accuracy", "twin"]].mean()
            spread = of.groupby("seed")["accuracy"].mean().std()
            cell = f"{tasks['accuracy'].mean():.3f}"
            cell += "" if pd.isna(spread) else f" ±{spread:.3f}"
            if tasks["twin"].notna().all():
                gains = tasks["accuracy"] - tasks["twin"]
                cell += f" ({gains.mean():+.3f}; {gains.min():+.2f})"
            cells[dataset] = f"{cell} [{len(tasks)}]"
        rows[f"{method} {short(params)}".strip()] = cells
    return pd.DataFrame(rows).T.fillna("").to_markdown()


def main():
    """Make the runs that are asked for and lack, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--method", nargs="+", default=RUNS)
    parser.add_argument("--params", type=json.loads, default={})
    parser.add_argument("--part", nargs="+", default=list(FAMILY))
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if not args.table:
        make_runs(args)
        return
    runs = to_frame(args.runs)
    runs = runs[runs["seed"].isin(args.seeds)]
    for part in FAMILY:
        own = runs[runs["part"] == part]
        seeds = ", ".join(map(str, sorted(own["seed"].unique())))
        print(
            f"\n{part}, seeds {seeds}: accuracy ± over seeds (gain over twin; worst task) [tasks]\n"
        )
        print(make_table(own))


if __name__ == "__main__":
    main()
