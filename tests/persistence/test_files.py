"""The file: what it holds, and that anything else is refused by its name."""

import json
import os
import pickle
import re
import stat

import joblib
import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from sktransfer import DANNClassifier, FineTuneClassifier, load, save
from sktransfer._values import from_json, to_json
from sktransfer.persistence._files import read_file, write_file

SHARED_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a fitted classifier, rows for it, and its file."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), np.array(["no", "yes"])[rng.integers(0, 2, 30)]
    clf = DANNClassifier(hidden_layer_sizes=4, domain_layer_sizes=(), max_epochs=2, random_state=0)
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    save(clf.fit(X, y, X), path)
    return clf, X, path


def rewritten(path, new, change):
    """Write the file anew with its description changed, checksum and all."""
    file = read_file(path)
    change(file.description)
    write_file(new, file.description, file.tensors)
    return new


# What it holds


def test_any_reader_of_safetensors_sees_weights_and_json(saved):
    clf, _, path = saved
    weights = safetensors.torch.load_file(path)
    for name, tensor in clf.net_.module_.state_dict().items():
        assert torch.equal(weights[name], tensor)
    with safetensors.safe_open(path, framework="np") as file:
        entry = json.loads(file.metadata()["sktransfer"])
    assert entry["format_version"] == 1
    description = entry["estimator"]
    assert description["class"] == "DANNClassifier"
    assert description["parameters"]["learning_rate"] == 2e-3
    assert description["attributes"]["classes_"]["array"]["elements"] == ["no", "yes"]
    assert description["versions"]["torch"] == torch.__version__


def test_equal_estimators_make_equal_files(saved, tmp_path):
    save(load(saved[2]), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved[2].read_bytes()


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.text() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
values = st.recursive(
    numbers,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
)


@given(values)
def test_values_come_back_from_json_as_they_were(value):
    again = from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))
    assert repr(again) == repr(value)


dtypes = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
dtypes = dtypes | hnp.floating_dtypes(sizes=(16, 32, 64)) | hnp.unicode_string_dtypes()


@given(hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays_come_back_from_json_as_they_were(array):
    again = from_json(json.loads(json.dumps(to_json(array), allow_nan=False)))
    assert again.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("value", [object(), torch.zeros(2), {1}, b"bytes", np.array([1j]), len])
def test_other_objects_are_no_values(value):
    with pytest.raises(TypeError, match="is no value of JSON"):
        to_json([value])


# Damage


@SHARED_FOLDER
@given(data=st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(saved, tmp_path, data):
    clf, X, path = saved
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    try:
        loaded = load(damaged)
    except ValueError as error:
        assert str(damaged) in str(error)  # noqa: PT017 (which of the two, is not known before)
    else:
        np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@SHARED_FOLDER
@given(share=st.floats(0, 1, exclude_max=True), rest=st.binary(max_size=20))
@example(share=0.0, rest=b"")
def test_a_file_cut_off_is_refused(saved, tmp_path, share, rest):
    content = saved[2].read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content[: int(share * len(content))] + rest)
    with pytest.raises(ValueError, match=f"{re.escape(str(cut))} is (no file that|damaged)"):
        load(cut)


@SHARED_FOLDER
@given(st.binary())
def test_any_bytes_are_refused(tmp_path, content):
    (tmp_path / "any").write_bytes(content)
    with pytest.raises(ValueError, match=r"is no file that sktransfer.save has written"):
        load(tmp_path / "any")


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["SKTRANSFER_TEST_EVIL"],)


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump, torch.save])
def test_a_pickle_is_refused_and_not_opened(tmp_path, monkeypatch, dump):
    monkeypatch.setenv("SKTRANSFER_TEST_EVIL", str(tmp_path / "evil"))
    with open(tmp_path / "pickle", "wb") as file:
        dump(Evil(), file)
    with pytest.raises(ValueError, match=r"a file of pickle, joblib, skops or torch.save is read"):
        load(tmp_path / "pickle")
    assert not (tmp_path / "evil").exists()


def test_foreign_safetensors_are_refused(tmp_path):
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / "w", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="safetensors file of 1 tensors, but not by sktransfer"):
        load(tmp_path / "w")


def test_a_newer_format_is_refused(saved, tmp_path):
    entry = json.dumps({"format_version": 2, "anything": "else"})
    tensors = safetensors.torch.load_file(saved[2])
    safetensors.torch.save_file(tensors, tmp_path / "newer", metadata={"sktransfer": entry})
    with pytest.raises(ValueError, match=r"has format version 2; this version .* reads 1. Upgrade"):
        load(tmp_path / "newer")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update({"class": "Pipeline"}),
        lambda d: d.update({"class": "load"}),
        lambda d: d.pop("attributes"),
        lambda d: d.pop("structure"),
        lambda d: d.pop("groups"),
        lambda d: d.pop("row_type"),
        lambda d: d.update(history=[[3]]),
        lambda d: d.update(output="polar bears"),
        lambda d: d["parameters"].update(temperature=1.0),
        lambda d: d["parameters"].update(num_workers=3),
        lambda d: d["groups"].update(frozen_cache={"memory": "/"}),
        lambda d: d["groups"].update(hidden_layer_sizes={}),
        lambda d: d["parameters"].update(lambda_={"module": "os"}),
        lambda d: d["parameters"].update(hidden_layer_sizes=[10**6, 10**6]),
        lambda d: d["parameters"].update(hidden_layer_sizes=[-1]),
        lambda d: d["parameters"].update(domain_layer_sizes=10**9),
        lambda d: d["attributes"].update(predict=1),
        lambda d: d["attributes"].update(__class__=1),
        lambda d: d["attributes"].update(net_=1),
        lambda d: d["attributes"].update(input_shape_={"tuple": [10**9]}),
        lambda d: d["attributes"].update(input_shape_={"tuple": [-3]}),
        lambda d: d["attributes"].update(classes_=3),
        lambda d: d["attributes"]["classes_"]["array"].update(dtype="<U1000000000"),
        lambda d: d["attributes"]["classes_"]["array"].update(dtype="O,O"),
    ],
)
def test_a_description_that_is_not_ours_is_refused(saved, tmp_path, change):
    new = rewritten(saved[2], tmp_path / "new", change)
    with pytest.raises(ValueError, match=f"{re.escape(str(new))} is damaged"):
        load(new)


def test_layers_that_are_not_there_are_refused(saved, tmp_path):
    _, X, _ = saved
    clf = FineTuneClassifier(nn.Linear(3, 3), head_epochs=1, finetune_epochs=1, random_state=0)
    save(clf.fit(X, X[:, 0] > 0), tmp_path / "model")

    def unfreeze_another(description):
        description["structure"]["dict"][0][1] = ["another"]

    new = rewritten(tmp_path / "model", tmp_path / "new", unfreeze_another)
    with pytest.raises(ValueError, match="new is damaged: KeyError: 'another'"):
        load(new, backbone=nn.Linear(3, 3))


@pytest.mark.parametrize("entry", ["", "3", "[]", "{}", "[" * 100_000, '{"format_version": 1}'])
def test_an_entry_that_is_not_ours_is_refused(tmp_path, entry):
    tensors = {"weight": torch.ones(2)}
    safetensors.torch.save_file(tensors, tmp_path / "other", metadata={"sktransfer": entry})
    with pytest.raises(ValueError, match="other is damaged"):
        load(tmp_path / "other")


def test_a_parameter_that_cannot_be_is_refused_with_the_path(saved, tmp_path):
    new = rewritten(saved[2], tmp_path / "new", lambda d: d["parameters"].update(optimizer="eval"))
    with pytest.raises(ValueError, match=f"{re.escape(str(new))}: The 'optimizer' parameter"):
        load(new)


def test_missing_files_and_folders_are_the_usual_errors(saved, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none; make it first"):
        save(saved[0], tmp_path / "none" / "model")


# Writing


def test_an_existing_file_is_replaced_by_a_complete_one_only(saved, tmp_path, monkeypatch):
    clf, _, path = saved
    target = tmp_path / "model"
    target.write_text("before")

    def break_off(tensors, path, metadata):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", break_off)
        with pytest.raises(OSError, match="disk full"):
            save(clf, target)
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["model"]
    save(clf, target)
    assert target.read_bytes() == path.read_bytes()
    assert os.listdir(tmp_path) == ["model"]


def test_a_link_stays_a_link_and_the_file_is_as_readable_as_others(saved, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "model")
    save(saved[0], str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "other").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "other")]
    assert modes[0] == modes[1]


def test_a_description_too_long_to_be_read_again_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sktransfer.persistence._files.MOST_DESCRIPTION_BYTES", 10)
    with pytest.raises(ValueError, match=r"Shorten the history: del clf.history_\[:-100\]"):
        write_file(tmp_path / "long", {"text": "long enough"}, {})
