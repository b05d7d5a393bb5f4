"""Checks of single images: uniform, too dark, too light, without contrast, blurred, grey stored as colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from glassnet.data.checks.evidence import Evidence
from glassnet.data.checks.rule import Rule
from glassnet.findings import Finding, Severity, counted, finding

__all__ = [
    "blurred_images",
    "dark_images",
    "grayscale_images",
    "light_images",
    "low_contrast_images",
    "uniform_images",
]

_NO_IMAGES = "the rows are not images"
_MANY = 0.01  # share of images from which a fault is no curiosity any more
_CLEANVISION = "CleanVision (Cleanlab 2023)"


def _verdict(rule: Rule, bad: npt.NDArray[np.bool_], what: str, order: npt.NDArray[np.float32]) -> Finding:
    """The finding on images that share a fault, the worst (smallest `order`) first."""
    rows = np.flatnonzero(bad)
    share = len(rows) / len(bad)
    if not len(rows):
        return rule.ok(f"no image is {what}", 0.0)
    rows = rows[np.argsort(order[rows], kind="stable")]
    severity = Severity.WARNING if share > (rule.threshold or 0) else Severity.INFO
    said = f"{counted(len(rows), 'image is', 'images are')} {what} ({share:.2%})"
    return rule.found(severity, said, rows, value=share)


UNIFORM = Rule(
    "uniform-images",
    "images with one grey level only (standard deviation 0)",
    "drop them: they are empty, or were lost when the file was made",
    threshold=_MANY,
)


@finding("data", UNIFORM.name)
def uniform_images(e: Evidence) -> Finding:
    if e.is_table:
        return UNIFORM.skipped(_NO_IMAGES)
    return _verdict(UNIFORM, e.image_property("contrast") < 0.5, "uniform", e.image_property("contrast"))


DARK = Rule(
    "dark-images",
    "99th percentile of brightness below 0.32 of the full range",
    "look at them; drop those in which nothing can be seen",
    threshold=_MANY,
    source=_CLEANVISION,
)


@finding("data", DARK.name)
def dark_images(e: Evidence) -> Finding:
    if e.is_table:
        return DARK.skipped(_NO_IMAGES)
    bright = e.image_property("bright")
    return _verdict(DARK, bright < 0.32 * 255, "dark", bright)


LIGHT = Rule(
    "light-images",
    "5th percentile of brightness above 0.95 of the full range",
    "look at them; drop those in which nothing can be seen",
    threshold=_MANY,
    source=_CLEANVISION,
)


@finding("data", LIGHT.name)
def light_images(e: Evidence) -> Finding:
    if e.is_table:
        return LIGHT.skipped(_NO_IMAGES)
    dark = e.image_property("dark")
    return _verdict(LIGHT, dark > 0.95 * 255, "light", -dark)


CONTRAST = Rule(
    "low-contrast-images",
    "1st to 99th percentile of brightness spans less than 0.05 of the full range (uniform images aside)",
    "stretch each image's contrast, or drop these images",
    threshold=_MANY,
    source="scikit-image, exposure.is_low_contrast",
)


@finding("data", CONTRAST.name)
def low_contrast_images(e: Evidence) -> Finding:
    if e.is_table:
        return CONTRAST.skipped(_NO_IMAGES)
    spans = e.image_property("bright") - e.image_property("darkest")
    low = (spans < 0.05 * 255) & (e.image_property("contrast") >= 0.5)
    return _verdict(CONTRAST, low, "without contrast", spans)


BLUR = Rule(
    "blurred-images",
    "variance of the Laplacian below 0.04 of the image's own variance (images without contrast aside)",
    "drop them, or blur some training images too",
    threshold=_MANY,
    source="Pech-Pacheco et al. 2000, made relative to the contrast: a Gaussian blur of 2 pixels brings 90 % "
    "of CIFAR-10's images below the threshold, where 1 in 10,000 lies without",
)


@finding("data", BLUR.name)
def blurred_images(e: Evidence) -> Finding:
    if e.is_table:
        return BLUR.skipped(_NO_IMAGES)
    assert e.image is not None
    if min(e.image.height, e.image.width) < 16:
        return BLUR.skipped("images under 16 x 16 pixels have no fine detail to lose")
    sharpness = e.image_property("sharpness")
    contrast = e.image_property("contrast")
    blurred = (contrast >= 0.05 * 255) & (sharpness < 0.04 * contrast**2)
    return _verdict(BLUR, blurred, "blurred", sharpness)


GREY = Rule(
    "grayscale-images",
    "images of several channels whose channels differ by at most 2 levels in every pixel",
    "if all are grey, store one channel: a third of the inputs; if some are, colour may tell their class",
    threshold=0.05,
    source=_CLEANVISION,
)


@finding("data", GREY.name)
def grayscale_images(e: Evidence) -> Finding:
    if e.is_table:
        return GREY.skipped(_NO_IMAGES)
    assert e.image is not None
    if e.image.channels < 3:
        return GREY.skipped("the images have no colour channels")
    colour = e.image_property("colour")
    grey = colour <= 2
    if grey.all():
        return GREY.found(
            Severity.INFO, f"all {e.n:,} images are grey, stored in {e.image.channels} channels", value=1.0,
            n_affected=e.n,
        )  # fmt: skip
    return _verdict(GREY, grey, "grey among colour images", colour)
