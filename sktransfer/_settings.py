"""Parameters that belong together, as one parameter of an estimator."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from sklearn.base import BaseEstimator

S = TypeVar("S", bound="Settings")


class Settings(BaseEstimator):
    """Parameters that belong together; a search reaches them as ``group__name``."""

    _parameter_constraints: ClassVar[dict[str, list[object]]]

    @classmethod
    def of(cls: type[S], given: Any, name: str) -> S:
        """Return what was given as parameter `name`, checked; None stands for the defaults.

        Raises
        ------
        TypeError, ValueError
            For what is no such group, and for values that it does not take.
        """
        settings = cls() if given is None else given
        if not isinstance(settings, cls):
            raise TypeError(f"{name} must be a {cls.__name__} or None; got {given!r}.")
        settings._validate_params()
        return settings
