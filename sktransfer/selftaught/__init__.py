"""Self-taught learning: representations from rows without labels."""

from ._msda import MarginalizedDenoisingAutoencoder

__all__ = ["MarginalizedDenoisingAutoencoder"]
