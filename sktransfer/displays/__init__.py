"""Pictures of a fit: training, features, depth, tasks, and which domain helps which.

Each follows scikit-learn's convention: `from_estimator` or `from_search` computes and draws, the
constructor takes what was computed, and `plot` draws it again. Needs the extra `plot`.
"""

from ._domain_embedding import DomainEmbeddingDisplay
from ._task_covariance import TaskCovarianceDisplay
from ._task_scores import TaskScoresDisplay
from ._training_history import TrainingHistoryDisplay
from ._transfer_matrix import TransferMatrixDisplay
from ._unfreeze_depth import UnfreezeDepthDisplay

__all__ = [
    "DomainEmbeddingDisplay",
    "TaskCovarianceDisplay",
    "TaskScoresDisplay",
    "TrainingHistoryDisplay",
    "TransferMatrixDisplay",
    "UnfreezeDepthDisplay",
]
