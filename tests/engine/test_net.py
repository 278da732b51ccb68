"""What skorch's face of a fitted estimator does, and what it leaves to the estimator."""

import numpy as np
import pytest

from sktransfer import DANNClassifier


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_is_left_to_the_estimator_and_the_weights_stay(domains, method):
    X, y, X_target = domains
    clf = DANNClassifier(max_epochs=1, random_state=0).fit(X, y, X_target)
    before = clf.predict_proba(X)
    with pytest.raises(TypeError, match=r"net_ is trained by its estimator.*warm_start=True"):
        getattr(clf.net_, method)(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
