"""Training where something is missing: no compiler wanted, no cache, no network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from glassnet.nn import Adam, Dense, Network
from glassnet.train import Feed, fit

FIT = """
import sys
import numpy as np
from glassnet.nn import *
from glassnet.train import *
rng = np.random.default_rng(0)
X = rng.integers(0, 255, (60, 6)).astype(np.uint8)
y = (X[:, 0] > 127).astype(int)
layers = [Dense(8, "mish"), BatchNorm(), Dropout(0.2), Residual(LayerNorm(), Dense(8, "gelu")), Dense(2)]
network = Network(layers, 6, SoftmaxCrossEntropy(label_smoothing=0.1), dtype="float64")
class Scaling:
    scale, shift = np.array(1 / 255), np.array(-0.5)
feed = Feed(network, X, y, scaling=Scaling())
history = fit(network, feed, validation=feed, optimizer="nadam", epochs=5)
print(repr(float(history["val_loss"][-1])), "numba" in sys.modules)
"""


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **environ},
    )  # fmt: skip


def test_the_definitions_train_a_whole_network_without_numba() -> None:
    compiled, reference = run(FIT), run(FIT, GLASSNET_KERNELS="reference")
    assert compiled.returncode == reference.returncode == 0, compiled.stderr + reference.stderr
    (a, with_numba), (b, without) = compiled.stdout.split(), reference.stdout.split()
    assert (with_numba, without) == ("True", "False")
    assert float(a) == pytest.approx(float(b), rel=1e-9)


def test_an_unknown_form_of_the_kernels_is_an_error() -> None:
    done = run("import glassnet.kernels", GLASSNET_KERNELS="refernce")
    assert done.returncode != 0
    assert "unknown value of GLASSNET_KERNELS 'refernce': did you mean 'reference'" in done.stderr


NOTHING_CAN_BE_WRITTEN = """
import logging, os, tempfile
def refuse(*args, **settings):
    raise PermissionError(13, "Permission denied")
tempfile.TemporaryFile = refuse  # how Numba finds out whether a folder can be written
logging.basicConfig(format="%(levelname)s %(message)s")
import glassnet.kernels as kernels
import numpy as np
from glassnet.kernels.compiled import hits
theta = np.ones(3)
kernels.sgd(theta, np.ones(3), 0.5, 0.0)
print(theta.tolist(), hits.stats.cache_path)
"""


def test_without_a_place_for_compiled_code_each_process_compiles_for_itself() -> None:
    done = run(NOTHING_CAN_BE_WRITTEN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(" None")[0] == "[0.5, 0.5, 0.5]"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in warnings[0]


def test_training_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    network = Network([Dense(4, "relu"), Dense(2)], 3)
    X, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    history = fit(network, Feed(network, X, y), optimizer=Adam(0.1), epochs=50)
    assert history["loss"][-1] < history["loss"][0]
