"""Prototypes and attention equal what plain loops say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from sktransfer.fewshot._heads import attention, class_means, similarities


def problem(seed, n_support=9, n_classes=3):
    generator = torch.Generator().manual_seed(seed)
    support = torch.randn(n_support, 4, generator=generator, dtype=torch.float64)
    queries = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    codes = torch.randperm(n_support, generator=generator) % n_classes
    return queries, support, codes


@given(st.integers(0, 10_000), st.booleans())
def test_means_are_those_of_each_class(seed, weighted):
    _, support, codes = problem(seed)
    weight = torch.arange(1.0, 10.0, dtype=torch.float64) if weighted else None
    found = class_means(support, codes, 3, weight)
    for k in range(3):
        of_class = np.flatnonzero(codes.numpy() == k)
        weights = None if weight is None else weight.numpy()[of_class]
        expected = np.average(support.numpy()[of_class], axis=0, weights=weights)
        np.testing.assert_allclose(found[k], expected, atol=1e-12)


def test_what_lies_far_from_zero_is_as_near_to_another_as_before():
    queries, support, _ = problem(0)
    near = similarities(queries, support, "euclidean")
    far = similarities((queries + 1e4).float(), (support + 1e4).float(), "euclidean")
    np.testing.assert_allclose(far, near, atol=0.02)  # 1e4 in single precision is known to 1e-3


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_similarities_are_of_all_pairs(distance):
    queries, support, _ = problem(0)
    found = similarities(queries, support, distance)
    for i, q in enumerate(queries):
        for j, c in enumerate(support):
            if distance == "euclidean":
                expected = -((q - c) ** 2).sum()
            else:
                expected = 10 * (q @ c) / (q.norm() * c.norm())
            assert found[i, j].item() == pytest.approx(expected.item())


def test_similarities_keep_their_digits_far_from_zero():
    queries, support, _ = problem(0)
    queries, support = (queries + 1e3).float(), (support + 1e3).float()
    exact = similarities(queries.double(), support.double(), "euclidean")
    found = similarities(queries, support, "euclidean")
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=0)


@given(st.integers(0, 10_000))
def test_attention_is_the_share_of_each_class(seed):
    queries, support, codes = problem(seed)
    similarity = similarities(queries, support, "euclidean")
    found = attention(similarity, codes, 3).exp()
    for i in range(len(queries)):
        weights = np.exp(similarity[i].numpy())
        expected = [weights[codes.numpy() == k].sum() / weights.sum() for k in range(3)]
        np.testing.assert_allclose(found[i], expected, rtol=1e-9)


def test_attention_survives_distances_beyond_what_exp_holds():
    similarity = torch.tensor([[-2000.0, -1000.0, -3000.0]], requires_grad=True)
    logits = attention(similarity, torch.tensor([0, 1, 0]), 2)
    F.cross_entropy(logits, torch.tensor([0])).backward()
    assert logits.tolist() == [[-1000.0, 0.0]]
    assert similarity.grad.tolist() == [[-1.0, 1.0, 0.0]]


def test_gradients_of_attention_are_right():
    _, _, codes = problem(1)
    similarity = torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: attention(s, codes, 3), similarity)
