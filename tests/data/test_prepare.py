"""Recipes: fitted on training rows only, equal to scikit-learn's where it has them, stored and inverted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from glassnet.data.dataset import Dataset
from glassnet.data.encoding import FILLS, LabelEncoding, SmoothClip, fit_table
from glassnet.data.prepare import (
    PREPARATIONS,
    Preparation,
    prepare,
    prepare_realmlp,
    prepare_table,
    prepare_whitening,
)
from glassnet.data.scaling import SCALINGS
from glassnet.data.whitening import fit_whitening
from glassnet.errors import InputError

from .planted import pictures, table

RNG = np.random.default_rng(4)
TRAIN = np.arange(0, 300, 2)
HELD_OUT = np.arange(1, 300, 2)


def gappy() -> Dataset:
    """A table with missing cells, a category that training never sees, a binary column, a constant one."""
    data = table()
    X = data.X.copy()
    X[RNG.random(300) < 0.1, 2] = np.nan
    X[RNG.random(300) < 0.1, 4] = np.nan
    X[HELD_OUT[:5], 4] = 3
    X[np.isin(np.arange(300), TRAIN) & (X[:, 4] == 3), 4] = 0
    X = np.concatenate([X, RNG.integers(0, 2, (300, 1)), np.full((300, 1), 7.0)], axis=1)
    X[HELD_OUT, 6] = 8  # constant in training
    names = (*data.feature_names, "member", "version")
    return replace(data, X=X, feature_names=names, categories={**data.categories, 5: ("no", "yes")})


def fits(recipe: str) -> Dataset:
    """Data that a recipe can be fitted to."""
    return gappy() if recipe in ("table", "realmlp") else pictures(size=8)


@pytest.mark.parametrize("recipe", PREPARATIONS)
def test_held_out_rows_leave_no_trace_in_a_recipe(recipe: str) -> None:
    data = fits(recipe)
    before = prepare(data, recipe, TRAIN).to_arrays()
    X = data.X.copy()
    X[HELD_OUT] = 1 if data.image is None else 255 - X[HELD_OUT]  # planted: every held-out row tells itself
    after = prepare(replace(data, X=X), recipe, TRAIN).to_arrays()
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.parametrize("recipe", [r for r in PREPARATIONS if r != "none"])
def test_training_rows_do_leave_a_trace(recipe: str) -> None:
    data = fits(recipe)
    before = prepare(data, recipe, TRAIN)
    after = prepare(replace(data, X=data.X // 3), recipe, TRAIN)
    same = [np.array_equal(a, b) for a, b in zip(_contents(before), _contents(after), strict=True)]
    assert not all(same)


def _contents(recipe: Preparation) -> list[np.ndarray]:
    return [value for _, value in sorted(recipe.to_arrays().items())]


@pytest.mark.parametrize("recipe", PREPARATIONS)
def test_a_recipe_survives_being_stored(recipe: str, tmp_path: Path) -> None:
    data = fits(recipe)
    fitted = prepare(data, recipe, TRAIN)
    save_file(fitted.to_arrays(), tmp_path / "recipe.safetensors")
    again = Preparation.from_arrays(load_file(tmp_path / "recipe.safetensors"))
    np.testing.assert_array_equal(again.apply(data.X), fitted.apply(data.X))
    assert again.class_names == data.class_names
    assert again.feature_names == fitted.feature_names
    assert again.apply(data.X, HELD_OUT).dtype == np.float32


@pytest.mark.parametrize("recipe", [*SCALINGS, "contrast", "pca", "zca"])
def test_pictures_come_back(recipe: str) -> None:
    data = pictures(size=8)
    fitted = prepare(data, recipe, TRAIN)
    back = fitted.invert(fitted.apply(data.X, HELD_OUT))
    X = data.X[HELD_OUT].astype(np.float64)
    if recipe in SCALINGS:
        np.testing.assert_allclose(back, X, atol=1e-2)
    else:  # brightness and contrast of a typical image, but the same picture
        alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(back, X, strict=True)]
        assert min(alike) > 0.999
        assert abs(back.mean() - data.X[TRAIN].mean()) < 1
    assert (fitted.scaling is not None) == (recipe in SCALINGS)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitened_columns_are_uncorrelated_with_variance_one(method: str) -> None:
    X = RNG.normal(size=(4000, 6)) @ RNG.normal(size=(6, 6)) + 5
    Z = fit_whitening(X, method, epsilon=0).apply(X)
    np.testing.assert_allclose(np.cov(Z.T, bias=True), np.eye(6), atol=1e-3)


def test_pca_whitening_is_scikit_learns() -> None:
    X = (RNG.normal(size=(700, 8)) @ RNG.normal(size=(8, 8))).astype(np.float32)
    theirs = PCA(3, whiten=True, svd_solver="full").fit(X)
    ours = fit_whitening(X, "pca", n_components=3, epsilon=0)
    sign = np.sign((ours.W * theirs.components_.T).sum(axis=0))
    scale = np.sqrt((len(X) - 1) / len(X))  # scikit-learn divides by n - 1
    np.testing.assert_allclose(ours.apply(X) * sign * scale, theirs.transform(X), atol=1e-3)
    np.testing.assert_allclose(
        ours.invert(ours.apply(X)), theirs.inverse_transform(theirs.transform(X)), atol=1e-3
    )


def test_zca_changes_a_picture_less_than_pca_does() -> None:
    data = pictures(size=8)
    zca, pca = (prepare_whitening(data, m).apply(data.X[:50]) for m in ("zca", "pca"))
    plain = prepare(data, "contrast").apply(data.X[:50])
    alike = [np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(Z, plain, strict=True)]) for Z in (zca, pca)]
    assert alike[0] > 0.5 > abs(alike[1])


def test_covariance_does_not_depend_on_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    X = RNG.normal(size=(100, 4)) + 1000
    whole = fit_whitening(X, "zca")
    monkeypatch.setattr("glassnet.data.whitening._CHUNK", 7)
    np.testing.assert_allclose(fit_whitening(X, "zca").W, whole.W, atol=1e-3)


@pytest.mark.parametrize("fill", FILLS)
def test_a_prepared_table_is_scikit_learns(fill: str) -> None:
    data = gappy()
    strategy = {"strategy": "constant", "fill_value": 0.0} if fill == "zero" else {"strategy": fill}
    numbers = Pipeline([("fill", SimpleImputer(**strategy)), ("scale", StandardScaler())])
    flags = SimpleImputer(add_indicator=True)
    categories = OneHotEncoder(categories=[[0, 1, 2], [0, 1]], handle_unknown="ignore", sparse_output=False)
    theirs = ColumnTransformer(
        [("numbers", numbers, [0, 1, 2, 3]), ("flags", flags, [2]), ("text", categories, [4, 5])]
    )
    expected = np.delete(
        theirs.fit(data.X[TRAIN]).transform(data.X), 4, axis=1
    )  # the filled copy of column 2
    fitted = prepare_table(data, TRAIN, fill=fill)
    np.testing.assert_allclose(fitted.apply(data.X), expected, atol=1e-5)
    assert fitted.feature_names == (
        "height", "weight", "income", "age", "income missing", "colour=blue", "colour=green", "colour=red",
        "member=no", "member=yes",
    )  # fmt: skip


def test_ordinal_codes_are_scikit_learns() -> None:
    data = gappy()
    theirs = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    expected = theirs.fit(data.X[TRAIN][:, [4, 5]]).transform(data.X[:, [4, 5]])
    encoding = fit_table(data, TRAIN, coding="ordinal", indicator=False)
    np.testing.assert_array_equal(encoding.apply(data.X)[:, -2:], expected)
    assert encoding.is_number.all()
    scaled = prepare_table(data, TRAIN, coding="ordinal", indicator=False).apply(data.X[TRAIN])
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


def test_realmlp_preprocessing_by_hand() -> None:
    X = np.array([[0.0, 0, 0, 5], [1, 0, 1, 5], [2, 0, 0, 5], [3, 0, np.nan, 5], [4, 8, 1, 5]])
    data = Dataset(X, np.arange(5.0), feature_names=("a", "b", "c", "d"), categories={2: ("x", "y")})
    got = prepare_realmlp(data).apply(X)
    # a: median 2, quartiles 1 and 3. b: median 0, quartiles 0: half the range, 4. c: +1, -1, 0 for missing;
    # median 0, quartiles -1 and 1. d is constant and left out.
    a = np.array([-2, -1, 0, 1, 2]) / 2
    b = np.array([0, 0, 0, 0, 8]) / 4
    c = np.array([1, -1, 1, 0, -1]) / 2
    expected = np.stack([a, b, c], axis=1)
    np.testing.assert_allclose(got, expected / np.sqrt(1 + (expected / 3) ** 2), rtol=1e-6)


def test_smooth_clip_comes_back() -> None:
    X = np.linspace(-20, 20, 41)
    clip = SmoothClip(3.0)
    assert np.abs(clip.apply(X)).max() < 3
    np.testing.assert_allclose(clip.invert(clip.apply(X)), X, rtol=1e-9)


def test_a_column_that_is_empty_or_constant_in_training_is_left_out() -> None:
    data = gappy()
    X = data.X.copy()
    X[TRAIN, 3] = np.nan
    names = prepare_table(replace(data, X=X), TRAIN).feature_names
    assert not {"age", "age missing", "version"} & set(names)


def test_labels_keep_their_names() -> None:
    labels = LabelEncoding.fit(np.array(["b", "a", "c", "a"]))
    assert labels.encode(["c", "a"]).tolist() == [2, 0]
    assert labels.decode(np.array([2, 0])) == ["c", "a"]
    with pytest.raises(InputError, match="unknown class 'd'"):
        labels.encode(["a", "d"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: prepare(table(), "standart"), "did you mean 'standard'"),
        (lambda: prepare(table(), "contrast"), "needs images"),
        (lambda: prepare(gappy(), "table", np.zeros(0, np.int64)), "at least one training row"),
        (lambda: prepare_table(gappy(), coding="one hot"), "did you mean 'one-hot'"),
        (lambda: prepare_table(gappy(), fill="medain"), "did you mean 'median'"),
        (lambda: prepare_whitening(table(), "pca", n_components=9), "between 1 and the 5 columns"),
        (lambda: prepare_whitening(table(), "zca", n_components=2), "ZCA keeps the size"),
        (lambda: prepare_whitening(table(), "ica"), "unknown whitening"),
        (lambda: prepare_whitening(pictures(4), "pca", np.array([0])), "at least 2 training rows"),
        (lambda: prepare(gappy(), "table").invert(np.zeros((1, 12), np.float32)), "cannot be turned back"),
        (lambda: Preparation.from_arrays({}), "hold no preparation"),
        (lambda: fit_table(Dataset(np.ones((3, 2)), np.zeros(3))), "no column varies"),
    ],
)
def test_what_cannot_be_prepared_is_refused_in_words(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()  # type: ignore[operator]


def test_a_step_of_a_newer_version_is_refused() -> None:
    arrays = prepare(pictures(4), "unit").to_arrays()
    arrays["recipe"] = np.frombuffer(arrays["recipe"].tobytes().replace(b"scaling", b"squeeze"), np.uint8)
    with pytest.raises(InputError, match="unknown step 'squeeze'"):
        Preparation.from_arrays(arrays)
