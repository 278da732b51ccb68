"""Tables of the runs in `holds.py`'s file: gain over the twin, worst task, regret."""

import hashlib
import json

import numpy as np
import pandas as pd
from _holds_witnesses import witnesses

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


def left_out(runs):
    """For each data set, the setting that the others would choose and its gain there.

    A setting's figure is its mean accuracy over the data sets, less what its worst task (beside
    its own twin) and its regret exceed the tolerated by. A method chooses among its own settings.
    Accuracy rather than gain, as a parameter that its twin feels too could gain by harming that.
    """
    settings = dict(list(runs.groupby(["method", "params"])))
    rows = []
    for method in dict.fromkeys(method for method, _ in settings):
        own = {params: by_dataset(r) for (name, params), r in settings.items() if name == method}
        common = sorted(set.intersection(*(set(table.index) for table in own.values())))
        for dataset in common:
            rest = [name for name in common if name != dataset]
            choice = max(own, key=lambda params: figure(own[params].loc[rest]))
            there = own[choice].loc[dataset]
            cells = [short(choice), there["gain"], there["worst task"], there["regret"]]
            rows.append([method, dataset, *cells])
    names = ["method", "left out", "chosen", "gain", "worst task", "regret"]
    return pd.DataFrame(rows, columns=names)


def figure(table):
    """Return what a setting is chosen by."""
    harm = (-TOLERATED_TASK - table["worst task"]).clip(lower=0)
    late = (table["regret"] - TOLERATED_REGRET).clip(lower=0)
    return (table["last"] - harm - late).mean()


def short(params):
    """Return parameters as they are written in a call."""
    return ", ".join(f"{name}={value}" for name, value in json.loads(params).items()) or "defaults"


def make_tables(lines):
    """Return Markdown: the gain of each setting by data set, each in full, and those left out."""
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
    return "\n\n".join(
        [
            "Mean gain over the twin (worst task; regret to the best epoch)",
            pd.DataFrame(overview).T.fillna("").to_markdown(),
            "Chosen on the other data sets",
            left_out(runs).to_markdown(index=False, floatfmt=".3f"),
            "Witnesses of failure, DANN: last 10 epochs of each run",
            witnesses(runs[runs["method"] == "dann"]).to_markdown(index=False),
            *full,
        ]
    )


def file_of(key, folder):
    """Return where the probabilities of a run are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha1(json.dumps(key).encode()).hexdigest()}.npz"


def ensembles(lines, folder):
    """Return by data set and method what the mean of probabilities gains over single members.

    Members are runs on the same rows, told apart by `random_state` alone; only their first
    probabilities, in the order of the states, are of any use where members lack.
    """
    groups = {}
    for line in lines:
        name, inputs, method, params, seed = line["key"]
        params = json.loads(params)
        if set(params) <= {"random_state"} and file_of(line["key"], folder).exists():
            member = params.get("random_state", seed)
            groups.setdefault((name, inputs, method, seed), {})[member] = line["key"]
    rows = []
    for (name, inputs, method, _), members in groups.items():
        if len(members) < N_MEMBERS:
            continue
        files = [np.load(file_of(key, folder)) for key in members.values()]
        y, each = files[0]["y"], np.array([file["p"] for file in files])
        single = np.mean(each.argmax(axis=2) == y)
        together = np.mean(each.mean(axis=0).argmax(axis=1) == y)
        dataset = name.split(":")[0]
        rows.append([dataset, name, inputs, method, single, together, together - single])
    columns = ["dataset", "name", "inputs", "method", "single", "together", "gain"]
    return pd.DataFrame(rows, columns=columns)
