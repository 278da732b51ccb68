"""Tables of the runs in `holds.py`'s file: gain over the twin, nested choice, what fails."""

import hashlib
import json

import numpy as np
import pandas as pd
from _holds_witnesses import warnings_of_fit, witnesses

TWIN = " twin"
COLUMNS = ["name", "inputs", "method", "params", "seed"]
TASK = ["dataset", "name", "inputs"]
TOLERATED_TASK, TOLERATED_REGRET = 0.03, 0.02
# Parameters that a fit without a target does not feel: one twin serves all their values.
OF_TARGET = ("lambda_", "target_loss", "target_loss_weight", "gradient_penalty", "class_weighting")


def twin_params(params):
    """Return those of a method's parameters that its twin feels."""
    return {name: value for name, value in params.items() if name not in OF_TARGET}


def to_frame(lines):
    """Return a row for each run; ``twin`` and ``logistic`` are those of its problem and seed."""
    runs = pd.DataFrame(
        [{**dict(zip(COLUMNS, line["key"], strict=True)), **line} for line in lines]
    )
    runs["dataset"] = runs["name"].str.split(":").str[0]
    place = ["name", "inputs", "seed"]
    runs["twin params"] = [
        json.dumps(twin_params(json.loads(params)), sort_keys=True) for params in runs["params"]
    ]
    is_twin = runs["method"].str.endswith(TWIN)
    own = [*place, "method", "twin params"]
    twins = runs[is_twin].assign(method=runs["method"].str.removesuffix(TWIN)).drop_duplicates(own)
    logistic = runs[runs["method"] == "logistic"]
    runs = runs[~is_twin & (runs["method"] != "logistic")]
    for name, other, by in (("twin", twins, own), ("logistic", logistic, place)):
        figures = other[[*by, "last"]].rename(columns={"last": name})
        runs = runs.merge(figures, how="left", on=by)
    return runs.assign(gain=runs["last"] - runs["twin"], regret=runs["best"] - runs["last"])


def by_dataset(runs):
    """Return mean figures of each data set, and its worst task in the mean of seeds."""
    columns = ["logistic", "twin", "last", "best", "gain", "regret", "seconds"]
    of_task = runs.groupby(TASK)[columns].mean()
    table = of_task.groupby(level="dataset").mean()
    table.insert(5, "worst task", of_task["gain"].groupby(level="dataset").min())
    table.insert(0, "runs", runs.groupby("dataset").size())
    return table


def figures(settings):
    """Return a row for each setting and a column for each data set left out, and for none.

    A setting's figure is its mean accuracy over the data sets, less what its worst task (beside
    its own twin) and its regret exceed the tolerated by. Accuracy rather than gain, as a parameter
    that its twin feels too could gain by harming that.

    Parameters
    ----------
    settings : dict
        Of parameters, what `by_dataset` says of their runs, for the same data sets.
    """
    each = {}
    for params, table in settings.items():
        harm = (-TOLERATED_TASK - table["worst task"]).clip(lower=0)
        late = (table["regret"] - TOLERATED_REGRET).clip(lower=0)
        each[params] = table["last"] - harm - late
    each = pd.DataFrame(each).T
    folds = {name: each.drop(columns=name).mean(axis=1) for name in each}
    return pd.DataFrame({"none": each.mean(axis=1), **folds})


def left_out(runs):
    """Return what a method's settings are chosen by, and what is chosen for each data set.

    The settings are judged on the runs that all of them have.
    """
    grids, choices = [], []
    for method, own in runs.groupby("method", sort=False):
        runs_of = dict(list(own.groupby("params", sort=False)))
        place = [*TASK, "seed"]
        common = set.intersection(*(set(map(tuple, r[place].values)) for r in runs_of.values()))
        settings = {
            short(params): by_dataset(r[[tuple(at) in common for at in r[place].values]])
            for params, r in runs_of.items()
        }
        table = figures(settings)
        grids.append(pd.concat({method: table}))
        for name in table.columns[1:]:
            choice = table[name].idxmax()
            there = settings[choice].loc[name, ["gain", "worst task", "regret"]]
            choices.append([method, name, choice, *there])
    columns = ["method", "left out", "chosen", "gain", "worst task", "regret"]
    return pd.concat(grids), pd.DataFrame(choices, columns=columns)


def short(params):
    """Return parameters as they are written in a call."""
    return ", ".join(f"{name}={value}" for name, value in json.loads(params).items()) or "defaults"


def below_bars(runs):
    """Return the tasks (means of seeds) at the defaults that lose or that over-train."""
    runs = runs[runs["params"] == "{}"]
    columns = ["twin", "last", "best", "gain", "regret"]
    tasks = runs.groupby(["method", "name", "inputs"])[columns].mean()
    kept = (tasks["gain"] < -TOLERATED_TASK) | (tasks["regret"] > TOLERATED_REGRET)
    return tasks[kept].reset_index()


def ensembles(lines, folder):
    """Return by data set and method what the mean of probabilities gains over single members.

    Members are runs on the same rows that differ in `random_state` alone.
    """
    groups = {}
    for line in lines:
        name, inputs, method, params, seed = line["key"]
        params, file = json.loads(params), file_of(line["key"], folder)
        if set(params) <= {"random_state"} and file.exists():
            groups.setdefault((name, inputs, method, seed), {})[json.dumps(params)] = file
    rows = []
    for (name, _, method, _), members in groups.items():
        if len(members) > 1:
            files = [np.load(file) for file in members.values()]
            y, each = files[0]["y"], np.array([file["p"] for file in files])
            single = np.mean(each.argmax(axis=2) == y)
            together = np.mean(each.mean(axis=0).argmax(axis=1) == y)
            rows.append([name.split(":")[0], method, len(files), together - single])
    columns = ["dataset", "method", "members", "gain"]
    return pd.DataFrame(rows, columns=columns).pivot_table("gain", "method", "dataset")


def file_of(key, folder):
    """Return where the probabilities of a run are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha1(json.dumps(key).encode()).hexdigest()}.npz"


def make_tables(lines, probabilities=None):
    """Return Markdown: settings by data set, the nested choice, what fails, what warns."""
    runs = to_frame(lines)
    overview, full = {}, []
    for (method, params), own in runs.groupby(["method", "params"]):
        table = by_dataset(own)
        title = f"{method}, {short(params)}"
        overview[title] = {
            dataset: f"{row.gain:+.3f} ({row['worst task']:+.2f}; {row.regret:.3f})"
            for dataset, row in table.iterrows()
        }
        full.append(f"### {title}\n\n{table.to_markdown(floatfmt='.3f')}")
    grid, choices = left_out(runs)
    parts = {
        "Mean gain over the twin (worst task; regret to the best epoch)": pd.DataFrame(overview).T,
        "What a setting is chosen by, with a data set left out": grid,
        "Chosen on the other data sets": choices,
        "Below the bars": below_bars(runs),
        "Warnings of fit": warnings_of_fit(runs),
        "Witnesses of failure, DANN: last 10 epochs": witnesses(runs[runs["method"] == "dann"]),
    }
    if probabilities is not None:
        parts["What an ensemble gains over its members"] = ensembles(lines, probabilities)
    markdown = (
        f"{name}\n\n{t.fillna('').to_markdown(floatfmt='.3f')}" for name, t in parts.items()
    )
    return "\n\n".join([*markdown, *full])
