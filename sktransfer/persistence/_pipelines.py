"""A fitted pipeline as one file: its classifier as `save` writes it, the other steps by skops."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from .._replacing import replacing
from ._files import NOT_OURS, damaged, shortened

# What is in the file, uncompressed, so that nothing in it is larger than it looks.
DESCRIPTION, STEPS, ESTIMATOR = "pipeline.json", "steps.skops", "estimator.safetensors"
FORMAT_VERSION = 1

# The classes of pipelines, and where each is defined; imported when a file holds one.
KINDS = {
    "Pipeline": "sklearn.pipeline",
    "TransferPipeline": "sktransfer.model_selection._pipeline",
}

# Transformers of this package: to be made again, they run no code that a file could choose.
OURS = ("sktransfer.alignment", "sktransfer.selftaught._msda")

# How any zip file with something in it begins.
ZIP_BEGINS_WITH = b"PK\x03\x04"
LENGTH_OF_HEADER = 30  # of the first entry, whose name follows


def is_pipeline(estimator: Any) -> bool:
    """Whether this is a pipeline that a file can hold, if its steps are."""
    kind = type(estimator)
    return KINDS.get(kind.__name__) == kind.__module__


def write_pipeline(pipeline: Pipeline, estimator: bytes, path: str | os.PathLike[str]) -> None:
    """Write the steps of a fitted pipeline, and its last one, as `save` has put it, to one file.

    Raises
    ------
    ImportError
        Without skops.
    ValueError, TypeError
        For a step that skops cannot write.
    """
    skops = _import_skops("save")
    names, steps = zip(*pipeline.steps[:-1], strict=True) if len(pipeline.steps) > 1 else ((), ())
    try:
        written = skops.dumps([*steps])
    except Exception as error:
        raise ValueError(
            f"skops cannot write the steps {list(names)}: {str(error) or type(error).__name__}. "
            "Pickle the pipeline, or save its last step alone, pipe[-1]."
        ) from error
    description = {
        "format_version": FORMAT_VERSION,
        "class": type(pipeline).__name__,
        "names": [*names, pipeline.steps[-1][0]],
        "transform_input": pipeline.transform_input,
        "sha256_of_steps": hashlib.sha256(written).hexdigest(),
    }
    with replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w") as file:
        file.writestr(DESCRIPTION, json.dumps(description))
        file.writestr(STEPS, written)
        file.writestr(ESTIMATOR, estimator)


def holds_a_pipeline(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as the zip files of pipelines do, with their description."""
    with open(path, "rb") as file:
        beginning = file.read(LENGTH_OF_HEADER + len(DESCRIPTION))
    name = beginning[LENGTH_OF_HEADER:]
    return beginning.startswith(ZIP_BEGINS_WITH) and name == DESCRIPTION.encode()


class PipelineFile:
    """A file of a pipeline, of which nothing was made yet.

    Parameters
    ----------
    path : str or path
        Where it is.

    Raises
    ------
    ValueError
        For any other zip file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                _check_entries(file)
                self.description = json.loads(file.read(DESCRIPTION))
                self.steps, self.estimator = file.read(STEPS), file.read(ESTIMATOR)
            self._check_description()
        except (zipfile.BadZipFile, *NOT_OURS) as error:
            raise damaged(path, f"as a zip file of a pipeline: {shortened(str(error))}") from error

    def _check_description(self) -> None:
        found = self.description
        version = found["format_version"]
        if version != FORMAT_VERSION:
            raise ValueError(f"format version {version!r}; this sktransfer reads {FORMAT_VERSION}")
        if found["class"] not in KINDS:
            raise ValueError(f"it holds a {found['class']!r}, not one of {sorted(KINDS)}")
        if not all(isinstance(name, str) for name in found["names"]):
            raise ValueError("its steps have no names")
        if hashlib.sha256(self.steps).hexdigest() != found["sha256_of_steps"]:
            raise ValueError("its steps are not those of their checksum")

    def load_steps(self, trusted: Sequence[str]) -> list[Any]:
        """Make the steps before the last.

        Raises
        ------
        ImportError
            Without skops.
        ValueError
            For types that are neither scikit-learn's, nor ours, nor trusted.
        """
        skops = _import_skops("load")
        try:
            with zipfile.ZipFile(io.BytesIO(self.steps)) as inner:
                _check_stored(inner)
            asked = skops.get_untrusted_types(data=self.steps)
        except (zipfile.BadZipFile, *NOT_OURS) as error:
            raise damaged(self.path, f"its steps: {shortened(str(error))}") from error
        known = [name for name in asked if name in trusted or _is_ours(name)]
        unknown = sorted({*asked} - {*known})
        if unknown:
            raise ValueError(
                f"{self.path} holds steps of types that could run code: {unknown[:20]}. Where you "
                f"know them and trust the file: load(path, trusted={unknown[:20]})."
            )
        try:
            steps: list[Any] = skops.loads(self.steps, trusted=known)
        except Exception as error:
            raise damaged(self.path, f"its steps: {shortened(str(error))}") from error
        return steps

    def unpack_estimator(self, folder: str) -> Path:
        """Write the last step's file by itself into a folder."""
        path = Path(folder) / ESTIMATOR
        path.write_bytes(self.estimator)
        return path

    def join(self, steps: Sequence[Any], estimator: Any) -> Pipeline:
        """Return the pipeline of these steps."""
        names, name = self.description["names"], self.description["class"]
        kind = getattr(import_module(KINDS[name]), name)
        if len(names) != len(steps) + 1:
            raise damaged(self.path, f"it names {len(names)} steps, and holds {len(steps) + 1}")
        pairs = [*zip(names, [*steps, estimator], strict=True)]
        pipeline: Pipeline = kind(pairs, transform_input=self.description["transform_input"])
        return pipeline


def read_pipeline(
    path: str | os.PathLike[str], load_estimator: Any, trusted: Sequence[str]
) -> Pipeline:
    """Return the pipeline in a file, its last step by `load_estimator`, of a path.

    Raises
    ------
    ValueError
        For any other file, with the path.
    """
    file = PipelineFile(path)
    steps = file.load_steps(trusted)
    with tempfile.TemporaryDirectory() as folder:
        unpacked = file.unpack_estimator(folder)
        try:
            estimator = load_estimator(unpacked)
        except (ValueError, TypeError) as error:
            raise type(error)(str(error).replace(str(unpacked), str(path))) from error
    return file.join(steps, estimator)


def _check_entries(file: zipfile.ZipFile) -> None:
    if sorted(file.namelist()) != sorted((DESCRIPTION, STEPS, ESTIMATOR)):
        raise ValueError(f"it holds {file.namelist()[:5]}")
    _check_stored(file)


def _check_stored(file: zipfile.ZipFile) -> None:
    """Refuse what was compressed, which may be far larger than the file."""
    for entry in file.infolist():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename!r} is compressed")


def _is_ours(name: str) -> bool:
    """Whether a type is a class that one of our modules of transformers defines itself."""
    module, _, kind = name.rpartition(".")
    if not any(module == ours or module.startswith(f"{ours}.") for ours in OURS):
        return False
    try:
        found = getattr(import_module(module), kind, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module


def _import_skops(verb: str) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{verb} needs the skops library for the steps of a pipeline: "
            "pip install 'sktransfer[pipelines]'."
        ) from error
    return skops.io
