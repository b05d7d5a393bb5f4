"""Encoded pictures (JPEG, PNG ...) to rows of pixels, in several processes where that pays.

Measured on 50,000 JPEGs of 32 x 32 and two cores: one process 7 s, two threads 8 s (Pillow's Python part
holds the interpreter lock longer than its decoder releases it), two processes 5 s with their start.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glassnet.data.dataset import ImageShape
from glassnet.data.sources.content import Request, Sink
from glassnet.errors import InputError
from glassnet.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = ["Decoded", "decode", "is_picture"]

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
    ".pbm",
)
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS: Pillow hands it to Ghostscript

_CHUNK, _CHUNK_BYTES = 500, 8_000_000  # pictures, and bytes before or after decoding, per task
_PARALLEL_FROM, _PARALLEL_BYTES = (
    4000,
    16_000_000,
)  # below, starting processes (0.5 s) costs more than they save
_MOST_BYTES = 64 * 10**9  # of all pictures together
_MAX_PIXELS = 100_000_000  # a larger single picture is refused

Shape = tuple[int, int, int]
Named = tuple[str, bytes]


@dataclass(frozen=True)
class Decoded:
    """What came out of a stream of pictures, apart from the pixels in the sink."""

    image: ImageShape
    kept: npt.NDArray[np.bool_]  # (n,) False where a corrupt picture was skipped
    notes: tuple[str, ...]


@dataclass
class _Outcome:
    bad: list[tuple[int, str, str]] = field(default_factory=list)  # place, name, reason
    changed: Counter[str] = field(default_factory=Counter)  # what was converted, for the notes


@dataclass
class _Chunk(_Outcome):
    pixels: npt.NDArray[np.uint8] = field(
        default_factory=lambda: np.empty((0, 0), np.uint8)
    )  # (good ones, planes)
    odd: tuple[str, Shape] | None = None  # the first picture of another shape ends the chunk


def is_picture(path: str) -> bool:
    """Whether a file name ends like a picture's."""
    return path.lower().endswith(SUFFIXES)


def decode(
    names: Sequence[str],
    read: Callable[[str], bytes],
    total_bytes: int,
    source: str,
    request: Request,
    sink: Sink,
    progress: Progress,
) -> Decoded:
    """Decode named pictures into rows of the sink, in the order of the names.

    All must have one size unless `request.size` resizes them. Grey pictures stay one plane unless one of
    them is in colour. Corrupt pictures are refused, or skipped and counted where the request says so.
    """
    first, shape = _first_good(source, names, read, request.size)
    total = len(names) * math.prod(shape)
    if total > _MOST_BYTES:
        raise InputError(
            f"{source}: {len(names)} pictures of {shape[1]}x{shape[0]} (width x height) would take "
            f"{total / 1e9:.0f} GB: make them smaller with size=(height, width) (--size)"
        )
    parallel = len(names) >= _PARALLEL_FROM or total_bytes >= _PARALLEL_BYTES
    progress.begin("decoding pictures", len(names))
    try:
        while (
            done := _write_all(names, read, first, shape, source, request, sink, progress, parallel)
        ) is None:
            sink.restart()  # colour among grey pictures: all of them get three planes
            shape = (*shape[:2], 3)
    finally:
        progress.end()
    if done.bad and not request.skip_corrupt:
        raise _corrupt(source, done.bad, len(names))
    kept = np.ones(len(names), bool)
    kept[[k for k, _, _ in done.bad]] = False
    notes = [f"{n} pictures {what}" for what, n in sorted(done.changed.items())]
    if done.bad:
        skipped = f"{len(done.bad)} of {len(names)} pictures are corrupt and were skipped"
        notes.insert(0, f"{skipped} ({_listed(done.bad)})")
    return Decoded(ImageShape(*shape), kept, tuple(notes))


def _write_all(
    names: Sequence[str],
    read: Callable[[str], bytes],
    first: str,
    shape: Shape,
    source: str,
    request: Request,
    sink: Sink,
    progress: Progress,
    parallel: bool,
) -> _Outcome | None:
    """Write every picture of this shape; None if one in colour follows grey ones that are already written."""
    outcome, start = _Outcome(), 0
    chunks = _chunks(names, read, math.prod(shape))
    with contextlib.closing(_decoded_chunks(chunks, shape, request.size, parallel)) as results:
        for length, chunk in results:
            if chunk.odd and chunk.odd[1][:2] != shape[:2]:
                raise _unequal(source, first, shape, *chunk.odd)
            if chunk.odd:
                return None
            sink.write(chunk.pixels)
            outcome.bad += [(start + k, name, reason) for k, name, reason in chunk.bad]
            outcome.changed += chunk.changed
            start += length
            progress.advance(length)
    return outcome


def _listed(bad: list[tuple[int, str, str]]) -> str:
    return ", ".join(name for _, name, _ in bad[:3]) + (" ..." if len(bad) > 3 else "")


def _corrupt(source: str, bad: list[tuple[int, str, str]], n: int) -> InputError:
    return InputError(
        f"{source}: {len(bad)} of {n} pictures cannot be decoded ({_listed(bad)}; the first: {bad[0][2]}): "
        "replace them, or leave them out with skip_corrupt=True (--skip-corrupt)"
    )


def _unequal(source: str, first: str, shape: Shape, odd: str, odd_shape: Shape) -> InputError:
    return InputError(
        f"{source}: pictures differ in size ({first} is {shape[1]}x{shape[0]}, {odd} is "
        f"{odd_shape[1]}x{odd_shape[0]}, width x height): size=(height, width) (--size) resizes them all"
    )


def _first_good(
    source: str, names: Sequence[str], read: Callable[[str], bytes], size: tuple[int, int] | None
) -> tuple[str, Shape]:
    """Name and shape of the first picture that can be decoded: the others must agree with it."""
    reason = ""
    for name in names:
        try:
            pixels, _ = _open(name, read(name), size)
        except _Unreadable as error:
            reason = reason or str(error)
            continue
        return name, (*pixels.shape[:2], 1 if pixels.ndim == 2 else 3)
    raise InputError(f"{source}: none of its {len(names)} pictures can be decoded ({names[0]}: {reason})")


def _chunks(names: Sequence[str], read: Callable[[str], bytes], n_features: int) -> Iterator[list[Named]]:
    most = max(1, min(_CHUNK, _CHUNK_BYTES // n_features))
    chunk: list[Named] = []
    size = 0
    for name in names:
        content = read(name)
        chunk.append((name, content))
        size += len(content)
        if len(chunk) >= most or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _decoded_chunks(
    chunks: Iterable[list[Named]], shape: Shape, size: tuple[int, int] | None, parallel: bool
) -> Generator[tuple[int, _Chunk], None, None]:
    """The decoded chunks in order, with the number of pictures each was made from."""
    from joblib import cpu_count

    workers = min(cpu_count(), 8)
    if not parallel or workers < 2:
        for chunk in chunks:
            yield len(chunk), _decode_chunk(chunk, shape, size)
        return
    # Unlike the standard pool, loky's needs no `if __name__ == "__main__"` guard in the user's script.
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=workers)
    waiting: deque[tuple[int, Any]] = deque()
    try:
        for chunk in chunks:
            waiting.append((len(chunk), pool.submit(_decode_chunk, chunk, shape, size)))
            if len(waiting) > 2 * workers:
                length, task = waiting.popleft()
                yield length, task.result()
        while waiting:
            length, task = waiting.popleft()
            yield length, task.result()
    finally:  # also on Ctrl-C and when the caller stops early
        pool.shutdown(wait=True, kill_workers=bool(waiting))


class _Unreadable(Exception):
    """A picture that cannot be decoded."""


def _decode_chunk(chunk: list[Named], shape: Shape, size: tuple[int, int] | None) -> _Chunk:
    height, width, channels = shape
    out = np.empty((len(chunk), channels, height * width), np.uint8)
    done, result = 0, _Chunk()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd but readable metadata
        for k, (name, content) in enumerate(chunk):
            try:
                pixels, change = _open(name, content, size)
            except _Unreadable as error:
                result.bad.append((k, name, str(error)))
                continue
            grey = pixels.ndim == 2
            if pixels.shape[:2] != (height, width) or (channels == 1 and not grey):
                result.odd = name, (*pixels.shape[:2], 1 if grey else 3)
                break
            out[done] = pixels.reshape(-1) if grey else pixels.reshape(-1, 3).T  # a grey one fills all planes
            if change:
                result.changed[change] += 1
            done += 1
    result.pixels = out[:done].reshape(done, -1)
    return result


def _open(name: str, content: bytes, size: tuple[int, int] | None) -> tuple[npt.NDArray[np.uint8], str]:
    """One picture as (height, width) or (height, width, 3) pixels, and what had to be converted."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise InputError(
                    f"{name} has {picture.width}x{picture.height} pixels: refused as absurdly large "
                    f"(over {_MAX_PIXELS // 10**6} million)"
                )
            if size:
                picture.draft(None, (size[1], size[0]))  # JPEG decodes straight to a smaller scale
            upright: Picture = picture
            if "exif" in picture.info:
                upright = ImageOps.exif_transpose(picture)
            plain, change = _to_grey_or_rgb(upright)
            if size and plain.size != (size[1], size[0]):
                plain = plain.resize((size[1], size[0]), Image.Resampling.LANCZOS)
            return np.asarray(plain), change
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _Unreadable("it is in no known picture format") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on malformed bytes
        raise _Unreadable(str(error).replace("\n", " ")) from None


def _to_grey_or_rgb(picture: Picture) -> tuple[Picture, str]:
    from PIL import Image

    mode = picture.mode
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture, ""
    if mode.startswith("I"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)), "of 16 bits were reduced to 8"
    if mode == "F":
        raise _Unreadable("its pixels are floating-point numbers; save it as PNG or JPEG")
    if mode == "1":
        return picture.convert("L"), ""
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        full = picture.convert("RGBA")
        page = Image.new("RGBA", full.size, "white")
        flat = Image.alpha_composite(page, full).convert("RGB")
        return (
            flat.convert("L") if mode in ("L", "LA", "La") else flat
        ), "with transparency were laid on white"
    flat = picture.convert("RGB")
    if mode == "P":
        planes = np.asarray(flat)
        if (planes == planes[:, :, :1]).all():
            return flat.convert("L"), ""  # a grey palette
    return flat, "" if mode == "P" else f"of colour mode {mode} were converted to RGB"
