"""Joint distribution adaptation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.utils.validation import has_fit_parameter

from ..validation._constraints import HasMethods, Integral, Interval
from ..validation._measured import check_classes
from ._base import BaseAligner, merge_rows
from ._components import KernelMap, mean_difference, stack_domains, transfer_components
from ._tca import COMPONENT_CONSTRAINTS


def joint_differences(weights, in_source, y_source, y_target) -> np.ndarray:
    """Return the differences of means that the components are to lose, scaled as one.

    The domains' own, ``sqrt(C) d_0``, and that of each class by the target's (pseudo-)
    labels, d_c, divided by the root of ``||sum d d'||_F``.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        Of the source's rows, then the target's.
    in_source : ndarray of bool of shape (n_rows,)
    y_source : ndarray of shape (n_source,)
    y_target : ndarray of shape (n_target,) or None
        None for the domains' difference alone.

    Returns
    -------
    ndarray of shape (n_rows, at most 1 + n_classes)
    """
    classes = np.unique(y_source)
    overall = mean_difference(weights, in_source, ~in_source)
    columns = [] if overall is None else [np.sqrt(len(classes)) * overall]
    if y_target is not None:
        y = np.concatenate([y_source, y_target])
        for label in classes:
            of_class = y == label
            column = mean_difference(weights, in_source & of_class, ~in_source & of_class)
            columns += [] if column is None else [column]
    if not columns:
        return np.zeros((len(weights), 1))
    differences = np.column_stack(columns)
    return differences / np.sqrt(np.linalg.norm(differences.T @ differences))


class JDA(ClassNamePrefixFeaturesOutMixin, BaseAligner):
    """Find components in which the means of the domains and of each class agree.

    Classes of the target are those that a classifier trained on the source's components
    sees there; components and pseudo-labels are found in turn. With ``M`` the sum of
    ``C d_0 d_0'`` (means of the domains) and ``d_c d_c'`` (means of class ``c``) divided by
    its Frobenius norm, the components are ``F W`` of::

        max tr W'F'HFW    subject to    W' (F'MF + mu I) W = I

    for features ``F`` (``kernel=None``) or ``F = K``, with columns of ``W`` scaled to one
    length, at which the mean variance of the components is 1. Pseudo-labels that are wrong at the
    start draw wrong classes together: look at a score without labels before and after. Shares of
    classes that differ between the domains are such a start: the domains' means are brought
    together first.

    Parameters
    ----------
    n_components : int, default=20
        Number of components; fewer, where the rows vary along fewer.
    estimator : classifier or None, default=None
        Gives the pseudo-labels; None for `KNeighborsClassifier` with one neighbour.
    kernel : {"cosine", "laplacian", "linear", "rbf"} or None, default=None
        Kernel, as scikit-learn's `pairwise_kernels` has it; None for the primal form.
    gamma : float or None, default=None
        Of "rbf" and "laplacian"; None for ``1 / (n_features * variance of all values)``.
    regularization : float, default=1.0
        The formula's ``mu``.
    normalize : bool, default=False
        Scale each row of the components to length 1, as the authors' code does before
        its neighbours; `transform` does as well.
    max_iter : int, default=10
        Most rounds; fewer, where the pseudo-labels stay as they are.
    n_landmarks : int or None, default=1000
        Where both domains have more distinct rows, the kernel is approximated by so many
        of them (Nystroem); None for never.
    random_state : int, RandomState instance or None, default=None
        Which rows these are.

    Attributes
    ----------
    components_ : ndarray of shape (n_kernel_features, n_components)
        The formula's ``W``.
    estimator_ : classifier or None
        The one of the last round; None without a target.
    n_iter_ : int
        Number of rounds.
    n_target_rows_ : int
        Number of target rows in `fit`; without any M = 0, and y is not used.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` had names of strings.

    Notes
    -----
    The paper sums ``M_0 + ... + M_C``; ``C`` before ``M_0`` and the norm are in its authors'
    code, which also begins with ``M_0`` alone. `y_target` stands in the place of pseudo-labels for
    the rows that it labels; a label that the source has not pulls nothing.

    References
    ----------
    M. Long, J. Wang, G. Ding, J. Sun, P. S. Yu, "Transfer Feature Learning with Joint
    Distribution Adaptation", ICCV 2013, eq. 8 and algorithm 1.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import make_transfer_pipeline
    >>> from sktransfer.alignment import JDA
    >>> from sktransfer.datasets import make_shifted_moons
    >>> X, y, X_target, y_target = make_shifted_moons(100, random_state=0)
    >>> pipe = make_transfer_pipeline(JDA(kernel="rbf"), LogisticRegression())
    >>> pipe.fit(X, y, X_target=X_target).predict(X_target).shape
    (100,)
    """

    __metadata_request__fit: ClassVar = {"X_target": True, "y_target": True}
    _reads_labels: ClassVar[bool] = True
    _one_map_for_both: ClassVar[bool] = True
    _for_numbers: ClassVar[str] = "TCA, which reads no labels"
    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        **COMPONENT_CONSTRAINTS,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "normalize": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=20,
        *,
        estimator=None,
        kernel=None,
        gamma=None,
        regularization=1.0,
        normalize=False,
        max_iter=10,
        n_landmarks=1000,
        random_state=None,
    ):
        self.n_components = n_components
        self.estimator = estimator
        self.kernel = kernel
        self.gamma = gamma
        self.regularization = regularization
        self.normalize = normalize
        self.max_iter = max_iter
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def _learn(self, source, target):
        check_classes(self, source.y)
        source = merge_rows(source, with_labels=True)
        target = None if target is None else merge_rows(target, with_labels=True)
        rows, weights, in_source = stack_domains(source, target)
        self._kernel_map = KernelMap(self.kernel, self.gamma, self.n_landmarks, self.random_state)
        features = self._kernel_map.fit(rows, weights)
        self.estimator_, pseudo_labels = None, None
        for n_iter in range(1, self.max_iter + 1):
            self.n_iter_ = n_iter
            differences = joint_differences(weights, in_source, source.y, pseudo_labels)
            self.components_ = transfer_components(
                features, weights, differences, self.regularization, self.n_components
            )
            if target is None:
                break
            before, pseudo_labels = pseudo_labels, self._label(features, source, target)
            if before is not None and np.array_equal(before, pseudo_labels):
                break

    def _label(self, features, source, target) -> np.ndarray:
        """Train the classifier on the source's components; return labels of the target."""
        components = self._scaled(features @ self.components_)
        estimator = KNeighborsClassifier(1) if self.estimator is None else clone(self.estimator)
        takes_weights = has_fit_parameter(estimator, "sample_weight")
        weights = {"sample_weight": source.sample_weight} if takes_weights else {}
        self.estimator_ = estimator.fit(components[: len(source)], source.y, **weights)
        labels = estimator.predict(components[len(source) :])
        if target.y is None:
            return labels
        known = target.has_label
        return target.y if known is None else np.where(known, target.y, labels)

    def _scaled(self, components):
        return normalize(components, copy=False) if self.normalize else components

    @property
    def _n_features_out(self):
        return self.components_.shape[1]

    def _map_source(self, X):
        return self._scaled(self._kernel_map.project(X, self.components_))

    _map_target = _map_source

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
