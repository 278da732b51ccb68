"""Tables of the runs in `family.py`'s file, as Markdown."""

import json

import pandas as pd
from _family_problems import CHOICES, CLASS_SETS, FAMILY

GAMES = ("dann", "cdan", "confusion", "vada", "dirt-t")  # of the optimizer game_adam
TWINS = ("dann twin", "coral twin", "mcc twin")
WITHOUT_TWIN = ("logistic", "target", *TWINS)
LEAST_METHODS = 12  # for a task to stand in a table
METHODS = ("dann", "cdan", "confusion", "vada", "dirt-t", "coral", "dan", "jan", "jdot")
ORDER = ("logistic", *TWINS, *METHODS, "mcc", "mcd", "shot", "target")
WEIGHTS = {"lambda_", "pseudo_label_weight"}  # what is chosen without labels
SCORERS = {"Entropy": "entropy", "NeighborAgreement": "neighbors"}


def read(path):
    """Return the lines that were completed; and those of `holds.py` at defaults."""
    text = path.read_text().splitlines() if path.exists() else []
    lines = [json.loads(line) for line in text if line.endswith("}")]
    own = [line for line in lines if len(line["key"]) == 4]
    known = {json.dumps(line["key"]) for line in own}
    inputs = {problem.name: problem.inputs[0] for problem in FAMILY}
    for line in lines:
        task, *rest = line["key"]
        if len(rest) == 4 and rest[0] == inputs.get(task) and rest[2] == "{}":
            key = [task, *rest[1:]]
            if json.dumps(key) not in known:
                own.append({"key": key, "last": line["last"], "seconds": line["seconds"]})
    return own


def twin_of(method):
    """Return whose source-only network a method is compared with."""
    name = method.removesuffix(" weighted")
    return "dann twin" if name in GAMES else "coral twin" if name == "coral" else "mcc twin"


def to_frame(path):
    """Return a row for each run, with the accuracy of its twin."""
    columns = ["task", "method", "params", "seed"]
    runs = pd.DataFrame(
        [{**dict(zip(columns, line["key"], strict=True)), **line} for line in read(path)]
    )
    runs = runs[runs["task"].isin(problem.name for problem in FAMILY)]
    runs = runs.assign(dataset=runs["task"].str.split(":").str[0])
    accuracies = runs[runs["params"] == "{}"].set_index(["task", "method", "seed"])["last"]
    runs["twin"] = [
        accuracies.get((run.task, twin_of(run.method), run.seed)) for run in runs.itertuples()
    ]
    runs.loc[runs["method"].isin(WITHOUT_TWIN), "twin"] = None
    return runs.assign(gain=runs["last"] - runs["twin"])


def short(value, signed=False, digits=3):
    """Return a figure without the zero before its point."""
    if pd.isna(value):
        return ""
    return format(value, f"{'+' if signed else ''}.{digits}f").replace("0.", ".", 1)


def markdown(table, index=True):
    """Return a table whose figures stay as they are written."""
    return table.to_markdown(index=index, disable_numparse=True)


def accuracy(of):
    """Return the mean over tasks and seeds, and the spread of the seeds' means."""
    spread = of.groupby("seed")["last"].mean().std()
    mean = short(of.groupby("task")["last"].mean().mean())
    return mean + ("" if pd.isna(spread) else f" ±{short(spread)}")


def gain(of):
    """Return the mean gain over the twin, and that of the worst task."""
    if of["gain"].isna().any():
        return ""
    tasks = of.groupby("task")["gain"].mean()
    mean, worst = short(tasks.mean(), signed=True), short(tasks.min(), signed=True)
    return mean + ("" if len(tasks) == 1 else f" ({worst})")


def shared(runs, n_seeds):
    """Return the runs of so many seeds, on tasks that most methods have all of them on."""
    runs = runs[runs["seed"] < n_seeds]
    complete = runs.groupby(["task", "method"])["seed"].transform("nunique") == n_seeds
    runs = runs[complete]
    return runs[runs.groupby("task")["method"].transform("nunique") >= LEAST_METHODS]


def by_dataset(runs, cell):
    """Return a row for each method, a column for each data set; [n] where n tasks are not all."""
    numbers = runs.groupby("dataset")["task"].nunique()

    def counted(of):
        n_tasks = of["task"].nunique()
        complete = n_tasks == numbers[of["dataset"].iloc[0]]
        return cell(of) + ("" if complete else f" [{n_tasks}]")

    grouped = runs.groupby(["method", "dataset"], sort=False)[[*runs.columns]]
    table = grouped.apply(counted).unstack("dataset")
    datasets = dict.fromkeys(problem.dataset for problem in FAMILY)
    table = table.reindex(columns=[name for name in datasets if name in table])
    order = [name for name in ORDER if name in table.index]
    titles = {name: f"{name} [{n_tasks}]" for name, n_tasks in numbers.items()}
    return table.loc[order].rename(columns=titles).fillna("").pipe(markdown)


def class_sets(runs):
    """Return each method's accuracies, seed by seed, without and with weights."""
    runs = runs.assign(
        kind=["weighted" if name.endswith("weighted") else "" for name in runs["method"]],
        name=runs["method"].str.removesuffix(" weighted"),
    )
    cells = runs.sort_values("seed").groupby(["name", "task", "kind"], sort=False)["last"]
    table = cells.apply(lambda values: ", ".join(map(short, values))).unstack(["task", "kind"])
    table = table.sort_index(axis=1)
    table.columns = [" ".join(column).strip() for column in table.columns]
    return table.loc[list(dict.fromkeys(runs["name"]))].fillna("").pipe(markdown)


def choices(runs):
    """Return what a choice of the main weight among three gives, by method."""
    runs = runs[~runs["method"].isin(WITHOUT_TWIN)]
    rows = []
    for (task, seed, method), of in runs.groupby(["task", "seed", "method"], sort=False):
        if len(of) == 3:
            chosen = {name: of.loc[of[score].idxmax(), "last"] for name, score in SCORERS.items()}
            default = of.loc[of["params"] == "{}", "last"].item()
            row = {"task": task, "seed": seed, "method": method, "default": default}
            rows.append({**row, **chosen, "best": of["last"].max()})
    frame = pd.DataFrame(rows)
    figures = ["default", *SCORERS, "best"]
    return [
        frame.groupby(by, sort=False)[figures].mean().map(short).pipe(markdown)
        for by in ("method", "task")
    ]


def over_methods(runs):
    """Return what the scorers make of all runs of a task, methods and weights alike."""
    runs = runs[runs["entropy"].notna() & (runs["method"] != "target")]
    rows = []
    for (task, seed), of in runs.groupby(["task", "seed"], sort=False):
        if of["method"].nunique() < LEAST_METHODS:
            continue
        chosen = {
            name: of.loc[of[score].idxmax(), ["method", "last"]] for name, score in SCORERS.items()
        }
        cells = {name: f"{short(run['last'])} {run['method']}" for name, run in chosen.items()}
        best = of.loc[of["last"].idxmax()]
        row = {"task": task, "seed": seed, "mean": short(of["last"].mean()), **cells}
        rows.append({**row, "best": f"{short(best['last'])} {best['method']}"})
    return pd.DataFrame(rows).pipe(markdown, index=False)


def print_tables(path):
    """Print all."""
    runs = to_frame(path)
    at_defaults = runs[runs["params"] == "{}"]
    sets = at_defaults["dataset"].isin(CLASS_SETS)
    for n_seeds in (1, 3):
        own = shared(at_defaults[~sets], n_seeds)
        print(f"\n{n_seeds} seed(s): accuracy on the target [tasks]\n")
        print(by_dataset(own, accuracy))
        print(f"\n{n_seeds} seed(s): gain over the twin (worst task) [tasks]\n")
        print(by_dataset(own[~own["method"].isin(WITHOUT_TWIN)], gain))
    if sets.any():
        print("\nOther class sets, seed by seed\n")
        print(class_sets(at_defaults[sets]))
    of_weights = runs["params"].map(lambda params: set(json.loads(params)) <= WEIGHTS)
    tried = runs[runs["task"].isin(CHOICES) & of_weights]
    if (tried.groupby(["task", "seed", "method"]).size() == 3).any():
        print("\nA choice of the main weight among three\n")
        print("\n\n".join(choices(tried)))
        print("\nA choice among all methods and weights\n")
        print(over_methods(tried))
