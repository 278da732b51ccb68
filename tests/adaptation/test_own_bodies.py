"""A body for each domain, below common heads."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import sktransfer
from sktransfer import DANNClassifier, TargetDomain
from sktransfer.data._batch import Batch, View
from sktransfer.model_selection import NeighborAgreementScorer
from sktransfer.model_selection._source_side import as_for_source
from sktransfer.network._build import make_body
from sktransfer.network._two_bodies import TwoBodyNetwork

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fitted without X_target:UserWarning"),
    pytest.mark.filterwarnings("ignore:The domain classifier still tells:UserWarning"),
    pytest.mark.filterwarnings("ignore:The domain loss went between:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*rows of X_target have a class of:UserWarning"),
]

FAST = {
    "hidden_layer_sizes": (12,),
    "max_epochs": 20,
    "learning_rate": 0.01,
    "random_state": 0,
}


class NormedBody:
    """Features of any rows, with batch statistics."""

    def __call__(self, input_shape):
        layers = nn.Linear(*input_shape, 12), nn.BatchNorm1d(12), nn.ReLU()
        return nn.Sequential(*layers).double()

    def __repr__(self):
        return type(self).__name__


@parametrize_with_checks(
    [DANNClassifier(NormedBody(), target_feature_extractor=NormedBody(), **FAST)]
)
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def sensors():
    """Return rows of two devices of 4 and 7 channels; labels of nine target rows."""
    rng = np.random.default_rng(0)
    y, y_target = rng.integers(0, 3, 120), rng.integers(0, 3, 90)
    hidden = 2 * rng.normal(size=(3, 5))
    maps = rng.normal(size=(5, 4)), rng.normal(size=(5, 7))
    X, X_target = (
        (hidden[labels] + 0.4 * rng.normal(size=(len(labels), 5))) @ device
        for labels, device in zip((y, y_target), maps, strict=True)
    )
    few = np.full(90, None)
    for label in range(3):
        few[np.flatnonzero(y_target == label)[:3]] = label
    return SimpleNamespace(X=X, y=y, X_target=X_target, y_target=y_target, few=few)


def fit(clf, at):
    return clf.fit(at.X, at.y, X_target=at.X_target, y_target=at.few)


def test_each_domain_passes_its_own_body_and_the_common_head():
    source_body, _ = make_body(None, "a", torch.zeros(2, 4).double(), torch.float64, (5,))
    body, probed = make_body(None, "b", torch.zeros(2, 7).double(), torch.float64, (5,))
    head = nn.Linear(5, 2).double()
    network = TwoBodyNetwork(body, source_body, head, {}, probed, (4,))
    X, X_target, X_known = (torch.randn(n, m).double() for n, m in ((6, 4), (3, 7), (2, 7)))
    views = [View(rows, None, torch.arange(len(rows))) for rows in (X, X_target, X_known)]
    batch = Batch(views[0], views[1], 0.0, views[2])
    network.forward_domains(batch)
    torch.testing.assert_close(batch.source_outputs, head(source_body(X)))
    torch.testing.assert_close(network.target_outputs(batch), head(body(X_target)))
    torch.testing.assert_close(network.forward_labelled(batch), head(body(X_known)))
    torch.testing.assert_close(network.forward_source(X), head(source_body(X)))
    batch.source_outputs.sum().backward()
    assert body[0].weight.grad is None
    assert source_body[0].weight.grad.abs().sum() > 0


def test_each_body_has_the_batch_statistics_of_its_own_rows():
    rng = torch.Generator().manual_seed(0)
    X = torch.randn(40, 4, generator=rng).double() + 3
    X_target = torch.randn(30, 7, generator=rng).double() - 5
    body, source_body = NormedBody()((7,)), NormedBody()((4,))
    _, probed = make_body(body, "b", X_target[:2], torch.float64, (5,))
    network = TwoBodyNetwork(body, source_body, nn.Linear(12, 2).double(), {}, probed, (4,))
    network.estimate_statistics([X], [X_target], 30)
    expected = body[0](X_target).mean(dim=0)
    torch.testing.assert_close(body[1].running_mean, expected)
    torch.testing.assert_close(source_body[1].running_mean, source_body[0](X).mean(dim=0))


def test_rows_of_either_domain_are_predicted(sensors):
    clf = fit(DANNClassifier(target_feature_extractor=NormedBody(), **FAST), sensors)
    assert clf.source_shape_ == (4,)
    assert clf.n_features_in_ == 7
    assert clf.score(sensors.X_target, sensors.y_target) > 0.8
    assert clf.score(sensors.X, sensors.y, domain="source") > 0.8
    assert {"domain_loss", "gradient_penalty_loss", "target_label_loss"} <= set(clf.history_[-1])
    with pytest.raises(ValueError, match="7 features"):
        clf.predict(sensors.X)
    with pytest.raises(ValueError, match=r"rows of shape \(7,\)"):
        clf.predict(sensors.X_target, domain="source")


def test_scorers_and_the_report_take_each_domain_by_its_body(sensors):
    clf = fit(DANNClassifier(target_feature_extractor=NormedBody(), **FAST), sensors)
    scorer = NeighborAgreementScorer(sensors.X_target)
    assert scorer(clf, sensors.X, sensors.y) > 0.8
    network = clf.net_.module_
    with torch.inference_mode():
        expected = network.source_body(torch.from_numpy(sensors.X)).numpy()
    np.testing.assert_allclose(clf.transform_source(sensors.X), expected)
    side = as_for_source(clf)
    np.testing.assert_array_equal(
        side.predict_proba(sensors.X), clf.predict_proba(sensors.X, domain="source")
    )
    assert side.score(sensors.X, sensors.y) == clf.score(sensors.X, sensors.y, domain="source")


def test_without_a_body_of_its_own_the_target_has_that_of_the_source():
    rng = np.random.default_rng(0)
    X, y, X_target = rng.normal(size=(40, 3)), np.arange(40) % 2, rng.normal(size=(30, 3))
    clf = DANNClassifier(max_epochs=2, random_state=0).fit(X, y, X_target)
    assert clf.source_shape_ is None
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(X, domain="source"))


def test_bodies_may_see_rows_of_other_shapes(sensors):
    images = sensors.X.reshape(120, 1, 2, 2)
    source_body = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(3, 12)).double()
    clf = DANNClassifier(source_body, target_feature_extractor=NormedBody(), **FAST)
    clf.fit(images, sensors.y, X_target=sensors.X_target, y_target=sensors.few)
    assert clf.predict(images, domain="source").shape == (120,)
    assert clf.transform(sensors.X_target).shape == (90, 12)


def test_bodies_that_end_otherwise_are_refused(sensors):
    clf = DANNClassifier(nn.Linear(4, 5).double(), target_feature_extractor=nn.Linear(7, 6))
    with pytest.raises(ValueError, match="bodies that end in as many"):
        fit(clf, sensors)


def test_several_sources_share_the_body_of_the_source(sensors):
    clf = DANNClassifier(NormedBody(), target_feature_extractor=NormedBody(), **FAST)
    names = np.where(np.arange(120) < 60, "a", "b")
    given = {"X_target": sensors.X_target, "y_target": sensors.few, "domains": names}
    clf.fit(sensors.X, sensors.y, **given)
    assert clf.net_.module_.domain_classifier.head[-1].out_features == 3
    assert clf.score(sensors.X, sensors.y, domain="source") > 0.8


def test_its_twin_learns_from_the_source_by_the_sources_body(sensors):
    clf = DANNClassifier(nn.Linear(4, 12).double(), target_feature_extractor=NormedBody(), **FAST)
    twin = fit(clf.source_only(), sensors)
    assert twin.source_shape_ is None
    assert twin.n_features_in_ == 4
    assert twin.score(sensors.X, sensors.y) > 0.8


def test_clones_copies_and_files_predict_the_same(sensors, tmp_path):
    clf = fit(DANNClassifier(target_feature_extractor=NormedBody(), **FAST), sensors)
    path = tmp_path / "sensors.safetensors"
    sktransfer.save(clf, path)
    with pytest.raises(ValueError, match="target_feature_extractor"):
        sktransfer.load(path)
    loaded = sktransfer.load(path, target_feature_extractor=NormedBody())
    again = fit(clone(clf), sensors)
    copies = copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))
    for other in (loaded, again, *copies):
        for domain, X in (("target", sensors.X_target), ("source", sensors.X)):
            np.testing.assert_array_equal(
                other.predict_proba(X, domain=domain), clf.predict_proba(X, domain=domain)
            )


def test_a_checkpoint_is_of_the_same_fit(sensors, tmp_path):
    clf = DANNClassifier(target_feature_extractor=NormedBody(), **FAST)
    clf.set_params(max_epochs=3, checkpoint=tmp_path / "fit.checkpoint")
    first, second = (fit(clone(clf), sensors) for _ in range(2))
    np.testing.assert_array_equal(
        first.predict_proba(sensors.X_target), second.predict_proba(sensors.X_target)
    )


def test_goes_on_with_the_same_rows_alone(sensors):
    clf = DANNClassifier(target_feature_extractor=NormedBody(), warm_start=True, **FAST)
    fit(clf.set_params(max_epochs=2), sensors)
    fit(clf, sensors)
    assert clf.n_iter_ == 4
    clf.adapt(sensors.X_target)
    with pytest.raises(ValueError, match="body for rows of the source"):
        clf.fit(sensors.X[:, :3], sensors.y, X_target=sensors.X_target)


def test_a_search_keeps_the_target_whole(sensors):
    clf = DANNClassifier(target_feature_extractor=NormedBody(), **{**FAST, "max_epochs": 2})
    scoring = NeighborAgreementScorer(sensors.X_target)
    search = GridSearchCV(clf, {"lambda_": [0.1, 1.0]}, cv=2, scoring=scoring)
    target = TargetDomain(sensors.X_target), TargetDomain(sensors.few)
    search.fit(sensors.X, sensors.y, X_target=target[0], y_target=target[1])
    assert search.predict(sensors.X_target).shape == (90,)


def test_labels_of_more_target_rows_teach_the_targets_body(sensors):
    clf = fit(DANNClassifier(target_feature_extractor=NormedBody(), **FAST), sensors)
    before = copy.deepcopy(clf.net_.module_.state_dict())
    clf.adapt(sensors.X_target[:40], sensors.y_target[:40])
    losses = clf.history_[-clf.max_epochs :, "label_loss"]
    assert losses[-1] < losses[0]
    after = clf.net_.module_.state_dict()
    moved = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
    assert moved == {"body", "label_head"}
