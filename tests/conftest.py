"""What tests of every floor share: the real pictures where they are, and a cache that is not the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cifar10_zip() -> Path:
    """The 50,000 training pictures of CIFAR-10 as JPEGs, `train/<class>/<n>.jpg` in a zip."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "cifar10-train.zip"
    path = Path(os.environ.get("GLASSNET_CIFAR10", beside))
    if not path.is_file():
        pytest.skip(f"needs CIFAR-10's training pictures as a zip: set GLASSNET_CIFAR10 (looked at {path})")
    return path


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSNET_DATA_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
