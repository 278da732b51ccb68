"""Every fit can prove what it did, and says so where it did nothing."""

import numpy as np
import pytest
import torch
from skorch.history import History
from torch import nn

from sktransfer import (
    CDANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DomainConfusionClassifier,
    MCCClassifier,
)
from sktransfer.adaptation._diagnosis import describe_failure, describe_shares


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 5).double()

    def forward(self, X):
        return self.linear(X).detach()


class ConstantLogit(nn.Module):
    """A softmax over one column: whatever comes in, the same goes out."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(100, 1).double()

    def forward(self, features):
        return torch.softmax(self.linear(features), dim=1)


class SmallSignal(nn.Module):
    """A frozen head whose output hardly depends on its input."""

    def forward(self, features):
        return 1e-9 * features[:, :1]


class BlindLogit(nn.Module):
    """A logit that is learned and has nothing to do with the features."""

    def __init__(self):
        super().__init__()
        self.logit = nn.Parameter(torch.zeros(1, 1))

    def forward(self, features):
        return self.logit.expand(len(features), 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"domain_classifier": BlindLogit()}, "^No adaptation took place: .* no gradient"),
        ({"feature_extractor": Detached()}, "^No adaptation took place: .* no gradient"),
        ({"domain_classifier": ConstantLogit()}, "^No adaptation took place: .* no gradient"),
        ({"domain_classifier": SmallSignal()}, "^The domain loss stood still at 1.38629"),
    ],
)
def test_a_fit_that_did_not_adapt_says_why(domains, params, message):
    clf = DANNClassifier(max_epochs=5, random_state=0, **params)
    with pytest.warns(UserWarning, match=message) as caught:
        clf.fit(*domains)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("cls", "way_out", "is_said"),
    [
        (DANNClassifier, "the domain classifier's output depends on its input", True),
        (CDANClassifier, "the domain classifier's output depends on its input", True),
        (MCCClassifier, "batches of several rows of the target", True),
        (MCCClassifier, "domain classifier", False),
        (DeepCORALClassifier, "domain classifier", False),
    ],
)
def test_a_fit_without_gradient_is_told_of_what_its_method_has(domains, cls, way_out, is_said):
    clf = cls(Detached(), max_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="No adaptation took place") as caught:
        clf.fit(*domains)
    assert (way_out in str(caught[0].message)) == is_said


def test_class_confusion_of_a_single_target_row_is_said_to_be_constant(domains):
    X, y, X_target = domains
    clf = MCCClassifier(max_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="a single one has the same") as caught:
        clf.fit(X, y, X_target[:1])
    assert len(caught) == 1
    losses = clf.history_[:, "domain_loss"]
    assert losses == pytest.approx([1 - 1 / len(clf.classes_)] * 2)


@pytest.mark.parametrize(
    ("needs", "way_out"), [("so", "Check that so, and raise"), (None, "Raise")]
)
def test_a_loss_that_stands_still_is_told_of_what_it_needs(needs, way_out):
    said = describe_failure(history_of([0.5] * 9), 1.0, 1.0, 1, needs)
    assert f"did not adapt. {way_out} learning_rate or max_epochs." in said


def test_domains_that_stay_apart_are_said():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)
    clf = DANNClassifier(lambda_=1e-3, max_epochs=20, random_state=0)
    apart = pytest.warns(UserWarning, match=r"tells source from target in 100\.0% of the rows")
    shares = pytest.warns(UserWarning, match="predicted shares .* differ grossly")  # one class
    with shares, apart:
        clf.fit(X, y, X + 100)
    assert clf.history_[-1, "domain_accuracy"] == 1.0


@pytest.mark.parametrize(
    "clf",
    [
        DANNClassifier(random_state=0, max_epochs=20),
        DANNClassifier(
            random_state=0, max_epochs=20, target_loss="entropy", target_loss_weight=0.1
        ),
        DeepCORALClassifier(random_state=0, max_epochs=20),
        MCCClassifier(random_state=0, max_epochs=20),
    ],
)
def test_a_fit_that_adapted_is_quiet(domains, clf, recwarn):
    clf.fit(*domains)
    assert not recwarn.list


@pytest.mark.parametrize("cls", [DANNClassifier, DomainConfusionClassifier])
def test_several_sources_at_their_chance_level_are_quiet(domains, cls, recwarn):
    X, y, X_target = domains
    names = np.arange(len(X)) % 4
    clf = cls(max_epochs=24, random_state=0).fit(X, y, X_target, domains=names)
    assert clf.history_[-1, "domain_loss"] == pytest.approx(CHANCE + np.log(4), rel=0.1)
    assert not recwarn.list


def test_conditional_adversaries_take_sources_for_one(domains):
    X, y, X_target = domains
    clf = CDANClassifier(max_epochs=1, random_state=0)
    clf.fit(X, y, X_target, domains=np.arange(len(X)) % 4)
    assert clf.net_.module_.domain_classifier.head[-1].out_features == 1
    assert clf._n_sources_told_apart() == 1


def test_lambda_zero_asks_for_no_adaptation_and_gets_no_warning(domains, recwarn):
    X, y, X_target = domains
    DANNClassifier(lambda_=0.0, max_epochs=100, random_state=0).fit(X, y, X_target + 100)
    assert not recwarn.list


def history_of(losses, **more):
    history = History()
    for loss in losses:
        history.new_epoch()
        for name, value in {"domain_loss": loss, **more}.items():
            history.record(name, value)
    return history


CHANCE = 2 * np.log(2)


@pytest.mark.parametrize(
    ("losses", "is_said"),
    [
        ([1.0, 1.3] * 10 + [CHANCE] * 10, False),  # it settled
        ([0.2, 3.3] * 20, True),  # it swings
        (list(np.linspace(1, 2, 20)) + [1.9] * 20, True),  # it stands above chance
        ([CHANCE + 0.05, CHANCE - 0.05] * 20, False),
        ([0.2, 3.3] * 9, False),  # too few epochs to tell
    ],
)
def test_an_adversary_that_swings_or_stands_above_chance_is_said(losses, is_said):
    said = describe_failure(history_of(losses, domain_accuracy=0.6), 1.0, 1.0)
    assert (said is not None and said.startswith("The domain loss went between")) == is_said


@pytest.mark.parametrize(("n_sources", "level"), [(1, CHANCE), (2, np.log(8)), (5, np.log(20))])
def test_chance_is_that_of_as_many_sources(n_sources, level):
    def said(loss):
        return describe_failure(history_of([loss] * 39 + [level], domain_accuracy=0.5), 1.0, 1.0, n)

    n = n_sources
    assert said(level + 0.01) is None
    assert f"where chance is {level:.2f}" in said(1.25 * level)


def test_a_loss_without_an_adversary_has_no_chance_level():
    assert describe_failure(history_of([0.2, 3.3] * 20), 1.0, 1.0) is None


@pytest.mark.parametrize(
    ("of_target", "n_rows", "named"),
    [
        ([0.5, 0.4, 0.1], 1000, None),
        ([0.75, 0.25, 0.0], 1000, "'c' 0.0% (source 20.0%)"),
        ([0.75, 0.25, 0.0], 40, None),  # 8 rows expected: chance
        ([0.4, 0.57, 0.03], 1000, "'c' 3.0% (source 20.0%)"),
        ([0.4, 0.55, 0.05], 1000, None),
    ],
)
def test_shares_off_by_a_factor_of_five_are_named(of_target, n_rows, named):
    of_source = np.array([0.4, 0.4, 0.2])
    seen = np.array(of_target)
    text = describe_shares(list("abc"), (of_source, of_source, seen), n_rows)
    assert describe_shares(list("abc"), (of_source, seen, seen), n_rows) is None
    if named is None:
        assert text is None
    else:
        assert named in text
        assert "label shift" in text
        assert "partial adaptation" in text
        assert "class_weighting" in text
        shares = of_source, of_source, seen
        without = describe_shares(list("abc"), shares, n_rows, can_weigh=False)
        assert "class_weighting" not in without


def test_a_class_that_the_target_lacks_is_announced():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    X = rng.normal(size=(300, 2)) + 8 * np.eye(3)[y][:, :2]
    settings = {"class_weighting": None, "max_epochs": 15, "learning_rate": 0.01}
    clf = DeepCORALClassifier(**settings, random_state=0)
    with pytest.warns(UserWarning, match=r"shares of the target's classes .*2 0.0% \(source 3"):
        clf.fit(X, y, X_target=X[y != 2])


@pytest.mark.parametrize(("n_classes", "n_rows"), [(2, 10), (2, 30), (3, 30), (5, 50), (10, 100)])
def test_equal_shares_in_few_rows_are_hardly_ever_called_gross(n_classes, n_rows):
    rng, equal = np.random.default_rng(0), np.full(n_classes, 1 / n_classes)
    draws = rng.multinomial(n_rows, equal, size=4000) / n_rows
    names = list(range(n_classes))
    texts = [describe_shares(names, (equal, equal, drawn), n_rows) for drawn in draws]
    assert np.mean([text is not None for text in texts]) < 0.01  # at most 0.003 here
