"""Constraints of parameters; the one place that knows scikit-learn's private names."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

__all__ = ["HasMethods", "Integral", "Interval", "Real", "StrOptions", "refuse_booleans"]


def refuse_booleans(estimator) -> None:
    """Refuse True and False for parameters that are numbers, for which Python takes them.

    Raises
    ------
    ValueError
        Naming the parameter.
    """
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        if isinstance(value, (bool, np.bool_)) and any(
            isinstance(constraint, Interval) for constraint in constraints
        ):
            wanted = " or ".join(str(one) for one in constraints if isinstance(one, Interval))
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {wanted}; got "
                f"{value!r}, which is no number."
            )
