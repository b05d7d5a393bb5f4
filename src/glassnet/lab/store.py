"""Run folders: what is written when, how it is read again, and what is refused.

A folder is `RUNS/<key>/` with spec.toml, env.json, history.jsonl, model.safetensors, predictions.npz and,
last and by an atomic rename, result.json: its presence means done. Whatever lies there without it is an
unfinished run and will be done again; a long one goes on from its checkpoint.npz.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from glassnet.errors import InputError
from glassnet.lab.lock import Lock
from glassnet.lab.spec import FORMAT, RunSpec, digest

__all__ = ["CHECKPOINT", "Result", "RunStore", "replaced"]

Array = npt.NDArray[Any]
CHECKPOINT = "checkpoint.npz"  # of a run that takes long; gone when it is done
_FILES = ("spec.toml", "env.json", "history.jsonl", "model.safetensors", "predictions.npz")


@dataclass(frozen=True)
class Result:
    """A finished run, as its folder has it.

    Parameters
    ----------
    status : "done", "diverged" or "failed"
    scores, chance : part -> measure -> value
    why : of a run that diverged, failed or was stopped early
    """

    key: str
    spec: RunSpec
    fingerprint: str
    status: str
    scores: dict[str, dict[str, float]]
    chance: dict[str, dict[str, float]]
    why: str
    threshold: float | None
    epochs: int
    seconds: float
    rows: dict[str, int]
    n_parameters: int

    def score(self, measure: str, part: str = "test") -> float:
        """The value that counts: of a diverged or failed run that of a constant prediction."""
        scores = self.chance if self.status != "done" else self.scores
        return scores.get(part, {}).get(measure, math.nan)


class RunStore:
    """All runs of one folder.

    Examples
    --------
    >>> import tempfile
    >>> store = RunStore(tempfile.mkdtemp())
    >>> store.keys(), store.load("0123456789abcdef0123")
    ([], None)
    """

    def __init__(self, root: str | os.PathLike[str] = "runs") -> None:
        self.root = Path(root)
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"{self.root} is a file: name a folder for the runs")

    def folder(self, key: str) -> Path:
        return self.root / key

    def lock(self, key: str) -> Lock:
        return Lock(self.root / ".locks" / f"{key}.lock")

    def keys(self) -> list[str]:
        """Keys of all finished runs, sorted."""
        return sorted(path.parent.name for path in self.root.glob("*/result.json"))

    def unfinished(self) -> list[str]:
        """Keys of folders without a result."""
        folders = [path.parent for path in self.root.glob("*/spec.toml")]
        return sorted(folder.name for folder in folders if not (folder / "result.json").exists())

    def load(self, key: str) -> Result | None:
        """The finished run of that key, None if there is none.

        Raises
        ------
        InputError : the folder was written by another version of the format, or changed afterwards
        """
        folder = self.folder(key)
        try:
            plain = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            identity = tomllib.loads((folder / "spec.toml").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            if error.filename and str(error.filename).endswith("result.json"):
                return None
            raise self._edited(key, "spec.toml is missing") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise self._edited(key, str(error)) from None
        if not isinstance(plain, dict):
            raise self._edited(key, "result.json is no result")
        if plain.get("format") != FORMAT:
            raise InputError(
                f"the run {folder} was written by glassnet {plain.get('glassnet', '?')} in format "
                f"{plain.get('format', '?')}, this one reads format {FORMAT}: name another folder for the "
                f"runs, or `glassnet runs remove {key}`"
            )
        seal = plain.pop("seal", None)
        if seal != digest(plain):
            raise self._edited(key, "result.json is not as it was written")
        spec, found = read_identity(identity)
        if spec is None or found != key or plain["key"] != key:
            raise self._edited(key, "spec.toml describes another run")
        del plain["format"], plain["glassnet"], plain["files"]
        return Result(spec=spec, **plain)

    def _edited(self, key: str, what: str) -> InputError:
        return InputError(
            f"the run {self.folder(key)} was changed by hand ({what}): `glassnet runs remove {key}`, "
            "and it will be run again"
        )

    def begin(self, key: str, identity: dict[str, Any], env: dict[str, str]) -> Path:
        """A folder with spec.toml and env.json; an unfinished run's remains are cleared.

        Its checkpoint stays if it was made for this spec in this environment: other versions or another
        processor could end with other bits.
        """
        import tomli_w

        folder = self.folder(key)
        told = {
            "env.json": json.dumps(env, indent=1).encode(),
            "spec.toml": tomli_w.dumps(_without_none(identity)).encode(),
        }
        with disk(folder):
            if folder.exists() and not all(_holds(folder / name, text) for name, text in told.items()):
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
            for place in folder.iterdir():
                if place.is_dir():
                    shutil.rmtree(place)
                elif place.name not in (CHECKPOINT, *told):
                    place.unlink()
            for name, text in told.items():
                if not _holds(folder / name, text):
                    with replaced(folder / name) as file:
                        file.write(text)
        return folder

    def finish(self, key: str, plain: dict[str, Any]) -> None:
        """Write result.json: after this the run is done."""
        folder = self.folder(key)
        present = [name for name in _FILES if (folder / name).exists()]
        plain = {**plain, "key": key, "files": {name: _sha256(folder / name) for name in present}}
        sealed = {**plain, "seal": digest(plain)}
        with disk(folder):
            sync_folder(folder)  # what result.json vouches for must survive a power cut that it survives
            with replaced(folder / "result.json") as file:
                file.write(json.dumps(sealed, indent=1, allow_nan=False).encode())
            sync_folder(folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)

    def history(self, key: str) -> dict[str, list[float]]:
        """Quantities per epoch of a run, NaN where one was not measured."""
        path = self.checked(key, "history.jsonl")
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        names = list(dict.fromkeys(name for line in lines for name in line))
        return {
            name: [math.nan if line.get(name) is None else float(line[name]) for line in lines]
            for name in names
        }

    def predictions(self, key: str) -> dict[str, Array]:
        """Rows, targets and predictions: `test_rows`, `test_y`, `test_p`, `validation_...`."""
        with np.load(self.checked(key, "predictions.npz"), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def checked(self, key: str, name: str) -> Path:
        """Path of a file of a finished run, after a look whether it is what the run wrote."""
        path = self.folder(key) / name
        try:
            files = json.loads((self.folder(key) / "result.json").read_text(encoding="utf-8"))["files"]
            known = files.get(name)
            if known is None:
                raise InputError(f"the run {key} has no {name}: it ended before there was one")
            if _sha256(path) != known:
                raise self._edited(key, f"{name} is not as it was written")
        except FileNotFoundError:
            raise self._edited(key, f"{name} is missing") from None
        return path

    def remove(self, key: str) -> None:
        """Delete a run's folder; result.json goes first, so that a half-deleted run is an unfinished one."""
        with self.lock(key).held():
            folder = self.folder(key)
            if not folder.is_dir():
                raise InputError(f"there is no run {key} in {self.root}")
            (folder / "result.json").unlink(missing_ok=True)
            shutil.rmtree(folder)


def read_identity(identity: dict[str, Any]) -> tuple[RunSpec | None, str]:
    """The RunSpec that a spec.toml holds and the key that belongs to it."""
    from pydantic import ValidationError

    inner = dict(identity)
    fingerprint = str(inner.pop("fingerprint", ""))
    version, form = inner.pop("glassnet", ""), inner.pop("format", None)
    try:
        spec = RunSpec.model_validate({**inner, "data": {"source": "", **inner.get("data", {})}})
    except (ValidationError, InputError, TypeError):
        return None, ""
    return spec, digest({**spec.identity(fingerprint), "glassnet": version, "format": form})[:20]


def _without_none(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        k: _without_none(v) if isinstance(v, dict) else v for k, v in plain.items() if v is not None
    }  # TOML has no null; absent means the default, and None is always the default


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk (where the system can: Windows does it by itself)."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def replaced(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when it is complete and on the disk."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn trouble with the disk into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"the disk is full: {folder} could not be written; finished runs are safe, make room and "
                "start again"
            ) from None
        raise InputError(f"cannot write the run folder {folder}: {error.strerror}") from None
