"""The names that stand in the package's root, and the package that each comes from.

The root imports them when they are asked for.
"""

EXPORTS = {
    "DANNClassifier": "adaptation",
    "DeepCORALClassifier": "adaptation",
    "MCCClassifier": "adaptation",
    "MCDClassifier": "adaptation",
    "SHOTClassifier": "adaptation",
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
    "export_onnx": "persistence",
    "load": "persistence",
    "save": "persistence",
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
    "instance",
    "layers",
    "metrics",
    "model_selection",
    "multitask",
    "parameters",
    "persistence",
    "schedules",
)

# Those whose classifiers are networks: what `save` writes and a file may name.
OF_NETWORKS = ("adaptation", "fewshot", "finetuning")
