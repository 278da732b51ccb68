"""Wrong inputs are answered by a message that names them, none in silence."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from torch import nn

from sktransfer import (
    CORAL,
    JDA,
    TCA,
    ULSIF,
    BalancedWeightingClassifier,
    CrossDomainLabelPropagation,
    DANNClassifier,
    DAPClassifier,
    DomainStandardScaler,
    ESZSLClassifier,
    FineTuneClassifier,
    ImportanceWeightingClassifier,
    MarginalizedDenoisingAutoencoder,
    MCCClassifier,
    MeanRegularizedClassifier,
    MeanRegularizedRegressor,
    PriorTransferClassifier,
    PrototypicalClassifier,
    TargetDomain,
    TrAdaBoostClassifier,
    load,
    make_transfer_pipeline,
    save,
)
from sktransfer.callbacks import DomainScoring, TargetValidation
from sktransfer.datasets import make_shifted_moons
from sktransfer.displays import DomainEmbeddingDisplay, TransferMatrixDisplay
from sktransfer.finetuning import SourceTraining
from sktransfer.layers import GradientReversal, scale_gradient
from sktransfer.metrics import (
    coral_distance,
    h_score,
    leep,
    logme,
    mmd,
    proxy_a_distance,
    sliced_wasserstein_distance,
)
from sktransfer.model_selection import (
    ClassAMIScorer,
    DEVScorer,
    InfoMaxScorer,
    IWCVScorer,
    NeighborAgreementScorer,
    ReverseValidationScorer,
    SNDScorer,
    TargetAccuracyScorer,
    adaptation_report,
)
from sktransfer.schedules import cosine_annealing, dann_annealing, dann_ramp
from sktransfer.validation._arguments import (
    check_number,
    check_path,
    check_random_state,
    check_takes,
)

Xs, ys, Xt, yt = make_shifted_moons(40, random_state=0)
FAST = {"max_epochs": 2, "random_state": 0}
DISTANCES = [coral_distance, mmd, proxy_a_distance, sliced_wasserstein_distance]


@pytest.fixture(scope="module")
def dann():
    return DANNClassifier(**FAST).fit(Xs, ys, X_target=Xt)


BAD_ROWS = {
    "None": (None, "is None; give one row for each sample"),
    "number": (3.0, "is 3.0, a single value"),
    "strings": (Xs.astype(str), "holds strings, such as"),
    "empty": (Xs[:0], "0 sample"),
    "ragged": ([[1.0, 2.0], [1.0]], "rows differ in length"),
    "complex": (Xs.astype(complex), "complex"),
    "objects": (np.array([[object()] * 2] * 40), "float"),
}


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("distance", DISTANCES)
def test_distances_name_the_domain(distance, place, bad):
    rows, message = BAD_ROWS[bad]
    arguments = [Xs, Xt]
    arguments[place] = rows
    with pytest.raises((ValueError, TypeError), match=f"X_(source|target).*{message}") as caught:
        distance(*arguments)
    assert ("X_source", "X_target")[place] in str(caught.value)


@pytest.mark.parametrize("bad", [name for name in BAD_ROWS if name != "complex"])
@pytest.mark.parametrize(("rank", "name"), [(h_score, "features"), (logme, "features")])
def test_rankings_name_the_features(rank, name, bad):
    rows, message = BAD_ROWS[bad]
    with pytest.raises((ValueError, TypeError), match=f"{name}.*{message}"):
        rank(rows, ys)


@pytest.mark.parametrize("measure", [*DISTANCES, h_score, logme])
def test_values_whose_powers_overflow_are_refused(measure):
    with pytest.raises(ValueError, match=r"holds values up to .*e\+200.*scale the features"):
        measure(Xs * 1e200, Xt if measure in DISTANCES else ys)


@pytest.mark.parametrize("distance", DISTANCES)
def test_frames_with_columns_in_another_order_are_refused(distance):
    frame = pd.DataFrame(Xs, columns=["a", "b"])
    with pytest.raises(
        ValueError, match=r"X_source has \['a', 'b'\].*X_target\[X_source.columns\]"
    ):
        distance(frame, pd.DataFrame(Xt, columns=["b", "a"]))


@pytest.mark.parametrize("rank", [h_score, logme])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Xs[:, 0], "^y: Unknown label type: continuous"),
        (ys * 0, "y holds the one class 0;"),
        (np.c_[ys, ys], "^y should be a 1d array"),
        (pd.Series(["a", None] * 20, dtype="string"), "20 of the 40 labels in y are missing"),
    ],
)
def test_labels_to_rank_by_are_named(rank, y, message):
    with pytest.raises(ValueError, match=message):
        rank(Xs, y)


def test_labels_are_refused_as_before():
    with pytest.raises(ValueError, match="source_probabilities"):
        leep(None, ys)
    with pytest.raises(ValueError, match="y is None; give one label"):
        h_score(Xs, None)


@pytest.mark.parametrize(
    "call",
    [
        lambda seed: mmd(Xs, Xt, random_state=seed),
        lambda seed: proxy_a_distance(Xs, Xt, random_state=seed),
        lambda seed: sliced_wasserstein_distance(Xs, Xt, random_state=seed),
        lambda seed: make_shifted_moons(10, random_state=seed),
        check_random_state,
    ],
)
@pytest.mark.parametrize("seed", [-1, "zzz", 1.5])
def test_seeds_are_named(call, seed):
    with pytest.raises(ValueError, match=rf"random_state={seed!r} is no seed"):
        call(seed)


def test_flags_are_no_numbers_and_numbers_no_flags():
    with pytest.raises(TypeError, match="unbiased must be True or False; got 1"):
        mmd(Xs, Xt, unbiased=1)
    with pytest.raises(ValueError, match=r"'learning_rate'.*must be.*got True"):
        DANNClassifier(learning_rate=True).fit(Xs, ys, X_target=Xt)
    with pytest.raises(ValueError, match=r"'unfreeze_depth'.*must be.*got True"):
        FineTuneClassifier(unfreeze_depth=True).fit(Xs, ys, Xt, yt)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: DANNClassifier().fit(None, ys), "X is None"),
        (lambda: DANNClassifier().fit(Xs, ys[:-1], Xt), "y has 39 labels for the 40 rows of X"),
        (lambda: DANNClassifier().fit(Xs, ys, 3.0), r"X_target is 3\.0, a single value"),
        (lambda: DANNClassifier().fit(Xs.astype(str), ys, Xt), "X holds strings"),
        (lambda: FineTuneClassifier().fit(Xs, ys, Xt, 1), "y_target is 1, a single value"),
        (lambda: FineTuneClassifier().fit(Xs, ys, Xt, np.c_[yt, yt]), "y_target.*1d array"),
        (lambda: TargetDomain([[1, 2], [1]]), "TargetDomain wraps rows of one length"),
    ],
)
def test_rows_and_labels_of_a_fit_are_named(fit, message):
    with pytest.raises(ValueError, match=message):
        fit()


# One of each family that checks labels.
LEARNERS = [
    DANNClassifier(**FAST),
    CrossDomainLabelPropagation(),
    ImportanceWeightingClassifier(),
    MeanRegularizedClassifier(),
    PrototypicalClassifier(episodes=1),
]
ONE_TYPE = r"make them labels of one type, by \.astype"


@pytest.mark.parametrize("name", ["y", "y_target", "domains"])
def test_a_column_s_name_is_told_to_be_its_values(name):
    given = {"y": ys, "X_target": Xt, name: "label"}
    with pytest.raises(TypeError, match=rf"{name} is 'label', a text; give .*frame\['label'\]"):
        DANNClassifier(**FAST).fit(Xs, **given)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda y: (y > 0).astype(object), ValueError, rf"^y: Unknown.*bool\).*{ONE_TYPE}\(bool\)"),
        (lambda y: np.array(["a", "b"], dtype=object)[y], None, None),
        (
            lambda y: np.array(["a", 1], dtype=object)[y],
            (TypeError, ValueError),
            rf"^y: .*int, str.*{ONE_TYPE}",
        ),
        (lambda y: np.where(y > 0, y, np.nan), ValueError, "y contains NaN or None: 20 of its 40"),
        (lambda y: np.array(["a", None], dtype=object)[y], ValueError, "20 of its 40 labels are"),
        (lambda y: np.ma.array(y, mask=y > 0), ValueError, "keep = pandas.notna"),
        (lambda y: y * 0, ValueError, "one class.*0"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fitted without (X_target|task)")
def test_labels_that_are_none_are_told_what_to_do(learner, change, error, message):
    if isinstance(learner, CrossDomainLabelPropagation) and not change(ys).any():
        pytest.skip("learns a single class")
    if error is None:
        assert clone(learner).fit(Xs, change(ys)).predict(Xs).dtype.kind == "O"
        return
    with pytest.raises(error, match=message):
        clone(learner).fit(Xs, change(ys))


@pytest.mark.parametrize("learner", [one for one in LEARNERS if not hasattr(one, "mean_strength")])
def test_columns_of_classes_are_told_to_be_labels(learner):
    with pytest.raises(ValueError, match=r"y should be a 1d array.*y.argmax\(axis=1\)"):
        clone(learner).fit(Xs, np.eye(2)[ys])


def test_a_regressor_is_named_where_there_is_one():
    numbers = Xs[:, 0]
    with pytest.raises(ValueError, match="use DANNRegressor"):
        DANNClassifier(**FAST).fit(Xs, numbers)
    with pytest.raises(ValueError, match="use a regressor, such as DANNRegressor"):
        CrossDomainLabelPropagation().fit(Xs, numbers)


@pytest.mark.parametrize(
    "estimator",
    [
        CORAL(),
        TCA(),
        ULSIF(),
        ESZSLClassifier(),
        MarginalizedDenoisingAutoencoder(),
        MeanRegularizedRegressor(),
        MCCClassifier(**FAST),
    ],
)
def test_values_with_which_nothing_can_be_computed_are_refused(estimator):
    huge = Xs * 1e200
    if hasattr(estimator, "descriptions"):
        estimator = clone(estimator).set_params(descriptions={0: [1.0, 2.0], 1: [2.0, 1.0]})
    with pytest.raises(ValueError, match=r"X holds values up to .*e\+200.*MaxAbsScaler"):
        clone(estimator).fit(huge, ys)
    with pytest.raises(ValueError, match="X_target holds values up to"):
        DANNClassifier(**FAST).fit(Xs, ys, X_target=huge)
    assert np.isfinite(
        make_pipeline(MaxAbsScaler(), CORAL().source_only()).fit_transform(huge)
    ).all()


def test_labels_of_the_target_keep_the_type_of_the_source():
    known = np.where(np.arange(40) % 4 == 0, yt, np.nan)  # whole numbers, floats for NaN's sake
    for learner in (BalancedWeightingClassifier(), DANNClassifier(**FAST)):
        clf = clone(learner).fit(Xs, ys, X_target=Xt, y_target=known)
        assert clf.classes_.dtype == clf.predict(Xt).dtype == ys.dtype
    pipe = make_transfer_pipeline(CORAL(), LogisticRegression())
    pipe.fit(Xs, ys, X_target=Xt, y_target=known)
    assert pipe.classes_.dtype == ys.dtype
    of_a_third = clone(learner).fit(Xs, ys, X_target=Xt, y_target=np.where(known == 1, 7, known))
    assert of_a_third.classes_.tolist() == [0, 1, 7]


@pytest.mark.parametrize(
    "learner",
    [
        TrAdaBoostClassifier(),
        PriorTransferClassifier(),
        BalancedWeightingClassifier(),
        make_transfer_pipeline(CORAL(), LogisticRegression()),
    ],
)
def test_labels_of_the_target_that_are_words_beside_numbers_are_refused(learner):
    words = np.where(yt == 1, "one", "zero")
    with pytest.raises(ValueError, match=r"y holds labels such as \[\d\], and y_target such as"):
        clone(learner).fit(Xs, ys, X_target=Xt, y_target=words)
    with pytest.raises(ValueError, match="give text in both, or numbers in both"):
        clone(learner).fit(Xs, np.where(ys == 1, "one", "zero"), X_target=Xt, y_target=yt)


@pytest.mark.parametrize("estimator", [MeanRegularizedClassifier(), ESZSLClassifier()])
def test_a_target_is_refused_by_what_has_none(estimator):
    name = type(estimator).__name__
    with pytest.raises(
        TypeError, match=rf"^{name}.fit\(\) got an unexpected .*'X_target'.*takes X"
    ):
        estimator.fit(Xs, ys, X_target=Xt)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lambda_schedule": lambda: 1.0}, r"lambda_schedule is called as lambda_schedule\(prog"),
        ({"lambda_schedule": lambda p: p / 0}, r"lambda_schedule\(0.0\) raised ZeroDivisionError"),
        ({"lambda_schedule": lambda p: np.nan if 0 < p < 1 else 1.0}, r"\(0.5\) returned nan"),
        ({"learning_rate_schedule": torch.optim.lr_scheduler.StepLR}, "learning_rate_schedule"),
        ({"optimizer": lambda parameters: None}, "optimizer=.*cannot be called with parameters"),
        ({"optimizer": lambda parameters, lr: 3}, "optimizer=.*made 3"),
        ({"optimizer": torch.optim.LBFGS}, "optimizer=LBFGS.*closure"),
        ({"hidden_layer_sizes": {"a": 1}}, "hidden_layer_sizes must hold positive integers"),
        ({"feature_extractor": nn.Linear(2, 4, device="meta")}, "feature_extractor has weights on"),
    ],
)
def test_what_says_how_to_train_is_named(parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DANNClassifier(**FAST, **parameters).fit(Xs, ys, X_target=Xt)


@pytest.mark.parametrize("activation", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_a_head_that_ends_in_an_activation_warns(activation):
    head = nn.Sequential(nn.Linear(100, 2), activation)
    clf = DANNClassifier(label_classifier=head, lambda_=0.0, **FAST)
    with pytest.warns(UserWarning, match=f"label_classifier ends in {type(activation).__name__}"):
        clf.fit(Xs, ys)


@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        (lambda: 3, TypeError, "augment is called as augment"),
        (lambda X: X[:, :1], ValueError, r"augment made a batch of shape \(\d+, 1\)"),
    ],
)
def test_augment_is_named(augment, error, message):
    clf = FineTuneClassifier(
        source_training=SourceTraining(epochs=1), head_epochs=1, augment=augment, random_state=0
    )
    with pytest.raises(error, match=message):
        clf.fit(Xs, ys, Xt, yt)


@pytest.mark.parametrize(
    "kind",
    [InfoMaxScorer, SNDScorer, IWCVScorer, DEVScorer, NeighborAgreementScorer, ClassAMIScorer],
)
def test_scorers_name_the_target_and_what_is_scored(kind, dann):
    with pytest.raises(ValueError, match="X_target is None"):
        kind(None)
    with pytest.raises(TypeError, match=kind.__name__):
        kind(Xt)(3, Xs, ys)


@pytest.mark.parametrize("kind", [IWCVScorer, DEVScorer, ReverseValidationScorer])
def test_scorers_ask_for_a_label_for_each_row(kind, dann):
    with pytest.raises(ValueError, match="y has 3 labels for the 40 rows of X"):
        kind(Xt)(dann, Xs, ys[:3])


def test_labels_of_the_target_must_be_of_the_classes(dann):
    with pytest.raises(ValueError, match=r"y_target holds .*but the estimator predicts"):
        TargetAccuracyScorer(Xt, yt + 7)(dann)
    with pytest.raises(ValueError, match=r"y_target holds \['0', '1'\], but .* \[0, 1\]: give"):
        TargetAccuracyScorer(Xt, yt.astype(str))(dann)
    with pytest.raises(ValueError, match="of the 40 labels in y_target are missing"):
        TargetAccuracyScorer(Xt, np.where(yt == 1, np.nan, 0.0))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scorers": [InfoMaxScorer(Xt)]}, "scorers must be a dict.*got a list"),
        ({"scorers": {"a": SNDScorer}}, r"scorers\['a'\] must be a callable.*not its class"),
        ({"source_only": DANNClassifier()}, "source_only=.*is not fitted"),
    ],
)
def test_the_report_names_its_parameters(dann, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        adaptation_report(dann, Xs, ys, Xt, **parameters)
    with pytest.raises(ValueError, match="y has 2 labels for the 40 rows of X"):
        adaptation_report(dann, Xs, ys[:2], Xt)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda: DomainScoring(None, ys, Xt, yt), "X_source is None"),
        (lambda: DomainScoring(Xs, None, Xt, yt), "y_source is None"),
        (lambda: DomainScoring(Xs, ys, Xt, yt[:3]), "y_target has 3 labels for the 40 rows"),
        (lambda: DomainScoring(Xs, ys, Xt, yt.astype(str)), "y_target"),
        (lambda: TargetValidation(lambda estimator: 1.0), "scorer is called as scorer"),
        (lambda: TargetValidation(IWCVScorer, Xs[:3], ys), "y has 40 labels for the 3 rows"),
    ],
)
def test_callbacks_name_what_they_hold(callback, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DANNClassifier(callbacks=[callback()], **FAST).fit(Xs, ys, X_target=Xt)


@pytest.mark.filterwarnings("ignore:The domain classifier still tells")
def test_a_validation_that_keeps_no_epoch_says_so():
    validation = TargetValidation(InfoMaxScorer, min_epochs=9)
    with pytest.warns(UserWarning, match="kept no epoch: min_epochs=9, but training ended after 2"):
        DANNClassifier(callbacks=[validation], **FAST).fit(Xs, ys, X_target=Xt)


@pytest.mark.parametrize("schedule", [cosine_annealing, dann_annealing, dann_ramp])
@pytest.mark.parametrize("progress", ["a", None, -1.0, 2.0, np.nan, np.array([0.0, 1.0])])
def test_schedules_name_the_progress(schedule, progress):
    with pytest.raises((ValueError, TypeError), match=r"progress must be a number in \[0, 1\]"):
        schedule(progress)


def test_schedules_and_layers_name_their_parameters():
    with pytest.raises(ValueError, match="gamma must be"):
        dann_ramp(1.0, gamma=-1e4)
    with pytest.raises(ValueError, match="alpha must be"):
        dann_annealing(1.0, alpha=-2)
    with pytest.raises(TypeError, match="lambda_ must be a number; got 'a'"):
        GradientReversal("a")
    with pytest.raises(TypeError, match="features must be a Tensor; got a ndarray"):
        scale_gradient(np.ones(2), 2.0)
    with pytest.raises(TypeError, match="factor must be a number; got None"):
        scale_gradient(torch.ones(2), None)


@pytest.mark.parametrize("path", [None, 99, b"bytes", ""])
def test_paths_are_named(path, dann):
    for call in (lambda: load(path), lambda: save(dann, path), lambda: check_path(path)):
        with pytest.raises((TypeError, ValueError), match=r"path (must be|is empty)"):
            call()


def test_displays_name_the_domain(dann):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="X_target: X has 1 features"):
        DomainEmbeddingDisplay.from_estimator(dann, Xs, Xt[:, :1])
    with pytest.raises(ValueError, match="X_source is None"):
        DomainEmbeddingDisplay.from_estimator(dann, None, Xt)
    with pytest.raises(ValueError, match="domains hold rows of the shapes"):
        TransferMatrixDisplay.from_estimator(dann, {"a": (Xs, ys), "b": (Xt[:, :1], yt)})


def test_single_arguments():
    assert check_number(0.5, "share", 0, 1, "a share") == 0.5
    check_takes(lambda a, b=1: a, "f", "a")
    check_takes(max, "f", "a")  # of which no signature is known
    with pytest.raises(TypeError, match=r"f is called as f\(a, b, c\)"):
        check_takes(lambda a, b=1: a, "f", "a", "b", "c")


def test_columns_that_a_column_transformer_cut_are_told_where_to_go():
    frames = [pd.DataFrame(rows, columns=["a", "b"]) for rows in (Xs, Xt)]
    for (source, target), columns in ((frames, ["a"]), ((Xs, Xt), [0])):
        picked = ColumnTransformer([("both", DomainStandardScaler(), columns)])
        pipe = make_transfer_pipeline(picked, LogisticRegression())
        with pytest.raises(ValueError, match=r"A ColumnTransformer cuts X alone.*behind it"):
            pipe.fit(source, ys, X_target=target)
    with pytest.raises(ValueError, match=r"X_target lacks \['b'\]\.$"):
        CORAL().fit(frames[0], X_target=frames[1][["a"]])
    with pytest.raises(ValueError, match=r"X_target\[X.columns\] picks and sorts them"):
        CORAL().fit(frames[0], X_target=frames[1][["b", "a"]])


@pytest.mark.parametrize("learner", [ULSIF(), ImportanceWeightingClassifier(), TCA()])
def test_rows_in_the_place_of_labels_are_sent_to_their_name(learner):
    if isinstance(learner, TCA):  # which reads no labels
        with pytest.warns(UserWarning, match="Pass rows of the target.* as X_target"):
            clone(learner).fit(Xs, Xt)
        return
    labels = "" if isinstance(learner, ULSIF) else "y, "
    with pytest.raises(ValueError, match=rf"by name, fit\(X, {labels}X_target=X_target\)"):
        clone(learner).fit(Xs, Xt)


def test_sparse_rows_are_told_what_makes_them_dense():
    counts = sparse.csr_matrix(np.abs(Xs))
    with pytest.raises(TypeError, match=r"passed for X, but dense.*TruncatedSVD\(100\), step"):
        TCA().fit(counts, X_target=counts)


def test_attributes_of_classes_are_sent_to_their_parameter():
    with pytest.raises(TypeError, match=r"parameter DAPClassifier\(descriptions=\{label: attr"):
        DAPClassifier().fit(Xs, ys, attributes=np.eye(2))


def test_a_class_in_the_place_of_a_module_is_told_of():
    with pytest.raises(ValueError, match=r"is the class Linear, .* failed: .*=Linear\(\.\.\.\)"):
        DANNClassifier(nn.Linear).fit(Xs, ys, X_target=Xt)


def test_measured_numbers_are_sent_from_jda_to_tca():
    with pytest.raises(ValueError, match=r"continuous.* measured use TCA, which reads no labels"):
        JDA().fit(Xs, Xs[:, 0], X_target=Xt)
    rng = np.random.default_rng(0)
    counts, rows = rng.permutation(300) // 2, rng.normal(size=(300, 2))
    with pytest.warns(UserWarning, match=r"JDA takes each value for a class.* use TCA"):
        JDA(max_iter=1).fit(rows, counts, X_target=rows[:20])
