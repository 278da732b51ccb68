"""Transfer learning for people who think in scikit-learn.

A name of `__all__`, or a package such as `sktransfer.metrics`, is imported when it is first
used, and torch with the first that needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._exports import EXPORTS, PACKAGES
from ._version import __version__ as __version__

if TYPE_CHECKING:  # what `__getattr__` does, for readers that run no code
    from . import adaptation as adaptation
    from . import alignment as alignment
    from . import backbones as backbones
    from . import callbacks as callbacks
    from . import datasets as datasets
    from . import displays as displays
    from . import fewshot as fewshot
    from . import finetuning as finetuning
    from . import heterogeneous as heterogeneous
    from . import instance as instance
    from . import layers as layers
    from . import metrics as metrics
    from . import model_selection as model_selection
    from . import multitask as multitask
    from . import parameters as parameters
    from . import persistence as persistence
    from . import relations as relations
    from . import schedules as schedules
    from . import selftaught as selftaught
    from . import zeroshot as zeroshot
    from .adaptation import (
        CDANClassifier,
        DANNClassifier,
        DANNRegressor,
        DeepCORALClassifier,
        DeepCORALRegressor,
        DeepJDOTClassifier,
        DeepMMDClassifier,
        DomainConfusionClassifier,
        HypothesisTransfer,
        MCCClassifier,
        MCDClassifier,
        OpenSetClassifier,
        SHOTClassifier,
        TentAdapter,
        VADAClassifier,
    )
    from .alignment import (
        CORAL,
        JDA,
        TCA,
        DomainStandardScaler,
        FeatureAugmentation,
        OptimalTransport,
        SubspaceAlignment,
    )
    from .fewshot import (
        FewShotScore,
        MatchingClassifier,
        NearestPrototypeClassifier,
        PrototypicalClassifier,
        few_shot_score,
    )
    from .finetuning import (
        FineTuneClassifier,
        FineTuneRegressor,
        FrozenCache,
        HeldOut,
        LoRA,
        SourceTraining,
        Unfreezing,
    )
    from .heterogeneous import HeterogeneousTransferClassifier
    from .instance import (
        KLIEP,
        KMM,
        ULSIF,
        ImportanceWeightingClassifier,
        ImportanceWeightingRegressor,
        LabelShiftClassifier,
        LogisticRatio,
        TrAdaBoostClassifier,
        TrAdaBoostRegressor,
        TwoStageTrAdaBoostRegressor,
    )
    from .model_selection import TargetDomain, make_transfer_pipeline
    from .multitask import (
        MeanRegularizedClassifier,
        MeanRegularizedRegressor,
        MultiTaskClassifier,
        MultiTaskRegressor,
        TaskRelationshipClassifier,
        TaskRelationshipRegressor,
    )
    from .parameters import (
        BalancedWeightingClassifier,
        BalancedWeightingRegressor,
        PriorTransferClassifier,
        PriorTransferRegressor,
    )
    from .persistence import FitCheckpoint, export_onnx, load, save
    from .relations import CrossDomainLabelPropagation
    from .selftaught import (
        AutoencoderPretrainer,
        ContrastivePretrainer,
        MarginalizedDenoisingAutoencoder,
    )
    from .zeroshot import (
        DAPClassifier,
        ESZSLClassifier,
        LeaveClassesOut,
        SemanticAutoencoderClassifier,
    )

__all__ = [
    "CORAL",
    "JDA",
    "KLIEP",
    "KMM",
    "TCA",
    "ULSIF",
    "AutoencoderPretrainer",
    "BalancedWeightingClassifier",
    "BalancedWeightingRegressor",
    "CDANClassifier",
    "ContrastivePretrainer",
    "CrossDomainLabelPropagation",
    "DANNClassifier",
    "DANNRegressor",
    "DAPClassifier",
    "DeepCORALClassifier",
    "DeepCORALRegressor",
    "DeepJDOTClassifier",
    "DeepMMDClassifier",
    "DomainConfusionClassifier",
    "DomainStandardScaler",
    "ESZSLClassifier",
    "FeatureAugmentation",
    "FewShotScore",
    "FineTuneClassifier",
    "FineTuneRegressor",
    "FitCheckpoint",
    "FrozenCache",
    "HeldOut",
    "HeterogeneousTransferClassifier",
    "HypothesisTransfer",
    "ImportanceWeightingClassifier",
    "ImportanceWeightingRegressor",
    "LabelShiftClassifier",
    "LeaveClassesOut",
    "LoRA",
    "LogisticRatio",
    "MCCClassifier",
    "MCDClassifier",
    "MarginalizedDenoisingAutoencoder",
    "MatchingClassifier",
    "MeanRegularizedClassifier",
    "MeanRegularizedRegressor",
    "MultiTaskClassifier",
    "MultiTaskRegressor",
    "NearestPrototypeClassifier",
    "OpenSetClassifier",
    "OptimalTransport",
    "PriorTransferClassifier",
    "PriorTransferRegressor",
    "PrototypicalClassifier",
    "SHOTClassifier",
    "SemanticAutoencoderClassifier",
    "SourceTraining",
    "SubspaceAlignment",
    "TargetDomain",
    "TaskRelationshipClassifier",
    "TaskRelationshipRegressor",
    "TentAdapter",
    "TrAdaBoostClassifier",
    "TrAdaBoostRegressor",
    "TwoStageTrAdaBoostRegressor",
    "Unfreezing",
    "VADAClassifier",
    "export_onnx",
    "few_shot_score",
    "load",
    "make_transfer_pipeline",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in PACKAGES:
        return import_module(f".{name}", __name__)
    if name in EXPORTS:
        value = getattr(import_module(f".{EXPORTS[name]}", __name__), name)
        globals()[name] = value  # the next time it is there
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *EXPORTS, *PACKAGES])
