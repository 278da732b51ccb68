"""Feature augmentation."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression

from sktransfer import make_transfer_pipeline
from sktransfer.alignment import FeatureAugmentation
from tests.alignment.problems import shifted


def test_blocks():
    X, y, X_target = shifted()
    augmentation = FeatureAugmentation()
    y_target = np.zeros(len(X_target))
    aligned = augmentation.fit_transform(X, y, X_target, y_target)
    np.testing.assert_array_equal(aligned, np.hstack([X, X, np.zeros_like(X)]))
    np.testing.assert_array_equal(
        augmentation.transform(X_target),
        np.hstack([X_target, np.zeros_like(X_target), X_target]),
    )


def test_sparse_rows_stay_sparse():
    X, y, X_target = shifted()
    csr = scipy.sparse.csr_array
    augmentation = FeatureAugmentation()
    dense = augmentation.fit_transform(X, y, X_target, [0] * len(X_target))
    sparse = augmentation.fit_transform(csr(X), y, csr(X_target), [0] * len(X_target))
    assert sparse.format == augmentation.transform(csr(X_target)).format == "csr"
    np.testing.assert_array_equal(sparse.toarray(), dense)
    np.testing.assert_array_equal(
        augmentation.transform(csr(X_target)).toarray(), augmentation.transform(X_target)
    )


def test_without_labels_of_the_target_it_warns():
    X, y, X_target = shifted()
    with pytest.warns(UserWarning, match="no labels of the target"):
        FeatureAugmentation().fit(X, y, X_target)


@pytest.mark.filterwarnings("ignore:No step of the pipeline takes X_target:UserWarning")
def test_few_labels_teach_what_turned_about():
    # The second feature means the opposite in the target.
    gains = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y, y_target = rng.integers(0, 2, (2, 400))
        X = np.column_stack([y, 2 * y]) + 0.7 * rng.normal(size=(400, 2))
        X_target = np.column_stack([y_target, -2 * y_target]) + 0.7 * rng.normal(size=(400, 2))
        labels = np.full(400, None)
        labels[:20] = y_target[:20]
        scores = []
        for step in ("passthrough", FeatureAugmentation()):
            pipe = make_transfer_pipeline(step, LogisticRegression(max_iter=1000))
            pipe.fit(X, y, X_target, labels)
            scores.append(pipe.score(X_target[20:], y_target[20:]))
        gains.append(scores[1] - scores[0])
    assert np.mean(gains) > 0.1
