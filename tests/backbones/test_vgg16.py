"""VGG16: its layers and numbers, torchvision's weights, fine-tuning by layer name."""

import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import fx, nn

from sktransfer import FineTuneClassifier
from sktransfer.backbones import VGG16
from sktransfer.frozen._graph import BodyGraph

CONVOLUTIONS = {
    "block1_conv1": (3, 64),
    "block1_conv2": (64, 64),
    "block2_conv1": (64, 128),
    "block2_conv2": (128, 128),
    "block3_conv1": (128, 256),
    "block3_conv2": (256, 256),
    "block3_conv3": (256, 256),
    "block4_conv1": (256, 512),
    "block4_conv2": (512, 512),
    "block4_conv3": (512, 512),
    "block5_conv1": (512, 512),
    "block5_conv2": (512, 512),
    "block5_conv3": (512, 512),
}


def torchvision_features():
    """Build the ``features`` of torchvision's VGG16, as its configuration "D" lists them."""
    layers, n_in = [], 3
    for n_out in [64, 64, 0, 128, 128, 0, *[256] * 3, 0, *[512] * 3, 0, *[512] * 3, 0]:
        if n_out:
            layers += [nn.Conv2d(n_in, n_out, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            n_in = n_out
        else:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def features():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision_features()


@pytest.fixture
def state_dict(features):
    weights = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    return {**weights, "classifier.0.weight": torch.ones(1), "classifier.0.bias": torch.ones(1)}


@pytest.fixture(scope="module")
def task():
    return np.random.default_rng(0).random((6, 3, 32, 32), dtype=np.float32), [0, 1] * 3


# The network


def test_children_are_the_layers_of_keras_in_order():
    names = [name for name, _ in VGG16((3, 32, 32)).named_children()]
    expected = []
    for block, n_convolutions in enumerate([2, 2, 3, 3, 3], start=1):
        expected += [f"block{block}_conv{number + 1}" for number in range(n_convolutions)]
        expected.append(f"block{block}_pool")
    assert names == expected


def test_weights_have_the_shapes_of_the_paper():
    shapes = {name: tuple(p.shape) for name, p in VGG16().named_parameters()}
    expected = {}
    for name, (n_in, n_out) in CONVOLUTIONS.items():
        expected |= {f"{name}.weight": (n_out, n_in, 3, 3), f"{name}.bias": (n_out,)}
    assert shapes == expected


def test_first_convolution_takes_as_many_channels_as_the_images_have():
    body = VGG16((1, 32, 48))
    assert body.input_shape == (1, 32, 48)
    assert body(torch.zeros(2, 1, 32, 48)).shape == (2, 512, 1, 1)
    assert "input_shape=(1, 32, 48)" in repr(body)


def test_initial_weights_have_variance_two_over_fan_in():
    body = VGG16((3, 32, 32))
    for name, (n_in, _) in CONVOLUTIONS.items():
        layer = body.get_submodule(name)
        assert layer.weight.var().item() == pytest.approx(2 / (9 * n_in), rel=0.1)
        assert not layer.bias.any()


def test_each_convolution_ends_in_relu():
    body, X = VGG16((3, 32, 32)), torch.rand(1, 3, 32, 32)
    nn.init.constant_(body.block5_conv3.bias, -1e6)
    assert not body(X).any()


def test_trace_has_a_step_for_each_layer_and_relu():
    body, X = VGG16((3, 32, 32)), torch.rand(2, 3, 32, 32)
    traced = fx.symbolic_trace(body)
    called = [str(node.target) for node in traced.graph.nodes if node.op == "call_module"]
    assert called == [name for name, _ in body.named_children()]
    torch.testing.assert_close(traced(X), body(X))


def test_body_is_cut_at_the_frozen_block(task):
    body, X = VGG16((3, 32, 32)), torch.from_numpy(task[0])
    names = [name for name, _ in body.named_children()]
    graph = BodyGraph(body, list(CONVOLUTIONS), X[:1])
    crossing = graph.crossing(names[names.index("block5_conv1") :])
    assert crossing == ["body_block4_pool"]
    assert graph.values[crossing[0]].row_bytes == 512 * 2 * 2 * 4


NO_IMAGES = [150, None, "abc", (150, 150), (3, 150, 150, 1), (3, 31, 150), (3, 150, 31)]
NO_IMAGES += [(0, 150, 150), (-3, 150, 150), (3, 150.0, 150), (True, 150, 150)]


@pytest.mark.parametrize("shape", NO_IMAGES)
def test_shape_of_no_image_is_an_error(shape):
    with pytest.raises(ValueError, match=re.escape(f"input_shape={shape!r} must be (channels,")):
        VGG16(shape)


def test_shape_with_channels_last_is_told_from_others():
    with pytest.raises(ValueError, match=r"Channels come first: \(3, 150, 120\)"):
        VGG16((150, 120, 3))


def test_integers_of_numpy_are_integers():
    assert VGG16([np.int64(3), np.int32(32), 32]).input_shape == (3, 32, 32)


# torchvision's weights


@pytest.mark.parametrize("as_file", [False, True])
def test_torchvision_weights_give_what_torchvision_gives(features, state_dict, tmp_path, as_file):
    weights = state_dict
    if as_file:
        weights = tmp_path / "vgg16.pth"
        torch.save(state_dict, weights)
    body = VGG16.from_torchvision(weights, (3, 64, 40))
    X = torch.rand(2, 3, 64, 40)
    expected = features(X)
    assert expected.std() > 0
    torch.testing.assert_close(body(X), expected)
    assert body.input_shape == (3, 64, 40)
    assert all(p.requires_grad and p.device.type == "cpu" for p in body.parameters())


def test_torchvision_weights_are_copied_and_nothing_is_drawn(state_dict):
    before = torch.get_rng_state()
    body = VGG16.from_torchvision(state_dict)
    assert torch.equal(torch.get_rng_state(), before)
    kept = state_dict["features.28.bias"].clone()
    with torch.no_grad():
        body.block5_conv3.bias.add_(1)
    assert torch.equal(state_dict["features.28.bias"], kept)


def test_half_precision_weights_become_single(state_dict):
    body = VGG16.from_torchvision({name: tensor.half() for name, tensor in state_dict.items()})
    assert body.block1_conv1.weight.dtype == torch.float32
    torch.testing.assert_close(
        body.block1_conv1.weight, state_dict["features.0.weight"], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features.28.bias": None}, "missing: features.28.bias"),
        ({"features.1.running_mean": torch.zeros(64)}, "unknown: features.1.running_mean"),
        ({"avgpool.weight": torch.zeros(1)}, "unknown: avgpool.weight"),
        (
            {"features.0.weight": torch.zeros(64, 1, 3, 3)},
            "features.0.weight is (64, 1, 3, 3), not",
        ),
        ({"features.0.bias": "a"}, "features.0.bias is str, not (64,)"),
    ],
)
def test_other_weights_are_an_error(state_dict, change, message):
    changed = {**state_dict, **change}
    weights = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(ValueError, match=re.escape(message)):
        VGG16.from_torchvision(weights)


def test_weights_for_other_channels_are_an_error(state_dict):
    with pytest.raises(ValueError, match=r"is \(64, 3, 3, 3\), not \(64, 1, 3, 3\)\. .*3 channels"):
        VGG16.from_torchvision(state_dict, (1, 32, 32))


def test_what_holds_no_weights_is_an_error(features, tmp_path):
    with pytest.raises(TypeError, match=r"got Sequential\. Of a module, give module\.state_dict"):
        VGG16.from_torchvision(features)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(TypeError, match=r"got list in .*list\.pth"):
        VGG16.from_torchvision(tmp_path / "list.pth")
    torch.save(nn.ReLU(), tmp_path / "module.pth")
    for name in ("module.pth", "text.pth", "empty.pth"):
        if name == "text.pth":
            (tmp_path / name).write_text("no weights")
        elif name == "empty.pth":
            (tmp_path / name).touch()
        with pytest.raises(ValueError, match=rf"{name}'\) is no file of plain tensors"):
            VGG16.from_torchvision(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        VGG16.from_torchvision(tmp_path / "none.pth")


# In FineTuneClassifier


@pytest.mark.parametrize("as_module", [False, True])
def test_fine_tuning_moves_the_unfrozen_block_and_no_other(task, as_module):
    clf = FineTuneClassifier(
        VGG16((3, 32, 32)) if as_module else VGG16,
        unfreeze_depth="block5_conv1",
        head_epochs=1,
        finetune_epochs=1,
        random_state=0,
    ).fit(*task)
    untuned = clone(clf).set_params(finetune_epochs=0).fit(*task)
    before, after = (fitted.net_.module_.body.state_dict() for fitted in (untuned, clf))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"block5_conv1", "block5_conv2", "block5_conv3"}
    assert clf.unfrozen_layers_ == sorted(moved)
    assert clf.net_.module_.body.input_shape == (3, 32, 32)
    assert clf.transform(task[0]).shape == (6, 512)
    assert set(clf.predict(task[0])) <= {0, 1}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 32, 32), "got images of shape (1, 32, 32); it takes 3 channels"),
        ((3, 31, 32), "sides of at least 32, shape (n, 3, height, width)"),
        ((32, 32, 3), "Channels come first: numpy.moveaxis(X, -1, 1)"),
        ((32,), "got images of shape (32,); it takes 3 channels"),
    ],
)
def test_rows_that_are_no_such_images_are_an_error(shape, message):
    X = np.zeros((4, *shape), dtype=np.float32)
    with pytest.raises(ValueError, match=re.escape(message)):
        FineTuneClassifier(VGG16((3, 32, 32))).fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((32, 32, 3), "Channels come first: (3, 32, 32)."),
        ((32,), "input_shape=(32,) must be (channels, height, width)"),
    ],
)
def test_rows_for_which_no_network_can_be_made_are_an_error(shape, message):
    X = np.zeros((4, *shape), dtype=np.float32)
    with pytest.raises(ValueError, match=re.escape(message)):
        FineTuneClassifier(VGG16).fit(X, [0, 1, 0, 1])
