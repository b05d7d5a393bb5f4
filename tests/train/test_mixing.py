"""Mixed rows: their targets and weights teach what the two images teach, each by its share."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from glassnet.data.augment import Augmenter, Mixed, Mixer
from glassnet.data.dataset import ImageShape
from glassnet.errors import InputError
from glassnet.nn import Dense, Network
from glassnet.nn.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy, Squared
from glassnet.seeds import stream
from glassnet.train import Feed, fit

RNG = np.random.default_rng(3)
N, SHAPE = 12, ImageShape(4, 4, 1)
X = RNG.integers(0, 256, (N, 16), dtype=np.uint8)
LAM = RNG.uniform(0, 1, N).astype(np.float32)
PARTNER = RNG.permutation(N)
CLASSES = np.arange(N) % 3
WEIGHTS = np.r_[0.0, 0.0, RNG.uniform(0.5, 2, N - 2)]
ROWS = np.arange(N)
LOSSES: list[tuple[Loss, np.ndarray[Any, Any]]] = [
    (SoftmaxCrossEntropy(), CLASSES),
    (SoftmaxCrossEntropy(label_smoothing=0.2), CLASSES),
    (SoftmaxCrossEntropy(focal=2.0), CLASSES),
    (SoftmaxCrossEntropy(class_weight=np.array([1.0, 5.0, 0.2])), CLASSES),
    (SigmoidCrossEntropy(), (CLASSES == 1).astype(float)),
    (SigmoidCrossEntropy(class_weight=np.array([1.0, 4.0])), (CLASSES == 1).astype(float)),
    (SigmoidCrossEntropy(label_smoothing=0.1), np.eye(3)[CLASSES]),
    (Squared(), RNG.normal(size=(N, 2))),
]


def mix(X: Any, rng: np.random.Generator) -> Mixed:
    return Mixed(X, LAM, PARTNER)  # the pixels do not matter to the targets


def fed(loss: Loss, y: Any, augment: Any, weights: Any = None) -> tuple[Network, Feed]:
    classes = isinstance(loss, SoftmaxCrossEntropy)
    n_outputs = 3 if classes else np.reshape(y, (N, -1)).shape[1]
    network = Network([Dense(5, "tanh"), Dense(n_outputs)], 16, loss, seed=1, dtype=np.float64)
    return network, Feed(network, X / 255, y, augment=augment, sample_weight=weights)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("loss", "y"), LOSSES, ids=lambda value: repr(value) if isinstance(value, Loss) else ""
)
def test_a_mixed_row_teaches_what_both_of_its_images_teach(loss: Loss, y: Any, weights: Any) -> None:
    """The definition: lam w loss(z, y) + (1 - lam) w' loss(z, y'), its gradient by every parameter."""
    network, feed = fed(loss, y, mix, weights)
    inputs, targets, w = feed.take(ROWS, stream(0, "augment"))
    value = network.gradient(inputs, targets, w, 1.0)
    mixed = network.grad.copy()

    plain_inputs, plain, plain_w = feed.take(ROWS)
    each = np.broadcast_to(plain_w, N)
    lam = LAM.astype(np.float64)
    parts = [(plain, lam * each), (plain[PARTNER], (1 - lam) * each[PARTNER])]
    wanted, total = np.zeros_like(mixed), 0.0
    for part, share in parts:
        total += network.gradient(plain_inputs, part, share, 1.0)
        wanted += network.grad
    np.testing.assert_allclose(mixed, wanted, rtol=1e-6, atol=1e-8)
    if not isinstance(loss, Squared):  # there a constant is missing
        assert value == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("smoothing_focal", [(0.0, 0.0), (0.3, 0.0), (0.0, 1.5)])
def test_the_gradient_of_shares_is_the_losses(smoothing_focal: tuple[float, float]) -> None:
    loss = SoftmaxCrossEntropy(*smoothing_focal)
    Z, T = RNG.normal(size=(6, 4)), RNG.dirichlet(np.ones(4), 6)
    w, dZ = RNG.uniform(0.5, 2, 6), np.empty((6, 4))
    loss.gradient(Z, T, w, 0.7, dZ)
    for at in np.ndindex(*Z.shape):
        up, down = Z.copy(), Z.copy()
        up[at] += 1e-6
        down[at] -= 1e-6
        scratch = np.empty_like(Z)
        slope = (loss.gradient(up, T, w, 0.7, scratch) - loss.gradient(down, T, w, 0.7, scratch)) / 2e-6
        assert dZ[at] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_shares_of_one_class_alone_are_that_class() -> None:
    Z = np.array([[800.0, -800.0, 0.0], [1.0, 2.0, 3.0]])
    for loss in (SoftmaxCrossEntropy(), SoftmaxCrossEntropy(focal=2.0)):
        first, second = np.empty_like(Z), np.empty_like(Z)
        codes = np.array([0, 2])
        value = loss.gradient(Z, codes, np.ones(1), 0.5, first)
        assert loss.gradient(Z, np.eye(3)[codes], np.ones(1), 0.5, second) == pytest.approx(value)
        np.testing.assert_allclose(first, second, atol=1e-12)


def blobs() -> tuple[Any, Any]:
    """Dark pictures with a bright quarter: which quarter is the class."""
    rng = np.random.default_rng(5)
    y = np.arange(240) % 4
    pictures = rng.integers(0, 120, (240, 4, 4))
    for picture, c in zip(pictures, y, strict=True):
        picture[2 * (c // 2) : 2 * (c // 2) + 2, 2 * (c % 2) : 2 * (c % 2) + 2] += 100
    return pictures.reshape(240, 16).astype(np.uint8), y


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_a_network_learns_from_mixed_images(settings: dict[str, float]) -> None:
    pictures, y = blobs()

    def trained() -> tuple[Network, Any]:
        network = Network([Dense(16, "relu"), Dense(4)], 16, "softmax_cross_entropy", seed=0)
        augment = Mixer(SHAPE, **settings, first=Augmenter(SHAPE, flip=False, shift=0, brightness=0.05))
        scaling = _Unit()
        train = Feed(network, pictures, y, scaling=scaling, augment=augment, rows=np.arange(160))
        validation = Feed(network, pictures, y, scaling=scaling, rows=np.arange(160, 240))
        return network, fit(network, train, validation=validation, epochs=30, batch_size=16)

    network, history = trained()
    assert history["val_accuracy"][-1] > 0.95
    assert 0.5 < history["accuracy"][-1] <= 1.0  # against the larger share
    assert history["loss"][-1] > history["val_loss"][-1]  # mixed targets cannot be met exactly
    assert trained()[0].theta.tobytes() == network.theta.tobytes()


class _Unit:
    scale, shift = np.array(1 / 255), np.array(0.0)


@pytest.mark.parametrize("partner", [np.full(N, N), np.full(N, -1), np.arange(N - 1)])
def test_a_mixed_batch_with_partners_that_are_none_is_refused(partner: Any) -> None:
    network = Network([Dense(3)], 16)
    feed = Feed(network, X, CLASSES, augment=lambda batch, rng: Mixed(batch, LAM, partner))
    with pytest.raises(InputError, match="partner"):
        feed.take(ROWS, stream(0, "augment"))


def test_a_feed_can_be_copied_after_use() -> None:
    network = Network([Dense(3)], 16)
    feed = Feed(network, X, RNG.integers(3, size=len(X)))
    expected = feed.take(ROWS)[0].copy()
    np.testing.assert_array_equal(copy.deepcopy(feed).take(ROWS)[0], expected)
