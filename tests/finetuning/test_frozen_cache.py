"""What is frozen is computed once: the rows that pass are counted."""

import os
import pickle
import shutil
import threading

import numpy as np
import pytest
import scipy.sparse
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache, HeldOut, Unfreezing
from sktransfer.frozen._rows import StoredRows
from sktransfer.frozen._store import RowStore
from tests.frozen.bodies import Pairs, Residual

N_ROWS = 60
DEPTHS = {"unfreeze_depth": [0, 1, 2, 3]}


class Counter:
    """Counts the rows that pass, those of a probe of up to three rows apart."""

    rows = probed = 0

    @classmethod
    def hook(cls, module, args):
        if len(args[0]) <= 3:
            cls.probed += len(args[0])
        else:
            cls.rows += len(args[0])


def counting():
    """Return a layer that counts rows, in a hook: what its code led to would be part of it."""
    layer = nn.Identity()
    layer.register_forward_pre_hook(Counter.hook)
    return layer


class LoggingCounter(nn.Module):
    """Counts the rows in a file, for more processes than one."""

    def __init__(self, path):
        super().__init__()
        self.path = str(path)

    def forward(self, X):
        if len(X) > 3:
            with open(self.path, "a") as file:
                file.write(f"{len(X)}\n")
        return X


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.fixture
def count():
    """Return a function that gives the rows passed since it was last asked."""

    def passed():
        rows, Counter.rows = Counter.rows, 0
        return rows

    passed()
    return passed


def body(counter=None):
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Dropout(0.1), nn.Linear(8, 8)]
    layers += [nn.ReLU(), nn.Linear(8, 4)]
    return nn.Sequential(counter or counting(), *layers).double()


def fine_tune(backbone, **params):
    params = {"head_epochs": 3, "finetune_epochs": 2, "random_state": 0, **params}
    return FineTuneClassifier(backbone, **params)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_fit_sends_each_row_through_the_frozen_part_once(task, count, depth):
    fine_tune(body(), unfreeze_depth=depth).fit(*task)
    assert count() == N_ROWS


def test_without_the_cache_each_epoch_sends_all_rows(task, count):
    fine_tune(body(), frozen_cache=FrozenCache(enabled=False)).fit(*task)
    assert count() == 5 * N_ROWS


def test_augmented_rows_pass_in_each_epoch(task, count):
    fine_tune(body(), augment=lambda X: X + 1).fit(*task)
    assert count() == 5 * N_ROWS


def test_held_out_rows_pass_once_too(task, count):
    fine_tune(
        body(),
        early_stopping=HeldOut(fraction=0.2),
    ).fit(*task)
    assert count() == N_ROWS


def tied():
    torch.manual_seed(0)
    body = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(4)))
    body[2][0].weight = body[1][0].weight
    return body.double()


def parametrized():
    torch.manual_seed(0)
    layers = [weight_norm(nn.Linear(4, 6)), nn.Tanh(), spectral_norm(nn.Linear(6, 4)), nn.Tanh()]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("gradual", [False, True])
@pytest.mark.parametrize(("body", "depth"), [(tied, 2), (tied, 3), (parametrized, 1)])
def test_values_are_kept_of_what_does_not_change(task, tmp_path, body, depth, gradual):
    def fit(**cache):
        unfreezing = Unfreezing(gradual=gradual)
        clf = fine_tune(body(), unfreeze_depth=depth, unfreezing=unfreezing, learning_rate=0.1)
        clf.set_params(finetune_learning_rate=0.1, frozen_cache=FrozenCache(**cache))
        return clf.fit(*task).predict_proba(task[0])

    expected = fit(enabled=False)
    for cache in ({}, {"memory": tmp_path}, {"memory": tmp_path}):
        np.testing.assert_allclose(fit(**cache), expected, atol=1e-10)


def test_a_weight_that_layers_share_takes_one_step(task):
    clf = fine_tune(tied(), unfreeze_depth=3).fit(*task)
    learned = [p for group in clf.net_.optimizer_.param_groups for p in group["params"]]
    assert len({id(p) for p in learned}) == len(learned) == 2 + 5  # two of three layers share one


def test_bfloat16_is_kept_in_memory_and_refused_on_disk(task, tmp_path):
    backbone = body().bfloat16()
    whole, cached = (
        fine_tune(backbone, frozen_cache=FrozenCache(enabled=enabled)).fit(*task)
        for enabled in (False, True)
    )
    np.testing.assert_array_equal(whole.predict_proba(task[0]), cached.predict_proba(task[0]))
    stored = fine_tune(backbone, frozen_cache=FrozenCache(memory=tmp_path))
    with pytest.raises(TypeError, match=r"bfloat16.*backbone\.float\(\)"):
        stored.fit(*task)
    with sklearn.config_context(working_memory=0), pytest.raises(TypeError, match="bfloat16"):
        fine_tune(backbone).fit(*task)


def test_a_fit_passes_few_rows_to_look_at_the_body(task):
    Counter.probed = 0
    fine_tune(body()).fit(*task)
    assert Counter.probed <= 7  # two each for body, trace and frozen part; one for what is idle


@pytest.mark.parametrize("depths", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_a_search_sends_each_row_through_the_frozen_part_once(task, tmp_path, count, depths):
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path))
    search = GridSearchCV(clf, {"unfreeze_depth": depths}, cv=5).fit(*task)
    assert count() == N_ROWS
    search.score(*task)
    assert count() == 0
    plain = GridSearchCV(fine_tune(body()), {"unfreeze_depth": depths}, cv=5).fit(*task)
    assert count() > 20 * N_ROWS
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(search.cv_results_[name], plain.cv_results_[name], atol=1e-9)


def test_workers_share_one_pass(task, tmp_path):
    log = tmp_path / "log"
    clf = fine_tune(body(LoggingCounter(log)), frozen_cache=FrozenCache(memory=tmp_path))
    search = GridSearchCV(clf, DEPTHS, cv=5, n_jobs=2).fit(*task)
    assert sum(map(int, log.read_text().split())) == N_ROWS
    alone = GridSearchCV(fine_tune(body(LoggingCounter(log))), DEPTHS, cv=5).fit(*task)
    scores = [s.cv_results_["mean_test_score"] for s in (search, alone)]
    np.testing.assert_allclose(*scores, atol=1e-9)


def test_hooks_that_only_look_do_not_keep_a_search_from_sharing(task, tmp_path):
    seen = []
    backbone = body()
    backbone[1].register_forward_hook(lambda module, args, output: seen.append(len(output)))
    GridSearchCV(fine_tune(backbone, frozen_cache=FrozenCache(memory=tmp_path)), DEPTHS, cv=5).fit(
        *task
    )
    assert sum(n for n in seen if n > 3) == N_ROWS
    assert len(backbone[1]._forward_hooks) == 1


def test_hooks_that_change_values_are_obeyed(task, tmp_path):
    fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path)).fit(*task)
    for factor in (2.0, 3.0):
        backbone = body()
        backbone[1].register_forward_hook(lambda module, args, output, f=factor: output * f)
        kept = fine_tune(backbone, frozen_cache=FrozenCache(memory=tmp_path)).fit(*task)
        plain = fine_tune(backbone).fit(*task)
        np.testing.assert_allclose(
            kept.predict_proba(task[0]), plain.predict_proba(task[0]), atol=1e-12
        )


def test_threads_share_one_pass(task, tmp_path, count):
    fits = [
        fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path), unfreeze_depth=d % 3)
        for d in range(6)
    ]
    threads = [threading.Thread(target=clf.fit, args=task) for clf in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count() == N_ROWS
    expected = fine_tune(body(), unfreeze_depth=2).fit(*task).predict_proba(task[0])
    np.testing.assert_allclose(fits[2].predict_proba(task[0]), expected, atol=1e-9)


def test_other_rows_and_other_bodies_pass_for_themselves(task, tmp_path, count):
    X, y = task
    fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path)).fit(X[:40], y[:40])
    assert count() == 40
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path)).fit(X[20:], y[20:])
    assert count() == 20
    clf.predict(X[:20])
    assert count() == 0
    other = body()
    with torch.no_grad():
        other[1].weight *= 1.5
    clf = fine_tune(other, frozen_cache=FrozenCache(memory=tmp_path)).fit(X, y)
    expected = fine_tune(other).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-12)


def test_equal_rows_pass_once(task, tmp_path, count):
    X, y = task
    fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path)).fit(np.r_[X, X, X], np.r_[y, y, y])
    assert count() == N_ROWS


def test_predictions_with_and_without_memory_are_equal_for_rows_never_seen(task, tmp_path):
    X, y = task
    new = np.random.default_rng(1).normal(size=(30, 4))
    for depth in (0, 2, "all"):
        clf = fine_tune(
            body(), frozen_cache=FrozenCache(memory=tmp_path), unfreeze_depth=depth
        ).fit(X, y)
        plain = fine_tune(body(), unfreeze_depth=depth).fit(X, y)
        for rows in (new, X, np.r_[new, X]):
            np.testing.assert_allclose(
                clf.predict_proba(rows), plain.predict_proba(rows), atol=1e-12
            )
            np.testing.assert_allclose(clf.transform(rows), plain.transform(rows), atol=1e-12)


def test_what_a_fitted_body_computes_does_not_pass_for_the_pretrained_ones(task, tmp_path):
    X, y = task
    tuned = fine_tune(
        body(),
        frozen_cache=FrozenCache(memory=tmp_path),
        unfreeze_depth=2,
        finetune_learning_rate=0.1,
        finetune_epochs=9,
    ).fit(X[:30], y[:30])
    tuned.predict(X)
    after = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path), unfreeze_depth=0).fit(X, y)
    plain = fine_tune(body(), unfreeze_depth=0).fit(X, y)
    np.testing.assert_allclose(after.predict_proba(X), plain.predict_proba(X), atol=1e-12)


def test_a_pickled_model_finds_its_values_again(task, tmp_path, count):
    X, y = task
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path), unfreeze_depth=2).fit(X, y)
    expected = clf.predict_proba(X)
    count()
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(twin.predict_proba(X), expected, atol=1e-12)
    assert count() == 0
    assert len(pickle.dumps(clf)) < 1.1 * len(pickle.dumps(fine_tune(body()).fit(X, y))) + 1000


def test_prediction_does_not_bring_a_removed_folder_back(task, tmp_path):
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path / "memory")).fit(*task)
    expected = clf.predict_proba(task[0])
    shutil.rmtree(tmp_path / "memory")
    np.testing.assert_allclose(clf.predict_proba(task[0]), expected, atol=1e-12)
    assert not (tmp_path / "memory").exists()


def test_the_cache_can_be_bounded(task, tmp_path, count):
    clf = fine_tune(
        body(),
        frozen_cache=FrozenCache(memory=tmp_path, memory_limit=0),
    ).fit(*task)
    assert not list(tmp_path.glob("sktransfer/*/shard-*"))
    expected = fine_tune(body()).fit(*task).predict_proba(task[0])
    np.testing.assert_allclose(clf.predict_proba(task[0]), expected, atol=1e-12)


def test_values_lost_from_the_store_are_computed_again(task, tmp_path, count):
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path), unfreeze_depth=2)
    expected = clone(clf).fit(*task).predict_proba(task[0])
    for lost in sorted((tmp_path / "sktransfer").glob("*/shard-*")):
        os.truncate(lost, lost.stat().st_size - 1)
        again = clone(clf).fit(*task)
        np.testing.assert_allclose(again.predict_proba(task[0]), expected, atol=1e-12)


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("kind", [body, Residual, Pairs])
def test_what_is_larger_than_working_memory_lies_on_disk(task, tmp_path, memory, kind, monkeypatch):
    torch.manual_seed(0)
    backbone = kind().double()
    params = {"frozen_cache": FrozenCache(memory=tmp_path / "memory")} if memory else {}
    expected = fine_tune(backbone, **params).fit(*task).predict_proba(task[0])
    made = []
    take = StoredRows.take
    monkeypatch.setattr(StoredRows, "take", lambda self, o: made.append(len(o)) or take(self, o))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with sklearn.config_context(working_memory=0.0):
        clf = fine_tune(backbone, **params).fit(*task)
        np.testing.assert_array_equal(clf.predict_proba(task[0]), expected)
    assert made
    assert not list(tmp_path.glob("sktransfer-*"))  # temporary files are gone


def test_sparse_rows_are_kept_by_content(task, tmp_path, count):
    X, y = task
    sparse = scipy.sparse.csr_array(np.where(X > 0, X, 0))
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path))
    scores = cross_val_score(clf, sparse, y, cv=3)
    assert count() == len(np.unique(sparse.toarray(), axis=0))
    plain = cross_val_score(fine_tune(body()), sparse.toarray(), y, cv=3)
    np.testing.assert_allclose(scores, plain)


def test_store_does_not_grow_when_all_is_there(task, tmp_path):
    clf = fine_tune(body(), frozen_cache=FrozenCache(memory=tmp_path)).fit(*task)
    before = sorted(tmp_path.rglob("*"))
    clone(clf).fit(*task).predict(task[0])
    assert sorted(tmp_path.rglob("*")) == before
    assert RowStore(tmp_path / "sktransfer", None).folder.exists()
