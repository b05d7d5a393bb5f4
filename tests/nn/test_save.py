"""Saved networks come back the same, hold no code, and damaged files are named."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.nn import (
    LAYERS,
    LOSSES,
    Activate,
    BatchNorm,
    Custom,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Network,
    Noise,
    ParametricActivation,
    PReLU,
    Residual,
    RMSNorm,
    Scale,
    SoftmaxCrossEntropy,
    load_network,
    read_notes,
    save_network,
)
from glassnet.nn.save import write_whole

X = np.random.default_rng(0).normal(size=(5, 3))


def every_layer() -> list[Layer]:
    return [
        Scale(lr_factor=3.0), Dense(8, "tanh", ntk=True, init="zeros"),
        BatchNorm(momentum=0.3, eps=1e-3), Activate("gelu"), Noise(0.1), Dropout(0.25),
        Residual(RMSNorm(eps=1e-4), Dense(4, "mish", bias=False, weight_lr=0.5), Residual(LayerNorm()),
                 Dense(8)),
        PReLU(start=0.1), ParametricActivation("selu", start=0.7, lr_factor=0.2),
        Dense(2, bias_init=-1.0, bias_lr=0.1, init="orthogonal"),
    ]  # fmt: skip


@pytest.fixture
def network() -> Network:
    network = Network(every_layer(), 3, SoftmaxCrossEntropy(0.1, class_weight=np.array([1, 2])), seed=4)
    network.theta += np.random.default_rng(1).normal(size=network.n_parameters)
    network.forward(X.astype(np.float32), train=True)  # the running averages move
    return network


def same(a: Network, b: Network) -> None:
    assert repr(a) == repr(b)
    assert (a.dtype, a.seed, a.n_inputs) == (b.dtype, b.seed, b.n_inputs)
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    assert a.segments == b.segments


def test_all_layers_are_known_by_name() -> None:
    named = {c for c in _subclasses(Layer) if c.__module__.startswith("glassnet.nn.")}
    assert set(LAYERS.values()) == named
    assert all(name == c.__name__ for name, c in LAYERS.items())
    assert {type(layer) for layer in Network(every_layer(), 3).every_layer()} == named


def _subclasses(base: type) -> set[type]:
    return {c for child in base.__subclasses__() for c in (child, *_subclasses(child))}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_bit_for_bit(tmp_path: Path, network: Network, dtype: str) -> None:
    first = Network(network.layers, 3, network.loss, dtype=dtype, seed=9)
    first.theta[:], first.state[:] = network.theta, network.state
    save_network(first, tmp_path / "net.safetensors")
    same(load_network(tmp_path / "net.safetensors"), first)
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_a_file_of_a_layer_without_bias_that_was_given_first_values_of_one(tmp_path: Path) -> None:
    """An earlier version took both."""
    first = Dense(2, bias=False)
    first.bias_init = 2.0
    network = Network([first], 3)
    save_network(network, tmp_path / "net.safetensors")
    loaded = load_network(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded.theta, network.theta)


def test_copies_and_pickles_are_the_same_and_small(network: Network) -> None:
    network.forward(np.zeros((10_000, 3), np.float32))  # large scratch memory
    pickled = pickle.dumps(network)
    assert len(pickled) < 60_000
    for other in (pickle.loads(pickled), copy.deepcopy(network)):
        same(other, network)
        other.theta += 1
        assert not np.array_equal(other.predict(X), network.predict(X))
        assert other.layers[1].W.base is not None
        assert np.shares_memory(other.layers[1].W, other.theta)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_saved(tmp_path: Path, loss: str) -> None:
    first = Network([Dense(2)], 3, loss)
    save_network(first, tmp_path / "net.safetensors")
    same(load_network(tmp_path / "net.safetensors"), first)


def test_the_file_is_readable_without_glassnet(tmp_path: Path, network: Network) -> None:
    from safetensors import safe_open

    save_network(network, tmp_path / "net.safetensors", {"classes": ["no", "yes"], "n": 3})
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        assert {"1.s", "2.W", "2.b", "3.running_var", "9.W"} <= set(file.keys())
        np.testing.assert_array_equal(file.get_tensor("2.W"), network.layers[1].W)
        described = json.loads(file.metadata()["glassnet"])
    assert described["layers"][1]["settings"] == {
        "units": 8,
        "activation": "tanh",
        "init": "zeros",
        "ntk": True,
    }
    assert read_notes(tmp_path / "net.safetensors") == {"classes": ["no", "yes"], "n": 3}


class Mine(Dense):
    pass


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ([Dense(2, np.arctan)], "squared", "own activation 'custom arctan': a file cannot hold its code"),
        ([Residual(Activate(lambda Z: Z + Z**2)), Dense(2)], "squared", "own activation 'custom <lambda>'"),
        ([Mine(2)], "squared", "is your own layer"),
        ([Dense(2, init=lambda rng, i, o: np.ones((i, o)))], "squared", "has a function as init"),
        ([Dense(2)], Custom(lambda Z, y: ((Z - y).sum(axis=1), np.ones_like(Z))), "is your own loss"),
    ],
)
def test_code_is_not_saved(tmp_path: Path, layers: list[Layer], loss: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        save_network(Network(layers, 3, loss), tmp_path / "net.safetensors")
    assert os.listdir(tmp_path) == []


def test_bad_files_are_named(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        load_network(path)
    path.write_bytes(b"not a network at all, but long enough to look at")
    with pytest.raises(InputError, match="no safetensors file, or it is damaged"):
        load_network(path)
    save_network(network, path)
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="damaged"):
            load_network(path)

    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(InputError, match="no saved network of glassnet's"):
        load_network(path)
    path.write_bytes(whole.replace(b'"Scale', b'"Scala').replace(b'\\"Scale', b'\\"Scala'))
    with pytest.raises(InputError, match="unknown layer 'Scala': did you mean 'Scale'"):
        load_network(path)
    path.write_bytes(whole.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    with pytest.raises(InputError, match="newer glassnet"):
        load_network(path)


def test_what_cannot_be_written_says_so(tmp_path: Path, network: Network) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: No such file"):
        save_network(network, tmp_path / "nowhere" / "net.safetensors")
    with pytest.raises(InputError, match="notes must be plain"):
        save_network(network, tmp_path / "net.safetensors", {"when": object()})


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
