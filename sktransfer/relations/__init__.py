"""Relations between points: what is near in one domain, and across both, says what is alike."""

from ._label_propagation import CrossDomainLabelPropagation

__all__ = ["CrossDomainLabelPropagation"]
