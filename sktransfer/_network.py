"""The body and its heads as one module, and how a step passes both domains through it."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ._batches import DomainBatch
from ._probe import Probe, probe

# Rows of the source that weigh as much as the target's in its batch statistics; what
# Schneider et al. (NeurIPS 2020) call N and find best near 16.
SOURCE_PRIOR_ROWS = 16

# Makes a module, as the user's callable parameters do.
Builder = Callable[..., nn.Module]


class TransferNetwork(nn.Module):
    """A body that turns rows into features, and heads upon it.

    Parameters
    ----------
    body : Module
        ``(n, *input_shape) -> (n, ...)``; its output is flattened to features.
    label_classifier : Module
        ``(n, n_features) -> (n, n_classes)`` logits.
    heads : dict of Module
        What else the method puts on the features, kept under these names.
    probed : Probe
        What a pass of a few rows showed of the body.
    """

    def __init__(
        self,
        body: nn.Module,
        label_classifier: nn.Module,
        heads: dict[str, nn.Module],
        probed: Probe,
    ):
        super().__init__()
        self.n_features = probed.output.flatten(1).shape[1]
        self.body_work = probed.work
        self.body = body
        self.label_classifier = label_classifier
        for name, head in heads.items():
            self.add_module(name, head)
        self._passes_apart = {
            name: bool(batch_norms(module)) for name, module in self.named_children()
        }

    def row_flops(self, layers: Collection[str] | None = None) -> float:
        """Return the FLOPs of a row's forward pass through these layers (or all) and the heads."""
        names = self.body_work if layers is None else self.body_work.keys() & set(layers)
        body = sum(self.body_work[name] for name in names)
        heads = [child for name, child in self.named_children() if name != "body"]
        return body + 2.0 * sum(p.numel() for head in heads for p in head.parameters())

    def structure(self) -> dict[str, Any]:
        """Return what training has made of the structure, beyond what the parameters say."""
        return {}

    def restore_structure(self, structure: dict[str, Any]) -> None:
        """Bring the structure to what `structure` told of another network."""

    def features(self, X: Tensor) -> Tensor:
        """Return the body's features, shape (n, n_features)."""
        features: Tensor = self.body(X)
        return features.flatten(1)

    def forward(self, X: Tensor) -> Tensor:
        """Return the label logits, shape (n, n_classes)."""
        logits: Tensor = self.label_classifier(self.features(X))
        return logits

    def forward_domains(self, batch: DomainBatch) -> None:
        """Fill the batch's features of both domains and the source's logits.

        A body with batch statistics sees each domain by itself, and its running
        statistics follow the target, for which it will predict; any other body
        sees both in one pass, which is faster.
        """
        if batch.X_target is None:
            batch.source_features = self.features(batch.X_source)
        elif self._passes_apart["body"]:
            with untouched_statistics(self.body):
                batch.source_features = self.features(batch.X_source)
            batch.target_features = self.features(batch.X_target)
        else:
            batch.joint_features = self.features(torch.cat([batch.X_source, batch.X_target]))
            sizes = [len(batch.X_source), len(batch.X_target)]
            batch.source_features, batch.target_features = batch.joint_features.split(sizes)
        batch.source_logits = self.label_classifier(batch.source_features)

    def forward_head(self, name: str, batch: DomainBatch) -> tuple[Tensor, Tensor]:
        """Pass the features of both domains through the head `name`: one pass, if it can be."""
        head = getattr(self, name)
        source, target = batch.source_features, batch.target_features
        if self._passes_apart[name]:
            return head(source), head(target)
        joint = batch.joint_features
        if joint is None:
            joint = torch.cat([source, target])
        of_source, of_target = head(joint).split([len(source), len(target)])
        return of_source, of_target

    def estimate_statistics(
        self, source: Iterable[Tensor], target: Iterable[Tensor], n_target: int
    ) -> None:
        """Predict with the target's batch statistics, those of few rows drawn to the source's.

        ``(N s + n t) / (N + n)`` with the source's mean and variance ``s``, the
        target's ``t``, its number of rows ``n`` and ``N = 16`` (Schneider et al.,
        "Improving robustness against common corruptions by covariate shift
        adaptation", NeurIPS 2020, eq. 3).
        """
        predicting = nn.ModuleList([self.body, self.label_classifier])
        norms = [norm for norm in batch_norms(predicting) if norm.track_running_stats]
        if not norms:
            return
        of_source = self._statistics(norms, source)
        of_target = self._statistics(norms, target)
        share = n_target / (SOURCE_PRIOR_ROWS + n_target)
        for norm, old, new in zip(norms, of_source, of_target, strict=True):
            for statistic, of_s, of_t in zip(_running(norm), old, new, strict=True):
                statistic.copy_(torch.lerp(of_s, of_t, share))

    @torch.no_grad()
    def _statistics(
        self, norms: Sequence[_BatchNorm], batches: Iterable[Tensor]
    ) -> list[tuple[Tensor, ...]]:
        momenta = [norm.momentum for norm in norms]
        self.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        for X in batches:
            self(X)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
        return [tuple(statistic.clone() for statistic in _running(norm)) for norm in norms]


def _running(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """List the layers of a module whose output depends on the rest of the batch."""
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


@contextlib.contextmanager
def untouched_statistics(module: nn.Module) -> Iterator[None]:
    """Normalise by the batch, but leave the running statistics as they are."""
    norms = [norm for norm in batch_norms(module) if norm.training and norm.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def make_mlp(sizes: Sequence[int], *, activate_last: bool) -> nn.Sequential:
    """Chain linear layers of these sizes with ReLU between (and after the last, if asked)."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*(layers if activate_last else layers[:-1]))


def make_module(
    given: nn.Module | Builder | None, name: str, arguments: tuple[Any, ...], default: Builder
) -> nn.Module:
    """Copy the user's module, or call the user's (or the default) function for one."""
    if isinstance(given, nn.Module):
        return copy.deepcopy(given)
    call = f"{name}({', '.join(map(repr, arguments))})"
    try:
        module = (default if given is None else given)(*arguments)
    except Exception as error:
        raise ValueError(
            f"{call} failed: {str(error).rstrip('.')}. A callable must take these arguments and "
            "return a torch.nn.Module."
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call} returned {module!r}; it must return a torch.nn.Module.")
    return module


def row_type(body: nn.Module, default: torch.dtype) -> torch.dtype:
    """Return the type in which rows reach the body: its own, or integers for tables."""
    return torch.int64 if takes_integers(body) else floating_type(body) or default


def floating_type(module: nn.Module) -> torch.dtype | None:
    """Return the type of the module's first floating-point weight, if it has any."""
    weights = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(weights, None)


def takes_integers(module: nn.Module) -> bool:
    """Whether the module looks up integers (tokens, categories) in a table."""
    return any(isinstance(child, (nn.Embedding, nn.EmbeddingBag)) for child in module.modules())


def make_body(
    given: Any, name: str, X: Tensor, hidden_layer_sizes: int | Sequence[int]
) -> tuple[nn.Module, Probe]:
    """Return the user's body as a copy, or an MLP, and what a few rows show of it.

    Parameters
    ----------
    given : Module, callable or None
        The user's parameter; a callable gets the shape of one row.
    name : str
        Its name, for messages.
    X : Tensor of shape (n, ...)
        A few rows in the type the user gave.
    hidden_layer_sizes : int or sequence of int
        Widths of the MLP, where `given` is None.

    Returns
    -------
    body : Module
        On the CPU.
    probed : Probe
        Its pass of the rows.
    """
    sizes = check_layer_sizes(hidden_layer_sizes, "hidden_layer_sizes")
    if given is None and X.ndim > 2:
        raise ValueError(
            f"{name}=None builds an MLP, which takes 2-D X, but X has rows of shape "
            f"{tuple(X.shape[1:])}. Give a torch module that takes such rows, or flatten them: "
            "X.reshape(len(X), -1)."
        )

    def mlp(input_shape: tuple[int, ...]) -> nn.Module:
        return make_mlp([*input_shape, *sizes], activate_last=True).to(X.dtype)

    body = make_module(given, name, (tuple(X.shape[1:]),), mlp).cpu()
    X = X.to(row_type(body, X.dtype))
    probed = probe(body, name, X, "a float tensor of shape (n, ...)")
    return body, probed


def check_layer_sizes(sizes: Any, name: str) -> list[int]:
    """Return widths of layers as a list of positive integers."""
    widths = np.atleast_1d(np.asarray(sizes))
    if widths.ndim != 1 or any(int(width) != width or width < 1 for width in widths.tolist()):
        raise ValueError(
            f"{name} must hold positive integers, the widths of the layers; got {sizes!r}."
        )
    return [int(width) for width in widths]


def make_head(
    given: nn.Module | Builder | None,
    name: str,
    features: Tensor,
    n_outputs: int,
    arguments: tuple[Any, ...],
    default: Builder,
) -> nn.Module:
    """Return the user's head as a copy, or the default one, checked on features.

    Parameters
    ----------
    given : Module, callable or None
        The user's parameter; a callable gets `arguments`, as `default` does.
    name : str
        Its name, for messages.
    features : Tensor of shape (n, n_features)
        What the body made of a few rows.
    n_outputs : int
        Columns that the head must give.
    """
    head = make_module(given, name, arguments, default).cpu().to(features.dtype)
    wanted = f"a float tensor of shape (n, {n_outputs})"
    output = probe(head, name, features, wanted).output
    if output.shape != (len(features), n_outputs):
        raise ValueError(
            f"{name} gave shape {tuple(output.shape)} for features of shape "
            f"{tuple(features.shape)}; it must give {wanted}, logits without a final activation."
        )
    return head
