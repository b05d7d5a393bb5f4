"""The small data sets that ship inside scikit-learn, by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glassnet.data.dataset import Dataset, ImageShape
from glassnet.data.sources.content import Request

__all__ = ["BUNDLED", "load_bundled"]

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")


def load_bundled(name: str, request: Request) -> Dataset:
    """One of scikit-learn's bundled data sets; no download.

    The digits' 17 grey levels 0..16 are stretched to 0..255, so that they look and scale like any picture.

    >>> d = load_bundled("digits", Request())
    >>> d.X.shape, d.X.dtype, int(d.X.max()), d.image
    ((1797, 64), dtype('uint8'), 255, ImageShape(height=8, width=8, channels=1))
    """
    from sklearn import datasets

    request.refuse_unused(frozenset(), f"scikit-learn's {name}")
    bundle = getattr(datasets, f"load_{name}")()
    regression = name in ("diabetes", "linnerud")
    data = Dataset(
        bundle.data, bundle.target if regression else bundle.target.astype(np.int64),
        class_names=() if regression else tuple(str(n) for n in bundle.target_names),
        feature_names=tuple(bundle.feature_names), name=name, source=f"scikit-learn's bundled {name}",
    )  # fmt: skip
    if name != "digits":
        return data
    X = np.rint(bundle.data * (255 / 16)).astype(np.uint8)
    note = "the 17 grey levels 0..16 were stretched to 0..255"
    return replace(data, X=X, feature_names=(), image=ImageShape(8, 8, 1), notes=(note,))
