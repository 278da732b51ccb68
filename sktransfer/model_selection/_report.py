"""Did adaptation help? A fit beside its source-only twin."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from tabulate import tabulate

from .._validation import as_array
from ..metrics import proxy_a_distance
from ._confidence import BNMScorer, InfoMaxScorer, SNDScorer
from ._reverse_validation import without_callbacks_of_a_domain
from ._scoring import extract_features

