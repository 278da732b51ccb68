"""The names that stand in the package's root, and the package that each comes from.

The root imports them when they are asked for; a file may name the classifiers among them.
"""

EXPORTS = {
    "DANNClassifier": "adaptation",
    "DeepCORALClassifier": "adaptation",
    "FineTuneClassifier": "finetuning",
    "FrozenCache": "finetuning",
    "HeldOut": "finetuning",
    "LoRA": "finetuning",
    "SourceTraining": "finetuning",
    "Unfreezing": "finetuning",
    "TargetDomain": "model_selection",
    "export_onnx": "persistence",
    "load": "persistence",
    "make_transfer_pipeline": "model_selection",
    "save": "persistence",
}

# What else the root shows: its public modules.
PACKAGES = (
    "adaptation",
    "backbones",
    "callbacks",
    "datasets",
    "displays",
    "finetuning",
    "layers",
    "metrics",
    "model_selection",
    "persistence",
    "schedules",
)
