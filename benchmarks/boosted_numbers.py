"""TrAdaBoost for numbers beside plain boosting and a line, on noisy rows without any shift.

    python benchmarks/boosted_numbers.py

Random halves of scikit-learn's diabetes patients, of whom 40 of the target are labelled: R^2 on
the other ones of the target, mean and standard deviation of four draws.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import AdaBoostRegressor
from sklearn.linear_model import Ridge

from sktransfer import PriorTransferRegressor, TrAdaBoostRegressor, TwoStageTrAdaBoostRegressor

N_SOURCE, N_LABELLED, SEEDS = 220, 40, range(4)


def halves(seed):
    """Return rows and values of both domains, drawn from one table."""
    X, y = load_diabetes(return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    source, target = order[:N_SOURCE], order[N_SOURCE:]
    return X[source], y[source], X[target], y[target]


def scores(seed):
    """Return R^2 of each method on the rows of the target without label."""
    X, y, X_target, y_target = halves(seed)
    few, few_values = X_target[:N_LABELLED], y_target[:N_LABELLED]
    both, both_values = np.concatenate([X, few]), np.concatenate([y, few_values])
    target = {"X_target": few, "y_target": few_values}
    line = Ridge(0.1)
    fitted = {
        "AdaBoost of both domains' rows": AdaBoostRegressor(random_state=seed).fit(
            both, both_values
        ),
        "TrAdaBoost.R2": TrAdaBoostRegressor(random_state=seed).fit(X, y, **target),
        "two stages": TwoStageTrAdaBoostRegressor(random_state=seed).fit(X, y, **target),
        "TrAdaBoost.R2 of Ridge(0.1)": TrAdaBoostRegressor(line, random_state=seed).fit(
            X, y, **target
        ),
        "two stages of Ridge(0.1)": TwoStageTrAdaBoostRegressor(line, random_state=seed).fit(
            X, y, **target
        ),
        "PriorTransferRegressor": PriorTransferRegressor().fit(X, y, **target),
        "Ridge(0.1) of the labelled rows": Ridge(0.1).fit(few, few_values),
    }
    held_out = X_target[N_LABELLED:], y_target[N_LABELLED:]
    return {name: model.score(*held_out) for name, model in fitted.items()}


if __name__ == "__main__":
    runs = [scores(seed) for seed in SEEDS]
    for name in runs[0]:
        found = [run[name] for run in runs]
        print(f"{name:32} {np.mean(found):.2f} +- {np.std(found, ddof=1):.2f}")
