"""Rows of mapped files and of torch Datasets: the same bits as of arrays, never all read."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    FineTuneClassifier,
    TargetDomain,
)
from sktransfer.alignment import CORAL
from sktransfer.callbacks import TargetValidation
from sktransfer.data import _lazy
from sktransfer.data._lazy import DatasetArray, LazyRows, MappedArray
from sktransfer.finetuning import FrozenCache, HeldOut, SourceTraining
from sktransfer.instance import ULSIF
from sktransfer.model_selection import InfoMaxScorer, TargetAccuracyScorer
from sktransfer.validation._torch_rows import TorchRows, is_mapped

FAST = {"max_epochs": 2, "random_state": 0, "batch_size": 32}
ESTIMATORS = [
    DANNClassifier(**FAST),
    DeepCORALClassifier(**FAST),
    FineTuneClassifier(
        source_training=SourceTraining(epochs=2),
        head_epochs=2,
        finetune_epochs=1,
        random_state=0,
        batch_size=32,
    ),
]
# Those that have no use for the labels say so.
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


class Pairs(Dataset):
    """Rows with labels, as people write it."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], self.y[i]


class Rows(Dataset):
    """Rows alone, as tensors."""

    def __init__(self, X):
        self.X = torch.tensor(np.asarray(X))

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i]


@pytest.fixture
def mapped(tmp_path):
    """Return a function that puts an array into a file and maps it."""

    def put(X):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, X)
        return np.load(path, mmap_mode="r")

    return put


def make(kind, mapped, X, y=None):
    """Return rows (with labels, for a Dataset of pairs) of that kind."""
    kinds = {
        "array": np.asarray,
        "memmap": mapped,
        "dataset": lambda X: Rows(X) if y is None else Pairs(X, y),
        "sparse": scipy.sparse.csr_matrix,
    }
    return kinds[kind](X)


@every_estimator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mapped_rows_give_the_bits_of_an_array(domains, mapped, estimator, dtype):
    X, y, X_target = (a.astype(dtype) if a.dtype.kind == "f" else a for a in domains)
    by_array = clone(estimator).fit(X, y, X_target, y)
    by_file = clone(estimator).fit(mapped(X), y, mapped(X_target), y)
    np.testing.assert_array_equal(by_file.predict_proba(mapped(X)), by_array.predict_proba(X))
    np.testing.assert_array_equal(by_file.transform(mapped(X)), by_array.transform(X))


@every_estimator
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_dataset_gives_the_bits_of_an_array(domains, estimator, num_workers):
    X, y, X_target = domains
    by_array = clone(estimator).fit(X, y, X_target, y)
    by_item = clone(estimator).set_params(num_workers=num_workers)
    by_item.fit(Pairs(X, y), X_target=Rows(X_target), y_target=y)
    assert list(by_item.classes_) == ["down", "up"]
    np.testing.assert_array_equal(by_item.predict_proba(Rows(X)), by_array.predict_proba(X))
    np.testing.assert_array_equal(by_item.predict(Pairs(X, y)), by_array.predict(X))
    assert by_item.n_features_in_ == 4
    assert by_item.input_shape_ == (4,)


@pytest.mark.parametrize("source", ["array", "memmap", "dataset", "sparse"])
@pytest.mark.parametrize("target", ["memmap", "dataset"])
def test_kinds_can_be_mixed(domains, mapped, source, target):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST)
    clf.fit(
        make(source, mapped, X, y),
        None if source == "dataset" else y,
        make(target, mapped, X_target),
    )
    expected = DANNClassifier(**FAST).fit(X, y, X_target)
    np.testing.assert_allclose(clf.predict_proba(X), expected.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("kind", ["memmap", "dataset"])
def test_images_stay_small_integers_until_they_are_in_a_batch(mapped, kind):
    rng = np.random.default_rng(0)
    X = rng.integers(256, size=(60, 1, 8, 8), dtype=np.uint8)
    y = np.arange(60) % 2
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    lazy = make(kind, mapped, X, y)
    clf = DANNClassifier(body, **FAST).fit(lazy, None if kind == "dataset" else y, lazy)
    expected = DANNClassifier(body, **FAST).fit(X, y, X)
    np.testing.assert_array_equal(clf.predict_proba(lazy), expected.predict_proba(X))
    assert clf.input_shape_ == (1, 8, 8)


def test_a_mapped_file_is_never_in_memory(mapped):
    X = mapped(np.random.default_rng(0).normal(size=(200_000, 50)).astype(np.float32))
    y = np.arange(200_000) % 2
    clf = DANNClassifier(nn.Linear(50, 2), max_epochs=1, batch_size=2000)
    clf.fit(X[:600], y[:600], X[:600])  # what is imported at the first fit does not count
    tracemalloc.start()
    try:
        clf.fit(X, y, X)
        clf.predict(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2  # most of it orders and labels


def test_no_more_items_are_read_at_once_than_a_batch_needs(domains, monkeypatch):
    X, y, X_target = domains
    sizes, collate = [], _lazy.collate_rows
    monkeypatch.setattr(
        _lazy, "collate_rows", lambda items: sizes.append(len(items)) or collate(items)
    )
    DANNClassifier(**FAST).fit(X, y, Rows(X_target))
    assert sum(sizes) >= 2 * 90  # two epochs
    assert max(sizes) <= 32


def test_a_scorer_does_not_read_its_dataset_until_it_scores(domains):
    X, y, X_target = domains
    read = []

    class Counting(Rows):
        def __getitem__(self, i):
            read.append(i)
            return super().__getitem__(i)

    scorers = [InfoMaxScorer(Counting(X_target)), TargetAccuracyScorer(Counting(X_target), y)]
    assert repr(scorers[0]) == "InfoMaxScorer(Counting of shape (90,))"
    assert read == []
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    assert scorers[0](clf) == InfoMaxScorer(X_target)(clf)
    assert scorers[1](clf) == clf.score(X_target, y)
    assert len(read) >= 2 * 90
    with pytest.raises(ValueError, match="at least 2 rows of the target"):
        InfoMaxScorer(Rows(X_target[:1]))


@every_estimator
def test_workers_leave_the_global_generators_alone(domains, estimator):
    X, y, X_target = domains
    state, torch_state = np.random.get_state()[1], torch.get_rng_state()
    clf = clone(estimator).set_params(num_workers=1)
    clf.fit(Pairs(X, y), X_target=Rows(X_target), y_target=y).predict(Rows(X))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("kind", ["memmap", "dataset"])
@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": HeldOut(fraction=0.3)},
        {"frozen_cache": FrozenCache(enabled=False)},
        {"source_training__pseudo_label_threshold": 0.5},
        {"frozen_cache": "store"},
    ],
)
def test_fine_tuning_selects_and_keeps_rows_lazily(domains, mapped, tmp_path, kind, params):
    X, y, X_target = domains
    if params == {"frozen_cache": "store"}:
        params = {"frozen_cache": FrozenCache(memory=str(tmp_path / "store"))}
    clf = FineTuneClassifier(
        nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)),
        source_training=SourceTraining(epochs=20, learning_rate=0.01),
        head_epochs=3,
        finetune_epochs=2,
        random_state=0,
    ).set_params(**params)
    labels = None if "source_training__pseudo_label_threshold" in params else y
    X, X_target = X.astype(np.float32), X_target.astype(np.float32)
    by_array = clone(clf).fit(X, y, X_target, labels)
    by_lazy = clone(clf).fit(make(kind, mapped, X), y, make(kind, mapped, X_target), labels)
    np.testing.assert_array_equal(by_lazy.predict_proba(X), by_array.predict_proba(X))
    np.testing.assert_array_equal(
        by_lazy.predict_proba(make(kind, mapped, X)), by_array.predict_proba(X)
    )


def test_weights_and_warm_starts_work_as_on_arrays(domains, mapped):
    X, y, X_target = domains
    weights = np.arange(90) % 3
    clf = DANNClassifier(warm_start=True, **FAST)
    fits = [
        clone(clf).fit(source, y, X_target, sample_weight=weights).fit(source, y, X_target)
        for source in (X, mapped(X), Rows(X))
    ]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.predict_proba(X), fits[0].predict_proba(X))
        assert fit.n_iter_ == 4


def test_scorers_and_validation_take_datasets(domains):
    X, y, X_target = domains
    clf = DANNClassifier(callbacks=[TargetValidation(InfoMaxScorer)], **FAST)
    clf.fit(X, y, Rows(X_target))
    best = max(clf.history_[:, "target_score"])
    assert InfoMaxScorer(Rows(X_target))(clf) == pytest.approx(best, rel=1e-6)


def test_a_target_domain_holds_a_dataset_through_a_search(domains):
    X, y, X_target = domains
    target = TargetDomain(Rows(X_target))
    assert len(target) == 90
    assert target.shape == (90,)
    search = GridSearchCV(DANNClassifier(**FAST), {"lambda_": [0.1, 1.0]}, cv=2)
    search.fit(X, y, X_target=target)
    plain = clone(search).fit(X, y, X_target=TargetDomain(X_target))
    np.testing.assert_array_equal(search.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(TypeError, match="a sparse matrix or a Dataset, which is not to become"):
        np.asarray(target)


def test_labels_of_a_dataset_may_be_tensors_or_given_apart(domains):
    X, y, X_target = domains
    numbers = torch.tensor((y == "up").astype(int))
    by_pairs = DANNClassifier(**FAST).fit(
        TensorDataset(torch.tensor(X), numbers), X_target=Rows(X_target)
    )
    assert by_pairs.classes_.tolist() == [0, 1]
    apart = DANNClassifier(**FAST).fit(Pairs(X, np.zeros(90)), y, Rows(X_target))
    assert apart.classes_.tolist() == ["down", "up"]  # those of y


def test_a_fitted_estimator_holds_no_rows(domains, mapped):
    X, y, X_target = domains
    lazy = DANNClassifier(**FAST).fit(mapped(X), y, Rows(X_target))
    plain = DANNClassifier(**FAST).fit(X, y, X_target)
    assert len(pickle.dumps(lazy)) == pytest.approx(len(pickle.dumps(plain)), abs=200)


def test_names_of_an_earlier_fit_are_forgotten(domains):
    import pandas as pd

    X, y, X_target = domains
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = DANNClassifier(**FAST).fit(frame, y, frame).fit(Pairs(X, y), X_target=Rows(X_target))
    assert not hasattr(clf, "feature_names_in_")


def test_selections_of_lazy_arrays_are_lazy(mapped):
    X = np.arange(40, dtype=np.float32).reshape(10, 4)
    for lazy in (MappedArray(mapped(X)), DatasetArray(Rows(X))):
        some = lazy[np.array([7, 2, 5])][1:]
        assert type(some) is type(lazy)
        assert some.shape == (2, 4)
        np.testing.assert_array_equal(some.read(np.array([1, 0])), X[[5, 2]])
        np.testing.assert_array_equal(torch.cat(list(some.blocks())), X[[2, 5]])
        rows = LazyRows(some, torch.device("cpu"), torch.float64, 0)
        assert rows.take(torch.tensor([1])).tolist() == [X[5].tolist()]
        assert rows.slice(0, 5).dtype == torch.float64


def test_only_memory_of_a_file_is_taken_for_mapped(mapped):
    X = np.ones((6, 2))
    assert is_mapped(mapped(X))
    assert is_mapped(mapped(X)[2:])
    assert is_mapped(np.asarray(mapped(X)))
    assert not is_mapped(X)
    assert not is_mapped(mapped(X)[[0, 1]])  # a copy
    assert not is_mapped([[1.0]])
    assert isinstance(TorchRows().keep(mapped(X), mapped(X)), MappedArray)
    half = mapped(X.astype(np.float16))  # no arithmetic on it in torch: a copy
    assert TorchRows().keep(half, half).dtype == np.float32


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (Stream(), TypeError, "X is an IterableDataset, .* give a map-style Dataset"),
        (Rows(np.ones((0, 2))), ValueError, "The Dataset has no rows"),
        (Rows(np.ones((4, 2))), TypeError, r"yields no pairs \(row, label\), and y was not given"),
        (Pairs(["a", "b"], [0, 1]), TypeError, "yields str 'a'; it must yield rows"),
        (Pairs(np.ones(4), [0, 1, 0, 1]), TypeError, "of at least one dimension"),
    ],
)
def test_datasets_that_cannot_serve_are_refused(X, error, message):
    with pytest.raises(error, match=message):
        DANNClassifier().fit(X)


def test_estimators_without_torch_refuse_datasets_with_the_way_out(domains):
    X = domains[0]
    for call in (lambda: CORAL().fit(Rows(X)), lambda: ULSIF().fit(X, X_target=Rows(X))):
        with pytest.raises(TypeError, match="is a torch Dataset, which this estimator does not"):
            call()


def test_streams_as_a_target_are_refused(domains):
    X, y, _ = domains
    with pytest.raises(TypeError, match="X_target is an IterableDataset"):
        DANNClassifier().fit(X, y, X_target=Stream())


def test_rows_that_do_not_fit_are_refused(domains):
    X, y, X_target = domains
    with pytest.raises(ValueError, match=r"y has 5 labels for the 90 rows of X: inconsistent"):
        DANNClassifier().fit(Rows(X), y[:5])
    with pytest.raises(ValueError, match=r"X_target has rows of shape \(3,\), but X has rows"):
        DANNClassifier().fit(X, y, Rows(X_target[:, :3]))
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    with pytest.raises(ValueError, match=r"X has rows of shape \(3,\), but DANNClassifier was"):
        clf.predict(Rows(X[:, :3]))
    broken = X.copy()
    broken[7, 1] = np.nan
    for num_workers in (0, 1):
        with pytest.raises(ValueError, match="The Dataset yields a row that holds NaN or inf"):
            DANNClassifier(num_workers=num_workers, **FAST).fit(Rows(broken), y, X_target)
