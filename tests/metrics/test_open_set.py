"""The harmonic mean of known and unknown accuracy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.metrics import open_set_score

labels = st.lists(st.sampled_from([-1, 0, 1]), min_size=8, max_size=8)


def by_loops(true, predicted):
    shares = []
    for label in sorted({t for t in true if t != -1}):
        rows = [p == t for t, p in zip(true, predicted, strict=True) if t == label]
        shares.append(sum(rows) / len(rows))
    known = sum(shares) / len(shares)
    rows = [p == -1 for t, p in zip(true, predicted, strict=True) if t == -1]
    unknown = sum(rows) / len(rows)
    return 0.0 if known + unknown == 0 else 2 * known * unknown / (known + unknown)


@given(labels, labels)
def test_score_is_that_of_plain_loops_and_lies_between_0_and_1(true, predicted):
    true = [-1, 0, *true]
    predicted = [0, 1, *predicted]
    score = open_set_score(true, predicted, unknown_label=-1)
    assert score == pytest.approx(by_loops(true, predicted))
    assert 0 <= score <= 1


def test_text_is_a_label_like_any_other():
    true = np.array(["cup", "pen", "unknown"])
    assert open_set_score(true, true, unknown_label="unknown") == 1


def test_who_knows_no_unknown_has_0():
    assert open_set_score([0, 1, -1], [0, 1, 1], unknown_label=-1) == 0
    assert open_set_score([0, 1, -1], [-1, -1, 0], unknown_label=-1) == 0


@pytest.mark.parametrize("true", [[0, 1, 1], [-1, -1, -1]])
def test_rows_of_one_kind_alone_are_refused(true):
    with pytest.raises(ValueError, match="must hold rows of unknown_label=-1 and others"):
        open_set_score(true, [0, 1, -1], unknown_label=-1)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"y_true has shape \(2,\) and y_pred \(3,\)"):
        open_set_score([0, 1], [0, 1, -1], unknown_label=-1)
