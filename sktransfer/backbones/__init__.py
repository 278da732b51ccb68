"""Bodies to fine-tune, with layer names to unfreeze by."""

from ._transformers import from_transformers
from ._vgg16 import VGG16

__all__ = ["VGG16", "from_transformers"]
