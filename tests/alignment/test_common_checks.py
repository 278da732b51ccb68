"""Every aligner, in every variant of one table, passes scikit-learn's checks."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.alignment import (
    CORAL,
    JDA,
    TCA,
    DomainStandardScaler,
    FeatureAugmentation,
    OptimalTransport,
    SubspaceAlignment,
)

pytestmark = [pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning")]

VARIANTS = [
    DomainStandardScaler(),
    DomainStandardScaler(with_mean=False),
    DomainStandardScaler(with_std=False),
    CORAL(),
    CORAL(regularization=0.0, align_means=False),
    SubspaceAlignment(),
    SubspaceAlignment(n_components=1),
    TCA(),
    TCA(n_components=1, kernel="linear", regularization=0.1),
    TCA(kernel="laplacian", gamma=0.5),
    TCA(kernel=None),
    TCA(kernel="cosine", n_landmarks=5, random_state=0),
    JDA(),
    JDA(kernel="rbf", normalize=True),
    JDA(kernel="rbf", n_landmarks=5, random_state=0, estimator=LogisticRegression()),
    OptimalTransport(),
    OptimalTransport("exact"),
    OptimalTransport("sinkhorn", regularization=1.0),
    OptimalTransport("class_regularized"),
    FeatureAugmentation(),
]


@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


class TargetFromSource:
    """Takes the source for a target too where none is given, so that checks see alignment."""

    def fit(self, X, y=None, X_target=None, y_target=None, sample_weight=None):
        return super().fit(X, y, X if X_target is None else X_target, y_target, sample_weight)
