"""
Label shift: a clinic where the disease has become frequent
===========================================================

A classifier learned from a table of patients when one in ten was ill. Winter comes, and it is four
in ten. Symptoms of the ill are what they were, so every probability is off by the same odds, and
these can be estimated from patients without a diagnosis.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from sktransfer.instance import LabelShiftClassifier

SHARES = [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


# %%
# Temperature, heart rate, a blood value and age; the ill are somewhat higher in the first three.


def draw_patients(share, n_patients, generator):
    """Return a table of patients and whether each is ill."""
    ill = generator.random(n_patients) < share
    temperature = generator.normal(36.8, 0.5, n_patients) + 0.6 * ill
    heart_rate = generator.normal(74, 10, n_patients) + 9 * ill
    blood = generator.lognormal(1.0 + 0.6 * ill, 0.5)
    age = generator.uniform(18, 90, n_patients)
    return np.column_stack([temperature, heart_rate, blood, age]), ill


generator = np.random.default_rng(0)
X, y = draw_patients(0.1, 4000, generator)
boosting = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.05, random_state=0)
clf = LabelShiftClassifier(boosting, random_state=0)

# %%
# ``fit`` gets the labelled patients of summer and, as the target, unlabelled ones of winter. The
# share of the ill comes with an interval, the shift with a test.

X_winter, y_winter = draw_patients(0.4, 1500, generator)
clf.fit(X, y, X_target=X_winter)
low, high = clf.target_priors_interval_[:, 1]
print(f"estimated share {clf.target_priors_[1]:.3f} ({low:.3f} to {high:.3f})")
print(f"true share {y_winter.mean():.3f}, shift: p = {clf.p_value_:.1g}")
print(f"accuracy {boosting.fit(X, y).score(X_winter, y_winter):.3f} as it is")
print(f"accuracy {clf.score(X_winter, y_winter):.3f} corrected")

# %%
# The same fit serves any month: ``adapt`` estimates anew. With no shift, at 10%, nothing is lost.

rows = []
for share in SHARES:
    X_month, y_month = draw_patients(share, 1500, generator)
    clf.adapt(X_month)
    found, interval = clf.target_priors_[1], clf.target_priors_interval_[:, 1]
    plain = clf.estimator_.score(X_month, y_month)
    rows.append([y_month.mean(), found, *interval, plain, clf.score(X_month, y_month)])
true, found, low, high, plain, corrected = np.array(rows).T

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
axes[0].plot([0, 0.65], [0, 0.65], color="0.6", ls=":", lw=1)
axes[0].errorbar(true, found, [found - low, high - found], fmt="o", color="#D55E00", capsize=3)
axes[0].set(xlabel="true share of the ill", ylabel="estimated share", title="95% intervals")
axes[1].plot(true, plain, "o-", color="#0072B2", label="as it is")
axes[1].plot(true, corrected, "D-", color="#D55E00", label="corrected")
axes[1].axvline(0.1, color="0.4", ls=":", lw=1)
axes[1].text(0.105, plain.min(), "source", color="0.4")
axes[1].set(xlabel="true share of the ill", ylabel="accuracy", title="a month's patients")
axes[1].legend()

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
