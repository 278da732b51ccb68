"""A stranger's file costs neither time nor memory, and decides nothing for the machine."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import sktransfer
from sktransfer import DANNClassifier, FineTuneClassifier, load, save
from sktransfer._exports import EXPORTS
from sktransfer._values import ROOM_FOR_ARRAYS, Reader, from_json, to_json
from sktransfer.deep._base import BaseDeepEstimator as DEEP
from sktransfer.persistence import _files
from sktransfer.persistence._bounds import MOST_OUTPUTS, find_nonfinite
from sktransfer.persistence._estimators import class_names, find_class
from sktransfer.persistence._files import read_file, shortened, write_file


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 3)), rng.integers(0, 2, 30)


@pytest.fixture(scope="module")
def saved(problem, tmp_path_factory):
    """Return the file of a classifier with default layers."""
    clf = DANNClassifier(hidden_layer_sizes=4, domain_layer_sizes=(), max_epochs=2, random_state=0)
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    save(clf.fit(*problem, problem[0]), path)
    return path


@pytest.fixture(scope="module")
def saved_body(problem, tmp_path_factory):
    """Return the file of a classifier with a body of the user's, `nn.Linear(3, 500)`."""
    clf = DANNClassifier(nn.Linear(3, 500), domain_layer_sizes=(), max_epochs=1, random_state=0)
    path = tmp_path_factory.mktemp("body") / "model.safetensors"
    save(clf.fit(*problem, problem[0]), path)
    return path


def crafted(path, new, change):
    """Write the file anew with its description or tensors changed, checksums and all."""
    file = read_file(path)
    change(file)
    write_file(new, file.description, file.tensors)
    return new


def in_description(section, name, value):
    return lambda file: file.description[section].update({name: value})


def text_array(n_characters):
    return {"array": {"dtype": f"<U{n_characters}", "shape": [1], "elements": ["a"]}}


def fill_attributes(file):
    small = ROOM_FOR_ARRAYS // 40
    file.description["attributes"].update({f"x{i}_": text_array(small) for i in range(50)})


def fill_history(file):
    epoch = {"dict": [["loss", text_array(ROOM_FOR_ARRAYS // 40)]]}
    file.description["history"] = [epoch] * 50


def forbid(*_):
    raise AssertionError("this costs what the file asks for")


CRAFTED = {
    "many arrays as attributes": (fill_attributes, "arrays of text ask for more than the 64 MiB"),
    "many arrays in history": (fill_history, "arrays of text ask for more than the 64 MiB"),
    "many layers": (
        in_description("parameters", "hidden_layer_sizes", [1] * 200_000),
        "200001 layers are not in it, or are more than 1,000",
    ),
    "many layers of the adversary": (
        in_description("parameters", "domain_layer_sizes", [1] * 200_000),
        "200002 layers are not in it",
    ),
    "large layers, each below the largest tensor": (
        in_description("parameters", "domain_layer_sizes", [2, 2, 2]),
        "default layers of 36 weights",
    ),
    "no values": (in_description("parameters", "device", "meta"), "'meta' holds no weights"),
    "workers": (in_description("parameters", "num_workers", 10**6), r"no \['num_workers'\] from"),
    "processes": (in_description("parameters", "data_parallel", True), r"\['data_parallel'\] from"),
    "integers": (in_description("parameters", "batch_size", 10**4000), "integer of 4001 digits"),
    "infinite sizes": (
        in_description("parameters", "hidden_layer_sizes", [{"float": "inf"}]),
        "OverflowError",
    ),
    "callbacks": (in_description("parameters", "callbacks", ["os.system"]), "callbacks holds 'os"),
    "classes as text": (
        in_description("attributes", "classes_", "ab"),
        "classes_='ab' is no array",
    ),
    "classes in disorder": (
        in_description("attributes", "classes_", to_json(np.array([1, 0]))),
        r"classes_=array\(\[1, 0\]\) are not different labels in order",
    ),
    "nested classes": (
        in_description("attributes", "classes_", to_json(np.array([{}, {}]))),
        "are not different labels in order",
    ),
    "large rows": (in_description("attributes", "input_shape_", {"tuple": [2**28]}), "268435456"),
    "truth as a size": (
        in_description("attributes", "input_shape_", {"tuple": [True]}),
        "cannot be",
    ),
    "other features": (in_description("attributes", "n_features_in_", 10**30), "is not 3"),
    "names of other features": (
        in_description("attributes", "feature_names_in_", to_json(np.array(["a"], object))),
        "does not name the 3 features",
    ),
    "special methods": (
        in_description("attributes", "__array__", 1),
        "'__array__' is no attribute",
    ),
    "epochs": (lambda file: file.description.update(history=["loss"]), "is no record by names"),
}


@pytest.mark.parametrize(("change", "message"), CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_file_is_refused_by_path_and_reason(saved, tmp_path, change, message):
    new = crafted(saved, tmp_path / "new", change)
    with pytest.raises(ValueError, match=f"{re.escape(str(new))} is damaged: .*{message}") as error:
        load(new)
    assert len(str(error.value)) < 1000 + len(str(new))


@pytest.mark.parametrize("change", [fill_attributes, fill_history])
def test_arrays_share_one_limit(saved, tmp_path, monkeypatch, change):
    """Fifty arrays of text, each a fortieth of the limit."""
    new = crafted(saved, tmp_path / "new", change)
    asked = []
    empty = np.empty
    monkeypatch.setattr(
        np, "empty", lambda n, t: asked.append(n * np.dtype(t).itemsize) or empty(n, t)
    )
    with pytest.raises(ValueError, match="is damaged"):
        load(new)
    assert sum(asked) <= ROOM_FOR_ARRAYS + 1000
    assert new.stat().st_size < 12_000


def test_numbers_have_room_with_their_characters(monkeypatch):
    monkeypatch.setattr("sktransfer._values.ROOM_FOR_ARRAYS", 0)
    numbers = np.arange(1000.0)
    np.testing.assert_array_equal(from_json(to_json(numbers)), numbers)
    with pytest.raises(ValueError, match="arrays of text ask for more"):
        from_json(to_json(np.array(["longer"])))


def test_the_limit_is_of_a_file_and_not_of_all(saved):
    reader, other = Reader(), Reader()
    reader.read(text_array(ROOM_FOR_ARRAYS // 4))
    assert reader.room < ROOM_FOR_ARRAYS // 10
    assert other.room == ROOM_FOR_ARRAYS


def test_keys_of_one_hash_are_no_keys():
    colliding = {"dict": [[i * (2**61 - 1), 0] for i in range(100)]}
    with pytest.raises(TypeError, match="a key above"):
        from_json(colliding)


@pytest.mark.parametrize("digits", [4301, 10_000])
def test_integers_of_many_digits_are_refused_by_path(tmp_path, digits):
    text = '{"format_version": 1, "sha256": "x", "estimator": ' + "9" * digits + "}"
    tensors = {"weight": torch.ones(2)}
    safetensors.torch.save_file(tensors, tmp_path / "digits", metadata={"sktransfer": text})
    with pytest.raises(ValueError, match=r"digits is damaged: ValueError: Exceeds the limit"):
        load(tmp_path / "digits")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved, tmp_path, value):
    def spoil(file):
        file.tensors["label_head.bias"] = torch.full((2,), value, dtype=torch.float64)

    new = crafted(saved, tmp_path / "new", spoil)
    with pytest.raises(ValueError, match=r"new is damaged: its 'label_head.bias' holds"):
        load(new)


def test_weights_that_are_not_finite_are_not_saved(problem, tmp_path):
    clf = DANNClassifier(max_epochs=1, random_state=0).fit(*problem, problem[0])
    clf.net_.module_.body[0].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"'body.0.bias' holds numbers that are not finite, so"):
        save(clf, tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_mask_may_hold_infinities():
    module = nn.Linear(2, 2)
    module.register_buffer("mask", torch.full((2, 2), float("-inf")))
    module.register_buffer("small", torch.ones(2).to(torch.float8_e4m3fn))
    assert find_nonfinite(module) is None
    module.mask[0, 0] = float("nan")
    assert find_nonfinite(module) == "mask"


def test_weights_are_read_only_where_the_network_has_them(saved, tmp_path, monkeypatch):
    """A file with holes is of any length and no cost: 40 GB of it are not summed up."""
    new = crafted(
        saved, tmp_path / "new", lambda file: file.tensors.update(extra=torch.zeros(1000))
    )
    monkeypatch.setattr(_files, "_digest_of_weights", forbid)
    with pytest.raises(ValueError, match=r"the network has no 'extra', the file has it"):
        load(new)


def test_layers_upon_modules_of_the_users_are_bounded(saved_body, tmp_path):
    """What the body gives is not known before it is built; 500 inputs to each output here."""
    for name, value in [
        ("domain_layer_sizes", [MOST_OUTPUTS + 1]),
        ("domain_layer_sizes", [1000, 1000]),
    ]:
        change = in_description("parameters", name, value)
        new = crafted(saved_body, tmp_path / "new", change)
        with pytest.raises(ValueError, match="new is damaged: ValueError"):
            load(new, feature_extractor=nn.Linear(3, 500))
    many = to_json(np.arange(MOST_OUTPUTS + 1))
    new = crafted(saved_body, tmp_path / "new", in_description("attributes", "classes_", many))
    with pytest.raises(ValueError, match="65537 outputs upon a module of the user's"):
        load(new, feature_extractor=nn.Linear(3, 500))


def test_adapters_are_bounded_by_the_weights(problem, tmp_path):
    clf = FineTuneClassifier(nn.Linear(3, 3), head_epochs=1, finetune_epochs=1, random_state=0).fit(
        *problem
    )
    save(clf, tmp_path / "model")
    for ranks, message in [
        ({"": 10**9}, "adapters of 6000000000 weights are not in it"),
        ({"": -1}, "no adapter of rank -1"),
        ({"": "3"}, "no adapter of rank '3'"),
        ({"other": 3}, "AttributeError"),
    ]:

        def adapt(file, ranks=ranks):
            structure = from_json(file.description["structure"])
            file.description["structure"] = to_json({**structure, "lora_ranks": ranks})

        new = crafted(tmp_path / "model", tmp_path / "new", adapt)
        with pytest.raises(ValueError, match=f"new is damaged: .*{message}"):
            load(new, backbone=nn.Linear(3, 3))


def test_what_the_machine_decides_is_not_in_the_file(problem, tmp_path):
    clf = DANNClassifier(num_workers=1, max_epochs=1, random_state=0).fit(*problem, problem[0])
    save(clf, tmp_path / "model")
    names = read_file(tmp_path / "model").description["parameters"]
    assert not {"num_workers", "data_parallel"} & set(names)
    assert load(tmp_path / "model").num_workers == 0
    assert load(tmp_path / "model", num_workers=1).num_workers == 1


def test_a_device_given_takes_the_place_of_any_saved_one(saved, tmp_path):
    new = crafted(saved, tmp_path / "new", in_description("parameters", "device", "meta"))
    assert load(new, device="cpu").device == "cpu"


def test_all_errors_of_given_modules_are_of_the_path(saved_body):
    with pytest.raises(ValueError, match=r"model.safetensors does not fit .* returned 3; it must"):
        load(saved_body, feature_extractor=lambda shape: 3)


def test_what_a_file_says_is_shown_in_short_on_one_line():
    assert shortened("a" * 1000, 10) == "aaaaa ... aaaaa"
    assert shortened("\x1b[31mé\n", 10) == r"\x1b[31mé\n"


# Which classes a file may hold


def test_only_final_public_estimators_are_found():
    exported = {name: getattr(sktransfer, name) for name in EXPORTS}
    deep = {
        name: kind
        for name, kind in exported.items()
        if isinstance(kind, type) and issubclass(kind, DEEP)
    }
    assert {*class_names()} == {*deep}
    assert {"DANNClassifier", "DANNRegressor", "FineTuneRegressor"} <= {*deep}
    for kind in deep.values():  # whoever may be subclassed within the package is not for files
        assert not [c for c in kind.__subclasses__() if c.__module__.startswith("sktransfer")]
    for name in ("TargetDomain", "load", "os.system", "BaseTransferClassifier", "__init__", ["a"]):
        assert find_class(name) is None


def test_a_file_brings_in_what_its_class_needs_and_not_the_root(saved):
    program = (
        "import json, sys; from sktransfer.persistence import load; clf = load(sys.argv[1]);"
        "print(json.dumps([type(clf).__name__, sorted(sys.modules)]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(saved)], capture_output=True, text=True, check=True
    )
    name, modules = json.loads(run.stdout)
    assert name == "DANNClassifier"
    assert "sktransfer.adaptation" in modules
    others = {"finetuning", "displays", "metrics", "fewshot", "heterogeneous", "zeroshot"}
    assert not {f"sktransfer.{name}" for name in others} & set(modules)
