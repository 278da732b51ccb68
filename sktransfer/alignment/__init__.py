"""Alignment: both domains are mapped to where they are alike, before any estimator."""

from ._coral import CORAL
from ._domain_standard_scaler import DomainStandardScaler
from ._feature_augmentation import FeatureAugmentation
from ._jda import JDA
from ._optimal_transport import OptimalTransport
from ._subspace_alignment import SubspaceAlignment
from ._tca import TCA

__all__ = [
    "CORAL",
    "JDA",
    "TCA",
    "DomainStandardScaler",
    "FeatureAugmentation",
    "OptimalTransport",
    "SubspaceAlignment",
]
