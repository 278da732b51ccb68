"""Process-wide state of torch is given back as it was found."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import DANNClassifier, TentAdapter
from sktransfer.engine._runtime import PrivateGenerators, limited_threads
from tests.test_common import batch_norm_body, dropout_body

CPU = torch.device("cpu")


def test_private_generators_leave_the_global_one_as_found():
    torch.manual_seed(0)
    expected = torch.rand(2, 3)
    torch.manual_seed(0)
    first = torch.rand(3)
    with PrivateGenerators(5, CPU).lent():
        torch.rand(100)
    assert torch.equal(torch.stack([first, torch.rand(3)]), expected)


def test_private_generators_go_on_where_they_stopped():
    generators = PrivateGenerators(5, CPU)
    with generators.lent():
        a = torch.rand(3)
    torch.rand(7)
    with generators.lent():
        b = torch.rand(3)
    expected = torch.rand(6, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.cat([a, b]), expected)


def test_global_state_is_restored_after_an_error():
    before = torch.get_rng_state()

    def fail():
        with PrivateGenerators(5, CPU).lent(), limited_threads(0):
            raise ZeroDivisionError(torch.rand(3))

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(before, torch.get_rng_state())


def test_small_work_gets_one_thread_and_the_setting_comes_back():
    before = torch.get_num_threads()
    with limited_threads(1e3):
        assert torch.get_num_threads() == 1
    with limited_threads(1e15):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_fit_and_predict_leave_generators_and_threads_as_found(domains):
    X, y, X_target = domains
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    DANNClassifier(max_epochs=2, random_state=0).fit(X, y, X_target).predict(X)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert before[2] == torch.get_num_threads()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_whatever_mode_the_caller_is_in(domains, mode):
    X, y, X_target = domains

    def learn(context):
        clf = DANNClassifier(batch_norm_body, max_epochs=2, random_state=0, warm_start=True)
        with context():
            clf.fit(X, y, X_target)
            clf.adapt(X_target, y)
            assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
            stream = TentAdapter(clf)
            first = stream.adapt_predict_proba(X_target)
        clf.fit(X, y, X_target)  # nothing that was made there stands in the way
        return clf.predict_proba(X), first, stream.adapt_predict_proba(X_target)

    for found, expected in zip(learn(mode), learn(contextlib.nullcontext), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_fits_are_the_same_where_tensors_are_made_elsewhere_by_default(domains):
    X, y, X_target = domains
    clf = DANNClassifier(dropout_body, max_epochs=2, random_state=0)
    expected = clone(clf).fit(X, y, X_target).adapt(X_target, y).predict_proba(X)
    with torch.device("meta"):
        clf.fit(X, y, X_target)
        clf.adapt(X_target, y)
        assert torch.ones(1).is_meta
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_fits_in_two_threads_do_not_disturb_each_other(domains):
    X, y, X_target = domains

    def fit(seed):
        clf = DANNClassifier(dropout_body, max_epochs=30, random_state=seed)
        return clf.fit(X, y, X_target).predict_proba(X)

    alone = [fit(seed) for seed in range(4)]
    together = [None] * 4

    def fit_into(seed):
        together[seed] = fit(seed)

    before = torch.get_rng_state()
    threads = [threading.Thread(target=fit_into, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(alone, together)
    assert torch.equal(before, torch.get_rng_state())
