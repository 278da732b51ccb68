"""Self-taught learning: representations from rows without labels.

What trains a network is imported when it is first used, and torch with it.
"""

from typing import TYPE_CHECKING

from .._exports import import_when_asked
from ._msda import MarginalizedDenoisingAutoencoder

if TYPE_CHECKING:
    from ._autoencoder import AutoencoderPretrainer
    from ._contrastive import ContrastivePretrainer
else:
    __getattr__ = import_when_asked(
        __name__,
        {"AutoencoderPretrainer": "_autoencoder", "ContrastivePretrainer": "_contrastive"},
    )

__all__ = ["AutoencoderPretrainer", "ContrastivePretrainer", "MarginalizedDenoisingAutoencoder"]
