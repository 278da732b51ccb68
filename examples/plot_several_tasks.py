"""
Machines that are alike, opposed or strangers
=============================================

Twelve machines, fifteen measurements of each. Five wear by the same law, five by its opposite, two
by laws of their own, and nobody has written down which. Learned together, the machines' relations
come out of the data, and a machine borrows rows from those that are like it, or the opposite of it.
The last part does the same with the schools of a city, where their file is at hand.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sktransfer.displays import TaskCovarianceDisplay, TaskScoresDisplay
from sktransfer.multitask import (
    MeanRegularizedRegressor,
    MultiTaskRegressor,
    TaskRelationshipRegressor,
)

SCHOOLS = Path("school.npz")

# %%
# The machines. Laws are weights of ten readings; alike ones differ a little from one another.

generator = np.random.default_rng(0)
law, *others = generator.normal(size=(3, 10))
kinds = generator.permutation(["like"] * 5 + ["opposite"] * 5 + ["stranger"] * 2)
laws = np.array(
    [
        {"like": law, "opposite": -law}[kind] if kind != "stranger" else others.pop()
        for kind in kinds
    ]
)
laws += 0.2 * generator.normal(size=laws.shape)
names = np.array([f"{kind} {number}" for number, kind in enumerate(kinds)])


def measure(n_rows):
    """Return readings, wear and the names of the machines."""
    machine = np.repeat(np.arange(len(laws)), n_rows)
    X = generator.normal(size=(len(machine), 10))
    wear = (X * laws[machine]).sum(axis=1) + generator.normal(size=len(machine))
    return X, wear, names[machine]


X, y, machine = measure(15)
X_test, y_test, machine_test = measure(200)

# %%
# Three ways to learn, each with its strength by cross-validation: each machine alone, all drawn to
# a mean (which the opposites put to zero), and with relations.

candidates = {
    "each alone": MeanRegularizedRegressor(mean_strength=np.inf),
    "drawn to a mean": MeanRegularizedRegressor(),
    "with relations": TaskRelationshipRegressor(),
}
folds = [*StratifiedKFold(3, shuffle=True, random_state=0).split(X, machine)]
models, scores = {}, {}
for name, model in candidates.items():
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, {"strength": [0.1, 0.3, 1.0, 3.0]}, cv=folds)
        models[name] = search.fit(X, y, task=machine).best_estimator_
    scores[name] = models[name].score(X_test, y_test, task=machine_test)
    print(f"{name:16} mean R^2 {scores[name]:.3f}")

figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
related = models["with relations"]
covariance = TaskCovarianceDisplay.from_estimator(related, ax=axes[0])
first = TaskScoresDisplay.from_estimator(
    related, X_test, y_test, task=machine_test, name="with relations", ax=axes[1]
)
second = TaskScoresDisplay.from_estimator(
    models["each alone"],
    X_test,
    y_test,
    task=machine_test,
    name="each alone",
    order=first.order_,
    ax=axes[1],
    line_kwargs={"color": "#D55E00", "marker": "D"},
)

# %%
# A network shares a body, and so what is curved. Here wear grows by the absolute value of a
# reading, on all machines alike but for their level; linear models see the level alone.

levels = np.linspace(-1, 1, len(names))
curved = [
    np.abs(rows[:, 0]) + levels[np.searchsorted(np.sort(names), of)] + noise
    for rows, of in ((X, machine), (X_test, machine_test))
    for noise in [0.2 * generator.normal(size=len(rows))]
]
network = MultiTaskRegressor(max_epochs=150, random_state=0).fit(X, curved[0], task=machine)
linear = MeanRegularizedRegressor().fit(X, curved[0], task=machine)
curved_scores = [m.score(X_test, curved[1], task=machine_test) for m in (network, linear)]
print("curved wear: network {:.3f}, linear {:.3f}".format(*curved_scores))

# %%
# Schools: examination scores of 15,362 pupils of 139 schools, where ``school.npz`` (of the MALSAR
# project) lies beside this script.

if SCHOOLS.exists():
    data = np.load(SCHOOLS)
    pupils, marks, school = data["X"].astype(float), data["y"].astype(float), data["school"]
    train = np.random.default_rng(0).random(len(marks)) < 0.75
    pupils = (pupils - pupils[train].mean(axis=0)) / np.maximum(pupils[train].std(axis=0), 1e-9)
    reg = TaskRelationshipRegressor(strength=10.0, mean_strength=0.001)
    reg.fit(pupils[train], marks[train], task=school[train])
    residual = marks[~train] - reg.predict(pupils[~train], task=school[~train])
    print(f"schools: explained variance {1 - np.mean(residual**2) / np.var(marks[~train]):.3f}")
    TaskCovarianceDisplay.from_estimator(reg)

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
