"""Which step of a pipeline gets what of the arguments of `fit`."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest, process_routing

from .._warning import warn
from ..validation._arguments import meant

# What a step that takes them gets without having asked.
OF_THE_GRAMMAR = ("X_target", "y_target", "sample_weight", "domains")


class RoutedPipeline(Pipeline):
    """A `Pipeline` whose steps need not request what the grammar of `fit` has for them."""

    def get_metadata_routing(self):
        """Return what the steps request or take of the grammar, and the pipeline itself.

        Returns
        -------
        MetadataRouter
        """
        own = MetadataRequest(owner=self)
        for name in ("X_target", "y_target"):  # weights, only where a step takes them
            own.fit.add_request(param=name, alias=True)
        return self._routing_to_steps().add_self_request(own)

    def _routing_to_steps(self):
        router = super().get_metadata_routing()
        for _, pair in router:
            requests: Any = getattr(pair.router, "fit", None)  # a nested router has none
            for name, alias in [*getattr(requests, "requests", {}).items()]:
                if alias is None and name in OF_THE_GRAMMAR:
                    requests.add_request(param=name, alias=True)
        return router

    def _route(self, method: str, given: dict[str, Any]):
        """Return what each step gets of what was given, by its name and method.

        Raises
        ------
        TypeError
            For an argument that no step takes, with the one that may have been meant.
        """
        try:
            return process_routing(self, method, **self._taken(method, given))
        except TypeError as error:
            unknown = [name for name in given if name not in OF_THE_GRAMMAR and "__" not in name]
            hints = {meant(name, OF_THE_GRAMMAR) for name in unknown}
            raise TypeError(f"{error}{''.join(sorted(hints))}") from error

    def _taken(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what is routed: all but a target that the steps have no use for."""
        target = {"X_target", "y_target"} & {*given}
        consumed = self._routing_to_steps().consumes(method, target)
        if "X_target" in target and "X_target" not in consumed:
            labels = "" if "y_target" not in target else " but by the rows that y_target labels"
            warn(f"No step of the pipeline takes X_target: nothing is transferred{labels}.")
        return {
            name: value for name, value in given.items() if name not in target or name in consumed
        }


def takes_target(step: Any) -> bool:
    """Whether a step's `fit` takes rows of the target."""
    router = RoutedPipeline([("step", step)])._routing_to_steps()
    return bool(router.consumes("fit", ["X_target"]))
