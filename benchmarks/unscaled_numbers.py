"""What the default network learns from numbers that are not of the size of 1.

    python benchmarks/unscaled_numbers.py

Random halves of scikit-learn's diabetes patients (R^2) and wines (accuracy), standardised and then
moved or scaled alike in both domains: mean and standard deviation of three seeds on the second
half, and whether `fit` warned.
"""

import warnings

import numpy as np
from sklearn.datasets import load_diabetes, load_wine
from sklearn.preprocessing import StandardScaler

from sktransfer import DANNClassifier, DANNRegressor, FineTuneRegressor, MultiTaskRegressor

SEEDS = range(3)
CHANGES = {
    "standardised": lambda X: X,
    "means of 3 standard deviations": lambda X: X + 3,
    "means of 6": lambda X: X + 6,
    "means of 10": lambda X: X + 10,
    "scaled by .05": lambda X: 0.05 * X,
    "scaled by 5": lambda X: 5 * X,
    "scaled by 50": lambda X: 50 * X,
}


def score(model, X, y, seed):
    """Return the score on half of the rows, learned from the other half, and whether it warned."""
    order = np.random.RandomState(seed).permutation(len(X))
    first, second = np.array_split(order, 2)
    tasks = isinstance(model, MultiTaskRegressor)
    y = y[:, np.newaxis] if tasks else y
    adapts = isinstance(model, (DANNClassifier, DANNRegressor))
    target = {"X_target": X[second]} if adapts else {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.set_params(random_state=seed).fit(X[first], y[first], **target)
    told = any("The columns" in str(warning.message) for warning in said)
    return model.score(X[second], y[second]), told


if __name__ == "__main__":
    diabetes, wine = load_diabetes(return_X_y=True), load_wine(return_X_y=True)
    for model, (X, y) in [
        (DANNRegressor(), diabetes),
        (FineTuneRegressor(), diabetes),
        (MultiTaskRegressor(), diabetes),
        (DANNClassifier(), wine),
    ]:
        for name, change in CHANGES.items():
            rows = change(StandardScaler().fit_transform(X))
            found = [score(model, rows, y, seed) for seed in SEEDS]
            told = "warns" if all(told for _, told in found) else ""
            values = [value for value, _ in found]
            shown = f"{np.mean(values):6.2f} ({np.std(values):.2f})"
            print(f"{type(model).__name__:20} {name:32} {shown} {told}", flush=True)
