"""The report as a reader's browser shows it: a real headless Chromium, cut off from every network."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet.lab.results import DataSummary, Part, Run
from glassnet.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt-get install chromium")

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-dev-shm-usage", "--remote-debugging-pipe", "about:blank",
]  # fmt: skip


class Page:
    """One page of a Chromium that is told what to do through two pipes (the DevTools protocol)."""

    def __init__(self, home: Path) -> None:
        # The browser reads commands from descriptor 3 and writes to 4; ours are moved out of their way.
        pipes = [*os.pipe(), *os.pipe()]
        theirs_in, self._to, mine, theirs_out = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in pipes)
        for fd in pipes:
            os.close(fd)

        def connect() -> None:
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [CHROMIUM, f"--user-data-dir={home}", *FLAGS],
            preexec_fn=connect, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._reader = os.fdopen(mine, "rb")
        self._number, self._session = 0, ""
        self._rest = b""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        # A page of our own: the browser's list of targets also has its own windows, in any order.
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        os.close(self._to)
        self._reader.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._reader.read1(1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":  # violations of the content security policy too
            self.complaints.append(str(params["entry"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(params["args"]))

    def ask(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screen(self, width: int, height: int = 900, *, dark: bool = False, touch: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, file: Path) -> None:
        """Load a page and wait until its script says that the figures are drawn (or that they are not)."""
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=file.as_uri())
        state = f"location.href === {file.as_uri()!r} && document.documentElement?.dataset.figures"
        deadline = time.monotonic() + 60
        while not self.ask(state):
            assert time.monotonic() < deadline, f"the figures were not drawn in 60 s: {self.complaints}"
            time.sleep(0.02)

    def picture(self, file: Path) -> None:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        made = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(made["data"])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    opened = Page(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def report(study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def short_report(study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One part only: what is asked of every figure can be asked of few."""
    return write_report(
        replace(study, parts=study.parts[:1]), tmp_path_factory.mktemp("short") / "report.html"
    )


def assert_complete(page: Page, file: Path) -> None:
    """Every figure is drawn, nothing was complained about, nothing was asked of anyone."""
    assert page.ask("document.documentElement.dataset.figures") == "drawn"
    drawn, wanted = page.ask(
        "[[...document.querySelectorAll('.plot')].filter(p => p.querySelector('.js-line, .point, .hm image'))"
        ".length, document.querySelectorAll('script[data-plot]').length]"
    )
    assert drawn == wanted
    assert page.complaints == []
    assert {url for url in page.requests if not url.startswith("data:")} == {file.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_figures_are_drawn_without_a_complaint_or_a_request(
    page: Page, report: Path, scheme: str
) -> None:
    page.screen(1280, dark=scheme == "dark")
    page.open(report)
    assert_complete(page, report)
    assert page.ask("document.querySelectorAll('.plot').length") == 17
    # The same run has the same colour in the figures as in the tables beside them.
    dot, line = page.ask(
        "[getComputedStyle(document.querySelector('#part-4 .dot')).backgroundColor,"
        " document.querySelector('#part-4-comparison-1-loss .scatterlayer .js-line').style.stroke]"
    )
    assert dot == line


def test_a_reader_without_javascript_still_has_every_figure_in_words(page: Page, report: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.call("Page.navigate", url=report.as_uri())
        deadline = time.monotonic() + 30
        while not (words := page.ask("document.querySelector('footer') && [...document.querySelectorAll"
                                     "('.plot p')].map(p => p.innerText.length)")):  # fmt: skip
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(words) == 17
    assert min(words) > 40


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_never_scrolls_sideways(page: Page, report: Path, width: int) -> None:
    page.screen(width, 844, touch=True)
    page.open(report)
    assert_complete(page, report)
    assert page.ask("document.documentElement.scrollWidth") == width
    wide = page.ask(
        "[...document.querySelectorAll('.plot')].filter(p => p.clientWidth > innerWidth ||"
        " p.clientWidth + 1 < p.querySelector('.main-svg').getBoundingClientRect().width).map(p => p.id)"
    )
    assert wide == []


def test_figures_follow_the_width_of_the_window(page: Page, short_report: Path) -> None:
    page.screen(1280)
    page.open(short_report)
    width = "document.querySelector('#distribution .main-svg').getBoundingClientRect().width"
    before = page.ask(width)
    page.screen(500)
    deadline = time.monotonic() + 20
    while page.ask(width) == before:
        assert time.monotonic() < deadline, "the figure kept its width"
        time.sleep(0.05)
    assert page.ask(f"{width} <= document.querySelector('#distribution').clientWidth")


def test_paper_gets_light_colours_and_every_fold_open(page: Page, short_report: Path) -> None:
    page.screen(1280, dark=True)
    page.open(short_report)
    on_screen, during, after = page.ask(
        "(() => { const look = () => [document.querySelector('#distribution .legendtext').style.fill,"
        " document.querySelectorAll('details:not([open])').length];"
        " const seen = [look()]; dispatchEvent(new Event('beforeprint')); seen.push(look());"
        " dispatchEvent(new Event('afterprint')); seen.push(look()); return seen; })()"
    )
    assert during == ["rgb(27, 32, 38)", 0]
    assert on_screen == after
    assert on_screen[0] != during[0]
    assert on_screen[1] > 0
    assert page.pdf().startswith(b"%PDF")


def test_hostile_names_do_nothing(page: Page, make, tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    names = (evil, "<b>cat</b>", "%{z} & $x$", "'\"`")
    study = make.study(names)
    three = replace(study.parts[1], story=evil, scores_of=evil)
    file = write_report(
        replace(study, title=evil, summary=evil, parts=(study.parts[0], three)), tmp_path / "r.html"
    )
    page.screen(1280)
    page.open(file)
    assert_complete(page, file)
    assert page.ask("window.hit === undefined && document.title.startsWith('</script><img')")
    assert page.ask("document.querySelectorAll('img[onerror]').length") == 0
    shown = page.ask(
        "[...document.querySelectorAll('#part-3-confusion .xtick text')].map(t => t.textContent)"
    )
    assert shown[1:] == ["<b>cat</b>", "%{z} & $x$", "'\"`"]


def test_a_hundred_classes_are_drawn_in_a_file_that_is_still_light(page: Page, make, tmp_path: Path) -> None:
    study = make.study(tuple(f"class {i}" for i in range(100)))
    file = write_report(study, tmp_path / "r.html")
    assert file.stat().st_size < 6e6
    page.screen(390, 844, touch=True)
    page.open(file)
    assert_complete(page, file)
    assert page.ask("document.documentElement.scrollWidth") == 390


def test_odd_studies_are_drawn(page: Page, make, study, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = DataSummary(
        "houses", "houses.csv", 100, 1, "float64", ("a", "b", "c"), {"train": (5, 0, 5)}, "", (),
        distribution={"edges": np.linspace(-5, 5, 65), "price": np.full(64, 0.1)},
        quantiles=np.arange(5.0).reshape(5, 1),
    )  # fmt: skip
    lost = Run("lost", {}, {"epoch": [1.0], "loss": [float("nan")]}, seconds=0.1, diverged="layer 1, step 1")
    single = make.run(rng, "one epoch", 1, 2.0, 1.0)
    many = tuple(make.run(rng, f"run {i}", 30, 2.0, 1.0) for i in range(12))
    part = Part("p", "Odd", "", (lost, single, *many), scores=make.scores(rng, ("a", "b", "c"), 50, absent=1))
    file = write_report(replace(study, data=table, parts=(part,)), tmp_path / "r.html")
    page.screen(390, 844, touch=True)
    page.open(file)
    assert_complete(page, file)
    assert page.ask("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize(
    "tampering", ['<img src="http://glassnet.invalid/x.png" alt="">', "<script>window.hit = 1</script>"]
)
def test_what_does_not_belong_to_the_page_is_stopped_and_noticed(
    page: Page, short_report: Path, tmp_path: Path, tampering: str
) -> None:
    file = tmp_path / "r.html"
    file.write_text(short_report.read_text().replace("<footer>", f"{tampering}<footer>"))
    page.screen(1280)
    page.open(file)
    assert len(page.complaints) == 1
    assert "Content Security Policy" in page.complaints[0]
    assert page.ask("window.hit === undefined")
