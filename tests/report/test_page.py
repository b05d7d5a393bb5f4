"""The file itself: complete, escaped, true to its numbers, written whole or not at all."""

from __future__ import annotations

import html.parser
import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glassnet.errors import InputError
from glassnet.lab.results import Comparison, DataSummary, Part, Run, Study
from glassnet.report import study_json, write_report
from glassnet.report.numbers import figure
from glassnet.report.page import render
from glassnet.report.pictures import png_address

NAN = float("nan")


class Reading(html.parser.HTMLParser):
    """What a careful reader notes of a page: ids, links, tables and their captions, pictures, cells."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.unnamed: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        self.links += [given[k] for k in ("href", "src", "action", "data") if k in given]
        named = given.get("alt") is not None or given.get("aria-label") or given.get("aria-labelledby")
        if (
            tag == "img" or given.get("role") in ("img", "region") or tag in ("nav", "section")
        ) and not named:
            self.unnamed.append(self.get_starttag_text())
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> does not close what is open"

    def handle_data(self, data):
        if {"script", "style"} & set(self._open[-1:]):
            return
        self.text += data + "\n"
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        return next([" ".join(c.split()) for c in r] for r in self.rows if r and r[0].strip() == first)


def empty_study(**changes) -> Study:
    data = DataSummary("nothing", "", 0, 0, "float64", (), {}, "", ())
    return replace(Study("Empty", "", data, (), {}, seconds=NAN), **changes)


@pytest.fixture(scope="module")
def page(study) -> str:
    return render(study)


def test_the_page_is_complete_sound_and_asks_for_nothing(page):
    seen = Reading(page)
    assert page.startswith("<!doctype html>")
    assert len(seen.ids) == len(set(seen.ids))
    assert seen.unnamed == []
    inside, outside = [], []
    for link in seen.links:
        (inside if link.startswith("#") else outside).append(link)
    assert {link[1:] for link in inside} <= set(seen.ids)
    assert all(link.startswith("data:") for link in outside)
    assert "default-src 'none'" in page
    assert {"h1", "h2", "h3", "h4", "nav", "main", "caption", "figcaption"} <= set(seen.tags)
    assert seen.tags.count("h1") == 1


def test_the_page_is_light(page, study):
    assert len(page.encode()) < 3e6
    figures = re.findall(r'<script type="application/json" data-plot="[^"]+">(.*?)</script>', page)
    assert len(figures) == 17
    assert max(map(len, figures)) < 120_000
    assert sum(map(len, figures)) < 600_000


def test_the_same_study_gives_the_same_page(page, study):
    assert render(study) == page


def test_the_tables_say_what_the_study_says(page, study):
    seen = Reading(page)
    one, three, four = study.parts
    decided = one.binary.decisions[1]
    assert seen.row("best F1 on validation") == [
        "best F1 on validation", figure(decided.threshold), *(f"{n:,}" for n in decided.counts.values()),
        figure(decided.scores.precision[1]), figure(decided.scores.recall[1]), figure(decided.scores.f1[1]),
        figure(decided.scores.balanced_accuracy), figure(decided.scores.accuracy),
    ]  # fmt: skip
    assert seen.row("Average precision (area under the curve)")[1:] == [
        figure(one.binary.average_precision), figure(one.binary.prevalence),
    ]  # fmt: skip
    cat = next(r for r in seen.rows if r[0] == "cat" and len(r) == 5)
    i = three.scores.class_names.index("cat")
    assert cat[1:] == [
        figure(three.scores.precision[i]), figure(three.scores.recall[i]), figure(three.scores.f1[i]),
        f"{three.scores.support[i]:,}",
    ]  # fmt: skip
    history = four.runs[0].history
    assert seen.row("ReLU + SGD")[0] == "ReLU + SGD"
    ends = next(r for r in seen.rows if r and r[0].strip() == "ReLU + SGD" and len(r) == 9)
    assert ends[1:5] == [figure(history[k][-1]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")]
    best = int(np.argmax(history["val_accuracy"]))
    assert ends[6] == f"{figure(history['val_accuracy'][best])} at {best + 1}"
    assert seen.row("accuracy")[1:3] == ["0.4240", "0.2000"]


def test_findings_come_worst_first_and_fold_out_what_they_mean(page):
    found = [
        r[1]
        for r in Reading(page).rows
        if r and r[0].strip() in ("error", "warning", "info", "ok", "skipped")
    ]
    assert found[:7] == [
        "near-duplicates", "order-dependence", "outliers", "groups", "dtype-and-range", "missing-values",
        "class-balance",
    ]  # fmt: skip
    text = " ".join(Reading(page).text.split())
    for word in (
        "8 × 8 average hash at most 3 bits apart",
        "split by groups",
        "Threshold 0.0010",
        "17, 34, 51",
    ):
        assert word in text


def test_diverged_and_interrupted_runs_say_so(page):
    text = " ".join(Reading(page).text.split())
    assert "Interrupted. This study was stopped before its end" in text
    assert (
        "ReLU + Adam diverged : layer 1, step 6,251, matrix product. Its figures after that point mean"
        in text
    )
    assert "sigmoid + Adam was interrupted : its" in text
    ends = [r for r in Reading(page).rows if r and r[0].startswith("ReLU + Adam diverged") and len(r) == 9]
    assert [r[1:5] for r in ends] == [["–"] * 4] * 2  # never its last finite values
    assert "nan" not in text.lower().split()


def test_names_from_outside_are_text_and_never_markup(make):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    study = make.study((evil, '" onload="x', "{{ 7 * 7 }}"))
    study = replace(
        study, title=evil, summary=evil, environment={evil: evil},
        data=replace(study.data, name=evil, source=f"/tmp/{evil}"),
        parts=tuple(
            replace(part, title=evil, runs=tuple(replace(run, note=evil) for run in part.runs))
            for part in study.parts
        ),
    )  # fmt: skip
    page = render(study)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    seen = Reading(page)
    assert seen.text.count(evil) > 10
    assert "{{ 7 * 7 }}" in seen.text
    assert "49" not in re.findall(r"<th scope=\"row\">([^<]*)</th>", page)


def test_an_empty_study_still_makes_a_page():
    text = Reading(render(empty_study())).text
    assert "No check was run." in text


def test_parts_without_results_say_so(make):
    part = Part("p", "Nothing finished", "", (), comparisons=(Comparison("a or b?", ("a", "b"), "All."),))
    text = Reading(render(empty_study(parts=(part,)))).text
    assert "No run of this part was finished." in text
    assert "No run of this comparison was finished." in text


@pytest.mark.parametrize("history", [{}, {"epoch": [], "loss": []}, {"epoch": [1.0], "loss": [NAN]}])
def test_a_run_that_diverged_at_once_has_no_curve_but_a_word(history):
    run = Run("lost", {"lr": 10.0}, history, seconds=0.1, diverged="layer 1, step 1")
    seen = Reading(render(empty_study(parts=(Part("p", "Part", "", (run,)),))))
    assert "lost diverged :" in " ".join(seen.text.split())
    assert seen.row("lost diverged")[1:5] == ["–"] * 4


def test_a_class_without_rows_is_named_and_shows_no_picture(make):
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    data = make.data(rng, names, side=8)
    data = replace(data, counts={"train": (10, 0, 10), "validation": (5, 0, 5)})
    part = Part("p", "Part", "", (), scores=make.scores(rng, names, 100, absent=1))
    page = render(empty_study(data=data, parts=(part,)))
    rows = [r for r in Reading(page).rows if r and r[0] == "b"]
    assert rows[0][1:3] == ["none", "none"]
    assert rows[1][2] == "no rows"
    assert page.count('alt="mean image of a"') == 1
    assert 'alt="mean image of b"' not in page


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_are_small_pngs_of_any_number_of_channels(channels):
    address = png_address(np.full((200, 100, channels), 7, np.uint8))
    assert address.startswith("data:image/png;base64,")
    assert len(address) < 2000


def test_tables_and_regression_have_no_pictures_and_no_classes():
    data = DataSummary(
        "houses", "houses.csv", 100, 3, "float64", (), {}, "mean 0, standard deviation 1", (),
        distribution={"edges": np.linspace(-5, 5, 65), "price <&>": np.full(64, 0.1)},
        quantiles=np.arange(15.0).reshape(5, 3),
    )  # fmt: skip
    run = Run("mlp", {}, {"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "val_loss": [2.0, NAN]}, seconds=1.0)
    page = render(empty_study(data=data, parts=(Part("p", "Part", "", (run,)),)))
    seen = Reading(page)
    assert "none (regression)" in seen.text
    assert page.count("data-plot=") == 3
    assert seen.row("mlp")[1:5] == ["1.0000", "–", "2.0000", "–"]


# Writing


def test_the_file_appears_whole_with_ordinary_permissions(study, page, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write_report(study, str(target)) == target
    assert target.read_text(encoding="utf-8") == page
    assert os.listdir(tmp_path) == ["report.html"]
    (beside := tmp_path / "plain").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/report.html", r"no folder .*missing; create it first$"),
        ("folder", r"it is a folder; give the name of a file in it$"),
        ("x" * 300 + ".html", r"File name too long; choose another path$"),
    ],
)
def test_a_path_that_cannot_be_written_is_one_clear_line(tmp_path, path, message):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        write_report(empty_study(), tmp_path / path)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_one_clear_line(tmp_path):
    (closed := tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(InputError, match="Permission denied"):
        write_report(empty_study(), closed / "report.html")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_report_and_no_scrap(tmp_path, monkeypatch, failure):
    target = tmp_path / "report.html"
    target.write_text("old")
    write_text = Path.write_text

    def half(self, data, **options):
        write_text(self, data[:1000], **options)
        raise failure

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_report(empty_study(), target)
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


# Plain JSON


def test_study_json_holds_every_number_and_no_nan(study):
    plain = json.loads(json.dumps(study_json(study), allow_nan=False))
    four = plain["parts"][2]
    assert four["runs"][3]["history"]["loss"][-1] is None
    assert four["runs"][0]["history"]["loss"] == study.parts[2].runs[0].history["loss"]
    assert four["scores"]["confusion"] == study.parts[2].scores.confusion.tolist()
    assert (
        plain["parts"][0]["binary"]["decisions"][1]["threshold"]
        == study.parts[0].binary.decisions[1].threshold
    )
    assert plain["parts"][0]["references"][1]["theirs"] is None
    assert plain["data"]["findings"][4]["severity"] == "warning"
    assert len(plain["data"]["quantiles"]) == 5
    assert {"samples", "mean_images", "std_images"} & set(plain["data"]) == set()
    assert set(plain) == {"title", "summary", "data", "parts", "environment", "seconds", "interrupted"}
