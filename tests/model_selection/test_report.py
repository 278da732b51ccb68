"""The report's twin, figures and verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    DANNClassifier,
    DeepCORALClassifier,
    TargetDomain,
    make_transfer_pipeline,
)
from sktransfer.alignment import CORAL, DomainStandardScaler
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.datasets import make_shifted_moons
from sktransfer.instance import ImportanceWeightingClassifier, LabelShiftClassifier
from sktransfer.metrics import proxy_a_distance
from sktransfer.model_selection import (
    ClassAMIScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    SNDScorer,
    TargetAccuracyScorer,
    adaptation_report,
)
from sktransfer.model_selection._report import (
    class_share_gap,
    judge_by_labels,
    judge_by_witnesses,
)

FAST = {"max_epochs": 3, "random_state": 0}


def test_the_twin_is_the_same_fit_without_a_target(domains):
    X, y, X_target = domains
    clf = DANNClassifier(target_loss="entropy", target_loss_weight=0.1, **FAST).fit(X, y, X_target)
    report = adaptation_report(clf, X, y, X_target)
    twin = DANNClassifier(lambda_=0.0, **FAST).fit(X, y)
    np.testing.assert_array_equal(report.source_only.predict_proba(X), twin.predict_proba(X))
    assert report.source_only.get_params() == clf.get_params()


def test_figures_are_those_of_both_fits(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    twin = DANNClassifier(lambda_=0.0, **FAST).fit(X, y)
    report = adaptation_report(clf, X, y, X_target, y_target=y)
    for column, fit in enumerate((twin, clf)):
        expected = {
            "source accuracy": fit.score(X, y),
            "proxy A-distance": proxy_a_distance(
                fit.transform(X), fit.transform(X_target), random_state=0
            ),
            "gap of class shares": abs(np.mean(fit.predict(X_target) == "up") - np.mean(y == "up")),
            "NeighborAgreementScorer": NeighborAgreementScorer(X_target)(fit, X, y),
            "ClassAMIScorer": ClassAMIScorer(X_target)(fit),
            "InfoMaxScorer": InfoMaxScorer(X_target)(fit),
            "SNDScorer": SNDScorer(X_target)(fit),
            "target accuracy": TargetAccuracyScorer(X_target, y)(fit),
        }
        found = {name: pair[column] for name, pair in report.figures.items()}
        assert found == pytest.approx(expected)
    assert report.changed == np.mean(twin.predict(X_target) != clf.predict(X_target))


@pytest.mark.parametrize("estimator", [DANNClassifier(**FAST), DeepCORALClassifier(**FAST)])
def test_an_estimator_may_come_fitted_or_not_bare_or_in_a_pipeline(domains, estimator):
    X, y, X_target = domains
    for one in (estimator, make_transfer_pipeline(StandardScaler(), estimator)):
        fitted = clone(one).fit(X, y, X_target=X_target)
        reports = [adaptation_report(e, X, y, X_target) for e in (one, fitted)]
        assert reports[0].figures == reports[1].figures
        assert not one.__sklearn_is_fitted__()


def test_a_twin_can_be_reused_and_scorers_chosen(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    twin = DANNClassifier(lambda_=0.0, **FAST).fit(X, y)
    report = adaptation_report(
        clf, X, y, X_target, source_only=twin, scorers={"mine": lambda *_: 7.0}
    )
    assert report.source_only is twin
    assert report.figures["mine"] == (7.0, 7.0)
    assert "InfoMaxScorer" not in report.figures


def test_callbacks_that_hold_the_target_stay_out_of_the_twin(domains):
    X, y, X_target = domains
    callbacks = [DomainScoring(X, y, X_target, y), TargetValidation(InfoMaxScorer(X_target))]
    clf = DANNClassifier(callbacks=callbacks, **FAST).fit(X, y, X_target)
    twin = adaptation_report(clf, X, y, X_target).source_only
    assert "target_accuracy" not in twin.history_[-1]
    assert "target_score" not in twin.history_[-1]
    assert len(clf.callbacks) == 2


def test_a_weight_of_next_to_nothing_did_nothing(domains):
    X, y, X_target = domains
    clf = DANNClassifier(lambda_=1e-9, **FAST)
    report = adaptation_report(clf, X, y, X_target, y_target=y)
    assert report.verdict == "nothing"
    assert report.changed == 0
    assert "0.0% of the target's rows are predicted differently" in str(report)


def test_labels_tell_help_from_harm():
    Xs, ys, Xt, _ = make_shifted_moons(300, random_state=0)
    clf = DANNClassifier(learning_rate=0.01, max_epochs=30, random_state=0).fit(Xs, ys, Xt)
    blind = adaptation_report(clf, Xs, ys, Xt)
    assert blind.changed * 300 >= 4  # with fewer, no label could tell
    # Whatever the labels are, every changed row is right before or after, not both.
    twin = {"source_only": blind.source_only}
    helped = adaptation_report(clf, Xs, ys, Xt, y_target=clf.predict(Xt), **twin)
    assert helped.verdict == "helped"
    before = blind.source_only.predict(Xt)
    harmed = adaptation_report(clf, Xs, ys, Xt, y_target=before, **twin)
    assert harmed.verdict == "harm"
    assert "negative transfer" in harmed.explanation


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 20))
def test_mcnemar_by_its_definition(better, worse, same):
    before = np.repeat([False, True, True], [better, worse, same])
    after = np.repeat([True, False, True], [better, worse, same])
    verdict, reason = judge_by_labels(before, after)
    if better + worse == 0 or (better - worse) ** 2 / (better + worse) <= 1.96**2:
        assert verdict == "unclear"
    else:
        assert verdict == ("helped" if better > worse else "harm")
    assert f"{better} of the {better + worse + same} labelled ones for the better" in reason


@given(*[st.integers(0, 100).map(lambda percent: percent / 100)] * 4, *[st.floats(0, 8)] * 2)
def test_witnesses_must_agree(gap, gap_after, agreement, agreement_after, density, density_after):
    verdict, reason = judge_by_witnesses(
        (gap, gap_after), (agreement, agreement_after), (density, density_after)
    )
    closer, nearer = round(gap - gap_after, 2), round(agreement_after - agreement, 2)
    if abs(closer) == 0.01 or abs(nearer) == 0.01:
        return  # rounding decides
    if closer > 0.01 and nearer > 0.01:
        assert verdict == "helped"
    elif closer < -0.01 and nearer < -0.01 and density_after < density:
        assert verdict == "harm"
    elif agreement >= 0.95 and nearer < -0.01 and density_after < density:
        assert verdict == "harm"
        assert "lack classes" in reason
    else:
        assert verdict == "unclear"
        assert f"from {gap:.3f} to {gap_after:.3f}" in reason


@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_gap_of_class_shares_by_plain_loops(labels, y):
    gap = sum(abs(labels.count(k) / len(labels) - y.count(k) / len(y)) for k in "abcd") / 2
    assert class_share_gap(np.array(labels), np.array(y)) == pytest.approx(gap)
    assert 0 <= gap <= 1


def test_the_report_reads_as_text_and_as_html(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    report = adaptation_report(clf, X, y, X_target, scorers={"<b>": lambda *_: 1.5})
    lines = str(report).splitlines()
    assert lines[0] == report.explanation
    assert lines[2].split() == ["source", "only", "adapted"]
    assert lines[-1].split() == ["<b>", "1.500", "1.500"]
    page = report._repr_html_()
    assert page.startswith("<p>")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 1 + len(report.figures)


def test_nothing_of_the_users_is_changed(domains):
    X, y, X_target = domains
    clf = DANNClassifier(**FAST).fit(X, y, X_target)
    before = clf.predict_proba(X), X.copy(), X_target.copy(), clf.get_params()
    state = np.random.get_state()[1]
    adaptation_report(clf, X, y, X_target)
    for now, then in zip((clf.predict_proba(X), X, X_target), before[:3], strict=True):
        np.testing.assert_array_equal(now, then)
    assert clf.get_params() == before[3]
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    "estimator",
    [DANNClassifier(lambda_=0.0), DANNClassifier().source_only(), LogisticRegression(), "dann"],
)
def test_what_does_not_adapt_is_refused(domains, estimator):
    X, y, X_target = domains
    with pytest.raises(ValueError, match=r"must adapt to a target.*source_only"):
        adaptation_report(estimator, X, y, X_target)


def test_rows_and_labels_of_the_target_are_checked_before_any_fit(domains):
    X, y, X_target = domains
    with pytest.raises(ValueError, match="at least 2 rows of the target"):
        adaptation_report(DANNClassifier(), X, y, X_target[:1])
    with pytest.raises(ValueError, match=r"y_target has shape \(5,\), but X_target 90 rows"):
        adaptation_report(DANNClassifier(), X, y, X_target, y_target=y[:5])


@pytest.mark.parametrize(
    ("estimator", "plain"),
    [
        (
            make_transfer_pipeline(DomainStandardScaler(), LogisticRegression()),
            make_pipeline(StandardScaler(), LogisticRegression()),
        ),
        (make_transfer_pipeline(CORAL(), LogisticRegression()), LogisticRegression()),
        (ImportanceWeightingClassifier(random_state=0), LogisticRegression(max_iter=1000)),
        (LabelShiftClassifier(random_state=0), LogisticRegression(max_iter=1000)),
    ],
    ids=["scaler", "coral", "weights", "label shift"],
)
def test_without_a_network_the_twin_is_the_plain_estimator(domains, estimator, plain):
    X, y, X_target = domains
    report = adaptation_report(estimator, X, y, X_target, scorers={})
    plain.fit(X, y)
    np.testing.assert_array_equal(report.source_only.predict(X_target), plain.predict(X_target))
    assert report.figures["source accuracy"][0] == plain.score(X, y)


def test_rows_of_the_source_pass_the_map_of_the_source(domains):
    X, y, _ = domains
    X_target = 3 * X[::-1] + 2  # an offset and a gain, which the scaler undoes
    pipe = make_transfer_pipeline(DomainStandardScaler(), LogisticRegression())
    search = GridSearchCV(
        pipe, {"logisticregression__C": [1.0]}, scoring=NeighborAgreementScorer(X_target), cv=2
    )
    scaled = StandardScaler().fit_transform(X)
    accuracy = LogisticRegression().fit(scaled, y).score(scaled, y)
    for estimator in (pipe, search):
        fitted = clone(estimator).fit(X, y, X_target=TargetDomain(X_target))
        figures = adaptation_report(fitted, X, y, X_target, y_target=y[::-1], scorers={}).figures
        assert figures["source accuracy"][1] == figures["target accuracy"][1] == accuracy
        assert figures["proxy A-distance"][0] > 1 > figures["proxy A-distance"][1]
    fitted = pipe.fit(X, y, X_target=X_target)
    score = IWCVScorer(X_target, loss="log_loss")(fitted, X, y)
    by_hand = IWCVScorer(fitted[0].transform(X_target), loss="log_loss")(fitted[-1], scaled, y)
    np.testing.assert_allclose(score, by_hand)
