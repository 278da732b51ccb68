"""What errors say of rows: argument, columns, rows, and the way out."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sktransfer import (
    CORAL,
    DANNClassifier,
    FineTuneClassifier,
    ImportanceWeightingClassifier,
    make_transfer_pipeline,
)
from sktransfer.validation._naming import named

pd = pytest.importorskip("pandas")

rng = np.random.default_rng(0)
X, y = rng.normal(size=(20, 2)), np.arange(20) % 2
NUMBERS = pd.DataFrame(X, columns=["speed", "heat"])
ESTIMATORS = [DANNClassifier(max_epochs=1), CORAL(), ImportanceWeightingClassifier()]


def frame_with(column):
    return NUMBERS.assign(heat=column)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "codes", [["a", "b"] * 10, pd.Categorical(["a", "b"] * 10), pd.array(["a", "b"] * 10, "string")]
)
def test_columns_of_words_are_named_with_the_transformer_that_encodes_them(estimator, codes):
    words = r" has columns that are no numbers: \['heat'\].*make_transfer_pipeline\(Column"
    with pytest.raises(ValueError, match="^X" + words):
        estimator.fit(frame_with(codes), y, X_target=NUMBERS)
    with pytest.raises(ValueError, match="^X_target" + words):
        estimator.fit(NUMBERS, y, X_target=frame_with(codes))


def test_columns_of_words_are_named_where_rows_are_to_be_predicted():
    clf = ImportanceWeightingClassifier().fit(NUMBERS, y, X_target=NUMBERS)
    with pytest.raises(ValueError, match=r"X has columns that are no numbers: \['heat'\]"):
        clf.predict(frame_with(pd.Categorical(["a", "b"] * 10)))


@pytest.mark.filterwarnings("ignore:The weights of the source have mean:UserWarning")
def test_codes_of_numbers_are_taken():
    clf = ImportanceWeightingClassifier()
    clf.fit(frame_with(pd.Categorical([1, 2] * 10)), y, X_target=NUMBERS)
    assert clf.n_features_in_ == 2


def test_columns_of_dates_are_named():
    with pytest.raises(ValueError, match=r"X has columns of dates or times: \['heat'\]"):
        CORAL().fit(frame_with(pd.date_range("2020", periods=20)), y, X_target=NUMBERS)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_missing_values_are_counted_and_their_columns_named(estimator):
    missing = NUMBERS.copy()
    missing.iloc[[3, 5], 1] = np.nan
    words = r" contains NaN, in 2 of the 20 rows, columns \['heat'\].*SimpleImputer"
    with pytest.raises(ValueError, match="Input X" + words):
        estimator.fit(missing, y, X_target=NUMBERS)
    with pytest.raises(ValueError, match="Input X_target" + words):
        estimator.fit(NUMBERS, y, X_target=missing)
    array = missing.to_numpy()
    with pytest.raises(ValueError, match=r"NaN, in 2 of the 20 rows, columns \[1\]\. Fill"):
        estimator.fit(array, y, X_target=NUMBERS.to_numpy())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.full((4, 2, 2), np.nan), "contains NaN, in 4 of the 4 rows. Fill them"),
        (np.full((4, 12), np.nan), r"columns \[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\] and 2 more\. Fill"),
        (sparse.csr_matrix([[1.0, np.nan], [0.0, 1.0]]), "contains NaN. Fill them"),
    ],
)
def test_rows_of_other_shapes_are_counted(rows, message):
    with pytest.raises(ValueError, match=message), named("X", rows):
        raise ValueError("Input X contains NaN.\nMore words.")


def test_infinite_values_are_placed():
    with pytest.raises(ValueError, match=r"infinity.*, in 1 of the 1 rows, columns \[1\]. Replace"):
        with named("X", np.array([[0.0, np.inf]])):
            raise ValueError("Input X contains infinity or a value too large for dtype('float64').")


TEXTS = ["a good film", "a bad film"] * 10


@pytest.mark.parametrize(
    "texts", [TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), pd.Series(TEXTS)]
)
def test_texts_get_the_ways_to_numbers(texts):
    message = "X(_target)? holds texts, such as 'a good film'.*TfidfVectorizer.*from_transformers"
    for fit in (
        lambda: FineTuneClassifier().fit(texts, y),
        lambda: DANNClassifier().fit(X, y, X_target=texts),
    ):
        with pytest.raises(ValueError, match=message):
            fit()


def test_the_way_to_numbers_for_texts_is_one():
    pipe = make_transfer_pipeline(
        TfidfVectorizer(), ImportanceWeightingClassifier(LogisticRegression())
    )
    assert pipe.fit(TEXTS, y, X_target=TEXTS[:7]).score(TEXTS, y) == 1


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("X_tgt", "X_target"), ("Xt", "X_target"), ("yt", "y_target"), ("weights", "sample_weight")],
)
@pytest.mark.parametrize(
    "estimator",
    [*ESTIMATORS, make_transfer_pipeline(CORAL(), LogisticRegression())],
    ids=lambda e: type(e).__name__,
)
def test_an_argument_of_another_name_is_refused_with_the_one_meant(estimator, wrong, right):
    with pytest.raises(TypeError, match=rf"{wrong}'.*Did you mean {right}=\?"):
        estimator.fit(X, y, **{wrong: X})


def test_a_parameter_given_to_fit_is_sent_to_the_constructor():
    message = r"'epochs'\. It is a parameter: DANNClassifier\(max_epochs=\.\.\.\)\. It takes X"
    with pytest.raises(TypeError, match=message):
        DANNClassifier().fit(X, y, epochs=3)


def test_an_argument_like_none_gets_the_list():
    with pytest.raises(TypeError, match=r"fit\(\) got an .* argument 'verbose'\. It takes X, y, "):
        CORAL().fit(X, y, verbose=1)
