"""The names that stand in the package's root, and the package that each comes from.

The root imports them when they are asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

EXPORTS = {
    "CDANClassifier": "adaptation",
    "DANNClassifier": "adaptation",
    "DANNRegressor": "adaptation",
    "DeepCORALClassifier": "adaptation",
    "DeepJDOTClassifier": "adaptation",
    "DeepMMDClassifier": "adaptation",
    "DeepCORALRegressor": "adaptation",
    "HypothesisTransfer": "adaptation",
    "DomainConfusionClassifier": "adaptation",
    "MCCClassifier": "adaptation",
    "MCDClassifier": "adaptation",
    "SHOTClassifier": "adaptation",
    "TentAdapter": "adaptation",
    "OpenSetClassifier": "adaptation",
    "VADAClassifier": "adaptation",
    "CORAL": "alignment",
    "JDA": "alignment",
    "TCA": "alignment",
    "DomainStandardScaler": "alignment",
    "FeatureAugmentation": "alignment",
    "OptimalTransport": "alignment",
    "SubspaceAlignment": "alignment",
    "FewShotScore": "fewshot",
    "MatchingClassifier": "fewshot",
    "NearestPrototypeClassifier": "fewshot",
    "PrototypicalClassifier": "fewshot",
    "few_shot_score": "fewshot",
    "FineTuneClassifier": "finetuning",
    "HeterogeneousTransferClassifier": "heterogeneous",
    "FineTuneRegressor": "finetuning",
    "FrozenCache": "finetuning",
    "HeldOut": "finetuning",
    "LoRA": "finetuning",
    "SourceTraining": "finetuning",
    "Unfreezing": "finetuning",
    "KLIEP": "instance",
    "KMM": "instance",
    "ULSIF": "instance",
    "ImportanceWeightingClassifier": "instance",
    "ImportanceWeightingRegressor": "instance",
    "LabelShiftClassifier": "instance",
    "LogisticRatio": "instance",
    "TrAdaBoostClassifier": "instance",
    "TrAdaBoostRegressor": "instance",
    "TwoStageTrAdaBoostRegressor": "instance",
    "TargetDomain": "model_selection",
    "make_transfer_pipeline": "model_selection",
    "BalancedWeightingClassifier": "parameters",
    "BalancedWeightingRegressor": "parameters",
    "PriorTransferClassifier": "parameters",
    "PriorTransferRegressor": "parameters",
    "FitCheckpoint": "persistence",
    "MeanRegularizedClassifier": "multitask",
    "MeanRegularizedRegressor": "multitask",
    "MultiTaskClassifier": "multitask",
    "MultiTaskRegressor": "multitask",
    "TaskRelationshipClassifier": "multitask",
    "TaskRelationshipRegressor": "multitask",
    "CrossDomainLabelPropagation": "relations",
    "DAPClassifier": "zeroshot",
    "ESZSLClassifier": "zeroshot",
    "LeaveClassesOut": "zeroshot",
    "SemanticAutoencoderClassifier": "zeroshot",
    "export_onnx": "persistence",
    "load": "persistence",
    "save": "persistence",
    "AutoencoderPretrainer": "selftaught",
    "ContrastivePretrainer": "selftaught",
    "MarginalizedDenoisingAutoencoder": "selftaught",
}

# What else the root shows: its public modules.
PACKAGES = (
    "adaptation",
    "alignment",
    "backbones",
    "callbacks",
    "datasets",
    "displays",
    "fewshot",
    "finetuning",
    "heterogeneous",
    "instance",
    "layers",
    "metrics",
    "model_selection",
    "multitask",
    "parameters",
    "persistence",
    "relations",
    "schedules",
    "selftaught",
    "zeroshot",
)

# Those whose estimators are all networks, and networks of packages that are torch-free else: what
# `save` writes and a file may name.
OF_NETWORKS = ("adaptation", "fewshot", "finetuning", "heterogeneous")
NETWORKS_BESIDE = (
    "AutoencoderPretrainer",
    "ContrastivePretrainer",
    "MultiTaskClassifier",
    "MultiTaskRegressor",
)


def import_when_asked(package: str, modules: dict[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports some of its names when first used.

    For names that bring torch, in a package that is to be imported without it.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : dict of str to str
        The module in it that each name comes from.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{modules[name]}", package), name)
        setattr(sys.modules[package], name, value)  # the next time it is there
        return value

    return get
