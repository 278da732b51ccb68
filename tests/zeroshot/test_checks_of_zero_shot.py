"""Scikit-learn's checks on every variant of the zero-shot classifiers."""

from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.zeroshot import DAPClassifier, ESZSLClassifier, SemanticAutoencoderClassifier

VARIANTS = [
    DAPClassifier(),
    DAPClassifier(estimator=GaussianNB(), attribute_prior="uniform", candidates="all"),
    ESZSLClassifier(),
    ESZSLClassifier(kernel="rbf", search=None),
    SemanticAutoencoderClassifier(),
    SemanticAutoencoderClassifier(direction="decoder", candidates="all", calibration="auto"),
]


@parametrize_with_checks(VARIANTS)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)
