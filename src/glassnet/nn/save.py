"""Saved networks: one safetensors file with the parameters by name and the layers described as JSON.

No pickles: reading such a file never runs code, and any safetensors reader can open it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError, unknown_name
from glassnet.nn.activations import ACTIVATIONS
from glassnet.nn.layers import Activate, Dense, Layer, Residual
from glassnet.nn.losses import LOSSES, Loss
from glassnet.nn.network import Network
from glassnet.nn.noise import Dropout, Noise
from glassnet.nn.normalization import BatchNorm, LayerNorm, RMSNorm
from glassnet.nn.parametric import ParametricActivation, PReLU, Scale

__all__ = ["LAYERS", "load_network", "read_notes", "save_network", "write_whole"]

Array = npt.NDArray[Any]
FORMAT = 1

#: Every layer class that a file may name.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Activate, BatchNorm, Dense, Dropout, LayerNorm, Noise, ParametricActivation, PReLU, Residual, RMSNorm,
        Scale,
    )
}  # fmt: skip


def save_network(
    network: Network, path: str | os.PathLike[str], notes: Mapping[str, Any] | None = None
) -> None:
    """Write a network to a .safetensors file, whole or not at all.

    Parameters
    ----------
    path : the file; its folder must exist
    notes : what should travel with the network, as JSON: class names, scaling ...

    Raises
    ------
    InputError : the network holds somebody's own function, layer or loss, or the file cannot be written

    Examples
    --------
    >>> import tempfile
    >>> net = Network([Dense(3, "relu"), Dense(2)], n_inputs=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "net.safetensors"
    ...     save_network(net, file, {"classes": ["no", "yes"]})
    ...     again, notes = load_network(file), read_notes(file)
    >>> again, notes
    (Network([Dense(units=3, activation='relu'), Dense(units=2, activation='identity')], n_inputs=4,
      loss=SoftmaxCrossEntropy(label_smoothing=0.0, focal=0.0)), {'classes': ['no', 'yes']})
    """
    from safetensors.numpy import save

    described = {
        "format": FORMAT,
        "layers": [_describe_layer(layer) for layer in network.layers],
        "n_inputs": int(network.n_inputs),
        "loss": _describe_loss(network.loss),
        "dtype": str(network.dtype),
        "matmul_precision": network.matmul_precision,
        "seed": network.seed,
    }
    try:
        # one entry: safetensors writes several in a random order, and equal networks should be equal files
        metadata = {"glassnet": json.dumps(described | {"notes": dict(notes or {})})}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the network's settings and notes must be plain numbers and text: {error}"
        ) from error
    write_whole(path, save(_tensors(network) | _first_values(network), metadata))


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read a network that `save_network` wrote; its predictions are the same bit for bit.

    Raises
    ------
    InputError : the file is missing, damaged, not a network of glassnet's, or from a newer version
    """
    metadata, tensors = _read(path)
    try:
        described = json.loads(metadata["glassnet"])
        if described["format"] > FORMAT:
            raise InputError(f"{path} was written by a newer glassnet: update glassnet to read it")
        network = Network(
            [_make_layer(one) for one in described["layers"]], described["n_inputs"], "squared",
            dtype=described["dtype"], seed=described["seed"],
            matmul_precision=described.get("matmul_precision", "full"),
        )  # fmt: skip
        # only now: a new network may be refused an end that a trained one has had from an earlier version
        network.loss = LOSSES[described["loss"]["type"]](**described["loss"]["settings"])
        for name, place in _tensors(network).items():
            place[...] = tensors.pop(name).reshape(place.shape)
        _give_first_values(network, tensors)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no saved network of glassnet's, or it is damaged: {error!r}") from error
    return network


def read_notes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The notes that were saved with a network."""
    metadata, _ = _read(path)
    return dict(json.loads(metadata.get("glassnet", "{}")).get("notes", {}))


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside its place, then move it there: a reader finds the old file or the new one.

    Raises
    ------
    InputError : the file cannot be written
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no safetensors file, or it is damaged: {error}") from error


def _tensors(network: Network) -> dict[str, Array]:
    """Views of every parameter and statistic, named by the layer's place among all layers: "2.W"."""
    number = {id(layer): i for i, layer in enumerate(network.every_layer(), 1)}
    named = {}
    for slots, flat in ((network.slots, network.theta), (network.statistics, network.state)):
        for layer, parameter, where in slots:
            named[f"{number[id(layer)]}.{parameter.name}"] = flat[where].reshape(parameter.shape)
    return dict(sorted(named.items()))


def _first_values(network: Network) -> dict[str, Array]:
    """The arrays that layers begin with, if somebody gave them some: "2.init"."""
    return {
        f"{i}.{setting}": value
        for i, layer in enumerate(network.every_layer(), 1)
        for setting, value in layer.settings().items()
        if isinstance(value, np.ndarray)
    }


def _give_first_values(network: Network, saved: Mapping[str, Array]) -> None:
    layers = list(network.every_layer())
    for name, value in saved.items():
        number, _, setting = name.partition(".")
        layer = layers[int(number) - 1]
        if setting in ("init", "bias_init"):
            setattr(layer, setting, value)
            layer.given = (layer.given or frozenset()) | {setting}


def _describe_layer(layer: Layer) -> dict[str, Any]:
    name = type(layer).__name__
    if LAYERS.get(name) is not type(layer):
        raise InputError(
            f"{layer!r} is your own layer: a file cannot hold its code; save the parameters instead"
        )
    f = getattr(layer, "f", None)
    if f is not None and ACTIVATIONS.get(f.name) is not f:
        raise InputError(
            f"{layer!r} has your own activation {f.name!r}: a file cannot hold its code; "
            "use a named activation, or save the parameters and build the network again"
        )
    for setting, value in layer.settings().items():
        if callable(value):
            raise InputError(f"{layer!r} has a function as {setting}: a file cannot hold its code")
    settings = {k: v for k, v in layer.settings().items() if not isinstance(v, np.ndarray)}
    described: dict[str, Any] = {"type": name, "settings": settings}
    if layer.children():
        described["layers"] = [_describe_layer(child) for child in layer.children()]
    return described


def _make_layer(described: Mapping[str, Any]) -> Layer:
    if described["type"] not in LAYERS:
        raise unknown_name("layer", described["type"], LAYERS)
    inside = [_make_layer(one) for one in described.get("layers", ())]
    settings = dict(described["settings"])
    if settings.get("bias") is False:  # an earlier version took both, and never used it
        settings.pop("bias_init", None)
    return LAYERS[described["type"]](*inside, **settings)


def _describe_loss(loss: Loss) -> dict[str, Any]:
    name = next((name for name, known in LOSSES.items() if type(loss) is known), None)
    if name is None:
        raise InputError(
            f"{loss!r} is your own loss: a file cannot hold its code; save the parameters instead"
        )
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in loss.settings().items()}
    return {"type": name, "settings": plain}
