"""Models of the transformers library as bodies: one tensor in, one row of features out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def mean_of_tokens(states: Tensor, mask: Tensor) -> Tensor:
    """Return ``sum_t m_t h_t / max(1, sum_t m_t)`` of each row.

    Parameters
    ----------
    states : Tensor of shape (n, n_tokens, n_features)
        What the last layer made of the tokens.
    mask : Tensor of shape (n, n_tokens)
        1 for tokens, 0 for padding.

    Returns
    -------
    Tensor of shape (n, n_features)
    """
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def first_token(states: Tensor, mask: Tensor) -> Tensor:
    """Return the state of the first token, shape (n, n_features), as BERT's classifiers use it."""
    return states[:, 0]


# What makes one row of the tokens' states; "pooler" is what a model has learned for it.
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean_of_tokens,
    "first": first_token,
}


class TransformersBody(nn.Module):
    """A model of the transformers library that gives features; made by `from_transformers`.

    Parameters
    ----------
    model : Module
        The model itself, not a copy.
    pooling : {"mean", "first", "pooler"}
        How features are made of tokens.
    """

    def __init__(self, model: nn.Module, pooling: str):
        super().__init__()
        self.model = model
        self.pooling = pooling

    def forward(self, X: Tensor) -> Tensor:
        """Return the features, shape (n, n_features), of codes or of images."""
        if not self._reads_codes():
            return self._pooled(self.model(X), None)
        if X.ndim == 3:
            codes, mask = X[:, 0], X[:, 1]
        else:
            codes, mask = X, self._tokens_of(X)
        return self._pooled(self.model(input_ids=codes, attention_mask=mask), mask)

    def _reads_codes(self) -> bool:
        return bool(getattr(self.model, "main_input_name", "input_ids") == "input_ids")

    def _tokens_of(self, codes: Tensor) -> Tensor:
        padding = getattr(getattr(self.model, "config", None), "pad_token_id", None)
        return torch.ones_like(codes) if padding is None else (codes != padding).to(codes.dtype)

    def _pooled(self, answer: Any, mask: Tensor | None) -> Tensor:
        parts = answer if isinstance(answer, Mapping) else vars(answer)
        if self.pooling == "pooler":
            pooled: Tensor | None = parts.get("pooler_output")
            if pooled is None:
                raise ValueError(
                    'pooling="pooler", but the model has learned no pooler_output: give "mean" or '
                    '"first"'
                )
            return pooled.flatten(1)
        states: Tensor | None = parts.get("last_hidden_state")
        if states is None:
            raise ValueError(
                f"the model answers {list(parts)} without last_hidden_state: load it without its "
                "head, by AutoModel"
            )
        if states.ndim == 4:  # maps of a convolutional model
            states = states.flatten(2).transpose(1, 2)
        if mask is None:
            mask = states.new_ones(states.shape[:2])
        return POOLINGS[self.pooling](states, mask)


def from_transformers(model: nn.Module, pooling: str = "mean") -> TransformersBody:
    """Make a body of a model of the transformers library, as `AutoModel` loads it.

    Such a model answers with an object that holds a state for each token. A body gives
    one row of features instead: by default their mean, ``sum_t m_t h_t / sum_t m_t``
    with ``m`` 0 for padding. Texts come as codes of tokens: what a tokenizer made of
    them, ``numpy.stack([codes["input_ids"], codes["attention_mask"]], axis=1)``. Images
    come as arrays, as ``pixel_values`` are.

    Parameters
    ----------
    model : torch.nn.Module
        Of text (its ``main_input_name`` is "input_ids") or of images or sound; without a
        head. The estimator copies it, so that it stays as it is.
    pooling : {"mean", "first", "pooler"}, default="mean"
        The mean over tokens (or over the maps of a convolutional model), the state of the
        first token, or ``pooler_output``, which some models have learned.

    Returns
    -------
    torch.nn.Module
        From integers of shape ``(n, 2, n_tokens)``, codes and mask, or ``(n, n_tokens)``, codes
        alone, where the mask is that of the model's ``pad_token_id``; from images of
        shape ``(n, channels, height, width)``; to features of shape ``(n, n_features)``.

    Raises
    ------
    TypeError, ValueError
        For what is no module, and for an unknown pooling.

    References
    ----------
    Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, sec. 3 (the mean).

    Examples
    --------
    >>> import torch
    >>> from sktransfer import FineTuneClassifier
    >>> from sktransfer.backbones import from_transformers
    >>> def load_body(shape):  # what fit calls, so that importing it costs nothing before
    ...     from transformers import AutoModel
    ...     return from_transformers(AutoModel.from_pretrained("folder of a model"))
    >>> clf = FineTuneClassifier(load_body, unfreeze_depth="last_2_blocks")
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a model of the transformers library, a torch.nn.Module; got "
            f"{model!r:.80}. A name is loaded by transformers.AutoModel.from_pretrained(name)."
        )
    known = [*POOLINGS, "pooler"]
    if pooling not in known:
        raise ValueError(f"pooling must be one of {known}; got {pooling!r}.")
    return TransformersBody(model, pooling)
