"""Augmentation: what it promises to change, what it must not change, and that its draws can be repeated."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from glassnet.data.augment import Augmenter, Mixed, Mixer, changed_rows
from glassnet.data.dataset import ImageShape
from glassnet.errors import InputError
from glassnet.seeds import stream

SHAPE = ImageShape(8, 8, 3)
X = np.random.default_rng(0).integers(0, 256, (400, 192), dtype=np.uint8)
PICTURES = X.reshape(-1, 3, 8, 8)
PLAIN = {"flip": False, "shift": 0}


def changed(seed: int = 0, **settings: object) -> np.ndarray:
    augment = Augmenter(SHAPE, **{**PLAIN, **settings})  # type: ignore[arg-type]
    return augment(X, stream(seed, "augment")).reshape(PICTURES.shape)


def test_nothing_asked_for_changes_nothing() -> None:
    np.testing.assert_array_equal(changed(), PICTURES)


def test_half_of_the_images_are_mirrored() -> None:
    got = changed(flip=True)
    mirrored = (got == PICTURES[..., ::-1]).all(axis=(1, 2, 3))
    same = (got == PICTURES).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 160 < mirrored.sum() < 240


def test_shifts_reach_as_far_as_asked_and_reflect_the_border() -> None:
    got = changed(shift=2)
    padded = np.pad(PICTURES, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    hits = np.zeros((5, 5), int)
    for i in range(len(X)):
        for r in range(5):
            for c in range(5):
                hits[r, c] += np.array_equal(got[i], padded[i, :, r : r + 8, c : c + 8])
    assert hits.sum() == len(X)
    assert (hits > 4).all()


def test_the_usual_shift_is_an_eighth_of_the_side() -> None:
    explicit = Augmenter(SHAPE, shift=1)(X, stream(0, "augment"))
    np.testing.assert_array_equal(Augmenter(SHAPE)(X, stream(0, "augment")), explicit)


def test_a_quarter_turn_is_exact() -> None:
    augment = Augmenter(SHAPE, flip=False, shift=0, rotate=90)

    class Always(np.random.Generator):
        def random(self, size: object = None, *_: object) -> np.ndarray:  # type: ignore[override]
            return np.ones(size)  # type: ignore[call-overload]

    got = augment(X, Always(np.random.PCG64(0))).reshape(PICTURES.shape)
    np.testing.assert_array_equal(got, np.rot90(PICTURES, -1, axes=(2, 3)))


def test_small_turns_stay_close_and_angles_differ() -> None:
    smooth = (
        np.tile(np.add.outer(np.arange(8), 2 * np.arange(8)).ravel() * 5, 3)
        .astype(np.uint8)[None]
        .repeat(50, 0)
    )
    got = Augmenter(SHAPE, flip=False, shift=0, rotate=10)(smooth, stream(0, "augment"))
    inside = np.abs(
        got.reshape(50, 3, 8, 8)[:, :, 2:-2, 2:-2].astype(int) - smooth.reshape(50, 3, 8, 8)[:, :, 2:-2, 2:-2]
    )
    assert 0 < inside.max() < 12
    assert len(np.unique(got, axis=0)) > 40


def test_brightness_moves_the_mean_within_its_limit() -> None:
    grey = np.full((300, 192), 120, np.uint8)
    got = Augmenter(SHAPE, flip=False, shift=0, brightness=0.2)(grey, stream(0, "augment"))
    assert (got == got[:, :1]).all()
    assert -52 < got[:, 0].astype(int).min() - 120 < -40
    assert 40 < got[:, 0].astype(int).max() - 120 < 52


def test_contrast_stretches_about_middle_grey() -> None:
    two = np.tile(np.array([100, 156], np.uint8), (300, 96))
    got = Augmenter(SHAPE, flip=False, shift=0, contrast=0.5)(two, stream(0, "augment")).astype(int)
    spread = got[:, 1] - got[:, 0]
    assert spread.min() < 32
    assert spread.max() > 80
    np.testing.assert_allclose(got[:, :2].mean(axis=1), 127.75, atol=1)


def test_changes_of_light_stay_within_the_range() -> None:
    got = Augmenter(SHAPE, flip=False, shift=0, contrast=0.9, brightness=0.5, white=16)(
        X % 17, stream(0, "augment")
    )
    assert got.max() == 16


def test_cut_out_squares() -> None:
    got = changed(cutout=4, fill=0)
    holes = (got == 0).all(axis=1) & (PICTURES != 0).any(axis=1)
    area = holes.sum(axis=(1, 2))
    assert area.max() == 16
    assert area.min() >= 4  # the centre is inside: at least a quarter is
    unchanged = (got == PICTURES).all(axis=1) | holes | (PICTURES == 0).all(axis=1)
    assert unchanged.all()


def test_the_same_stream_gives_the_same_pictures_and_leaves_x_alone() -> None:
    everything = {"flip": True, "shift": 3, "rotate": 15.0, "cutout": 3, "brightness": 0.1, "contrast": 0.1}
    before = X.copy()
    np.testing.assert_array_equal(changed(1, **everything), changed(1, **everything))
    assert not np.array_equal(changed(1, **everything), changed(2, **everything))
    np.testing.assert_array_equal(X, before)


def test_batches_of_one_stream_differ_and_a_shorter_one_goes_on() -> None:
    def three(augment: Augmenter) -> list[np.ndarray]:
        rng = stream(0, "augment")
        return [augment(X[:n], rng).copy() for n in (30, 20, 40)]

    everything = Augmenter(SHAPE, shift=3, rotate=15.0, cutout=3, brightness=0.1, contrast=0.1)
    first = three(everything)
    assert not np.array_equal(first[0][:20], first[1])
    again = pickle.loads(pickle.dumps(everything))  # as it is now, in the middle of a stream
    for got, expected in zip([*three(everything), *three(again)], 2 * first, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_augmenter_of_somebody_elses_making_is_asked() -> None:
    class Black(Augmenter):
        def __call__(self, X: np.ndarray, rng: np.random.Generator, out: object = None) -> np.ndarray:
            return np.zeros_like(X)

    rows, rng = np.array([3, 5]), stream(0, "augment")
    assert not changed_rows(Black(SHAPE), X, rows, rng).any()
    assert not changed_rows(lambda batch, _: 0 * batch, X, rows, rng).any()
    assert not Mixer(SHAPE, mixup=0.2, first=Black(SHAPE)).of_rows(X, rows, rng).X.any()
    still = Augmenter(SHAPE, flip=False, shift=0)
    for stored in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):  # also what is not in one piece
        np.testing.assert_array_equal(changed_rows(still, stored, rows, rng), X[rows])
    assert still(X[:0], rng).shape == (0, 192)


def test_output_goes_where_it_is_asked_to_go() -> None:
    augment = Augmenter(SHAPE)
    out = np.empty_like(X)
    assert augment(X, stream(0, "augment"), out) is out
    own = augment(X, stream(0, "augment"))
    np.testing.assert_array_equal(own, out)
    assert np.shares_memory(own, augment(X[:7], stream(0, "augment")))


def test_mixup_is_the_weighted_mean() -> None:
    mixed = Mixer(SHAPE, mixup=1.0)(X, stream(0, "mix"))
    lam = mixed.lam[:, None].astype(np.float64)
    expected = lam * X + (1 - lam) * X[mixed.partner]
    assert np.abs(mixed.X - expected).max() <= 0.5
    assert sorted(mixed.partner.tolist()) == list(range(400))
    assert 0.4 < mixed.lam.mean() < 0.6


def test_cutmix_takes_a_box_of_the_stated_area() -> None:
    mixed = Mixer(SHAPE, cutmix=1.0)(X, stream(0, "mix"))
    got = mixed.X.reshape(PICTURES.shape)
    theirs = PICTURES[mixed.partner]
    for i in np.flatnonzero(mixed.partner != np.arange(400)):
        from_partner = (got[i] != PICTURES[i]).any(axis=0)
        rows, columns = (np.flatnonzero(from_partner.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            np.testing.assert_array_equal(got[i][box], theirs[i][box])
            assert got[i][0][box[1:]].size / 64 == pytest.approx(1 - mixed.lam[i])
        else:
            assert mixed.lam[i] == 1
    assert 0.1 < 1 - mixed.lam.mean() < 0.5


def test_a_mixer_of_both_takes_turns() -> None:
    mix = Mixer(SHAPE, mixup=1.0, cutmix=1.0)
    black_and_white = np.repeat(np.array([[0], [255]], np.uint8), 192, axis=1)
    blended = [
        bool(((mix(black_and_white, stream(k, "mix")).X % 255) != 0).any()) for k in range(200)
    ]  # a pasted box leaves black and white
    assert 30 < sum(blended) < 130  # half of the batches, less those whose partners are themselves


def test_a_mixer_changes_each_image_first() -> None:
    first = Augmenter(SHAPE, flip=True, shift=0)
    got = Mixer(SHAPE, mixup=0.2, first=first)(X, stream(0, "mix"))
    alone = first(X, stream(0, "mix")).astype(float)
    lam = got.lam[:, None].astype(float)
    assert np.abs(got.X - (lam * alone + (1 - lam) * alone[got.partner])).max() <= 0.5


@pytest.mark.parametrize("kind", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_batches_of_a_mixer_differ_and_partners_of_a_shorter_one_are_in_it(kind: dict[str, float]) -> None:
    def three(mix: Mixer) -> list[Mixed]:
        rng = stream(0, "mix")
        batches = [mix(X[:n], rng) for n in (30, 20, 40)]
        assert [sorted(batch.partner.tolist()) for batch in batches] == [list(range(n)) for n in (30, 20, 40)]
        return batches

    mix = Mixer(SHAPE, **kind)
    first = three(mix)
    assert not np.array_equal(first[0].lam[:20], first[1].lam)
    for again in (mix, pickle.loads(pickle.dumps(mix))):  # as it is now, in the middle of a stream
        for got, expected in zip(three(again), first, strict=True):
            np.testing.assert_array_equal(got.lam, expected.lam)
            np.testing.assert_array_equal(got.partner, expected.partner)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Augmenter(SHAPE, shift=4), "shift=4 is out of range: 0 to 3"),
        (lambda: Augmenter(SHAPE, shift=-1), "shift=-1"),
        (lambda: Augmenter(SHAPE, shift=0, cutout=9), "cutout=9"),
        (lambda: Augmenter(SHAPE, shift=0, brightness=1.5), "brightness=1.5"),
        (lambda: Augmenter(SHAPE, shift=0, rotate=200), "rotate=200"),
        (lambda: Augmenter(SHAPE, shift=0, white=0), "white=0"),
        (lambda: Augmenter(SHAPE, shift=1)(X.astype(np.float32), stream(0, "augment")), "not on float32"),
        (lambda: Augmenter(SHAPE, shift=1)(X[:, :100], stream(0, "augment")), "rows of 192 stored bytes"),
        (lambda: Mixer(SHAPE), "needs mixup or cutmix above 0"),
        (lambda: Mixer(SHAPE, mixup=-1), "mixup=-1 must be 0"),
        (lambda: Mixer(SHAPE, cutmix=float("nan")), "cutmix=nan"),
        (lambda: Mixer(ImageShape(9, 9, 1), cutmix=1.0)(X, stream(0, "mix")), "rows of 81 stored bytes"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()  # type: ignore[operator]
