"""The rules of the house: who may import whom, how long a module may be, what every module must have.

Each rule is read from the source with `ast`; imports inside functions count as much as those on top.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "glassnet"

# place: (floor, places on the same floor it may import, third-party packages it may import).
# Every place may import every place on a lower floor.
HOUSE: dict[str, tuple[int, str, str]] = {
    "errors": (0, "", ""),
    "findings": (0, "", ""),
    "progress": (0, "", ""),
    "seeds": (0, "errors", "numpy"),
    "bar": (1, "", "rich"),
    "kernels": (1, "", "numpy numba llvmlite threadpoolctl"),
    "data": (1, "kernels", "numpy numba llvmlite scipy sklearn joblib polars PIL pooch platformdirs"),
    "evaluate": (1, "", "numpy scipy sklearn"),
    "nn": (2, "", "numpy scipy safetensors"),
    "train": (3, "", "numpy scipy safetensors threadpoolctl"),
    "estimators": (4, "", "numpy scipy sklearn"),
    "lab": (
        4,
        "",
        "numpy scipy sklearn joblib threadpoolctl pydantic tomli_w polars distributed tensorboardX",
    ),
    "diagnose": (5, "", "numpy scipy"),
    "report": (6, "", "numpy jinja2 plotly PIL"),
    "cli": (7, "", "typer rich"),
    "__main__": (8, "", ""),
    "__init__": (8, "", ""),
}
LINES = 400
LINES_OF = {"train/fit.py": 200, "nn/network.py": 200}
LINES_OF_FIT = 60
VAGUE_NAMES = re.compile(r"util|helper|manager|misc|common")

MODULES = sorted(SRC.rglob("*.py"))
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))


def place_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Full dotted names of what a module imports, anywhere in it; `from a import b` gives "a.b"."""
    package = ["glassnet", *path.relative_to(SRC).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), name.name]) for name in node.names)


def broken_rules(path: Path) -> list[str]:
    place = place_of(path)
    floor, neighbours, third_party = HOUSE[place]
    broken = []
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top == "glassnet":
            target = rest[0] if rest and rest[0] in HOUSE else "__init__"
            allowed = (
                target == place
                or target in neighbours.split()
                or HOUSE[target][0] < floor
                or rest == ["__version__"]
            )
        else:
            allowed = top in sys.stdlib_module_names or top in third_party.split()
        if not allowed:
            broken.append(f"{path.relative_to(ROOT)} imports {name}")
    return broken


@every_module
def test_a_floor_imports_only_floors_below_it(path: Path) -> None:
    assert place_of(path) in HOUSE, f"{path} is on no floor: give it a line in the table above"
    assert broken_rules(path) == []


def test_the_import_rule_sees_upward_relative_and_hidden_imports(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(f"{__name__}.SRC", tmp_path)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "nn").mkdir()
    bad = tmp_path / "nn" / "layers.py"
    bad.write_text(
        "from glassnet.train import fit\nfrom glassnet.kernels import reference\nfrom ..data import read\n"
        "from . import losses\ndef f():\n    import plotly.graph_objects\n    from ..report import figures\n"
    )
    assert broken_rules(bad) == [
        "nn/layers.py imports glassnet.train.fit",
        "nn/layers.py imports plotly.graph_objects",
        "nn/layers.py imports glassnet.report.figures",
    ]


@every_module
def test_no_module_is_longer_than_its_budget(path: Path) -> None:
    budget = LINES_OF.get(path.relative_to(SRC).as_posix(), LINES)
    assert len(path.read_text().splitlines()) <= budget


def test_the_fit_loop_fits_on_one_screen() -> None:
    tree = ast.parse((SRC / "train" / "fit.py").read_text())
    fit = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "fit")
    first, last = fit.body[1], fit.body[-1]  # the docstring apart
    assert last.end_lineno is not None
    assert last.end_lineno - first.lineno + 1 < LINES_OF_FIT


@every_module
def test_names_of_files_say_what_is_in_them(path: Path) -> None:
    assert not VAGUE_NAMES.search(path.relative_to(SRC).as_posix())


@every_module
def test_every_public_module_says_what_it_is_and_lists_its_names(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "a module begins with one sentence on its subject"
    if path.name == "__main__.py" or (path.name == "__init__.py" and len(tree.body) == 1):
        return
    dotted = ".".join(["glassnet", *path.relative_to(SRC).with_suffix("").parts]).removesuffix(".__init__")
    module = importlib.import_module(dotted)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[^\w.-]", r)[0].lower().replace("_", "-") for r in requirements}
    distributions = packages_distributions()
    imported = {name.split(".")[0] for path in MODULES for name in imports_of(path)}
    third_party = imported - set(sys.stdlib_module_names) - {"glassnet"}
    undeclared = {
        name for name in third_party
        if not declared & {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
    }  # fmt: skip
    assert undeclared == set()


def test_changelog_and_citation_are_of_this_version() -> None:
    from glassnet import __version__

    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(h for h in headings if h != "Unreleased") == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_make_knows_the_commands_of_the_readme() -> None:
    said = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= said <= known


# What costs more than a few milliseconds, and so is imported only where it is used.
HEAVY = {"numba", "sklearn", "scipy", "polars", "plotly", "PIL", "pydantic", "joblib", "rich", "pooch"}


def run_python(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("code", "too_heavy"),
    [
        ("import glassnet", HEAVY | {"numpy"}),
        ("import glassnet.cli", HEAVY | {"numpy"}),
        ("from glassnet.cli import main; main(['--help'])", HEAVY | {"numpy"}),
        # typer reads numbers with pydantic
        ("from glassnet.cli import main; main(['run', 'coursework', '--help'])", HEAVY - {"pydantic"}),
    ],
)
def test_what_starts_often_starts_light(code: str, too_heavy: set[str]) -> None:
    printed = run_python(
        f"import contextlib, io, json, sys\nwith contextlib.redirect_stdout(io.StringIO()):\n    {code}\n"
        "print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    assert set(json.loads(printed)) & too_heavy == set()


def test_importing_everything_public_prints_nothing() -> None:
    assert run_python("import glassnet; [getattr(glassnet, name) for name in glassnet.__all__]") == ""


def test_it_imports_and_trains_where_there_is_no_network() -> None:
    printed = run_python(
        """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("somebody asked for the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import glassnet as gn
for name in gn.__all__:
    getattr(gn, name)
digits = gn.read("digits", cache=False)
net = gn.Network([gn.Dense(8, "relu"), gn.Dense(10)], n_inputs=64)
history = gn.fit(net, gn.Feed(net, digits.X, digits.y, scaling=gn.fit_scaling(digits.X, "unit")), epochs=2)
print(history["loss"][1] < history["loss"][0])
"""
    )
    assert printed == "True\n"


def test_the_public_names_are_where_the_package_says() -> None:
    import glassnet

    for_type_checkers = {name for name in imports_of(SRC / "__init__.py") if name.startswith("glassnet.")}
    assert for_type_checkers == {f"{home}.{name}" for name, home in glassnet._HOME.items()}
    assert set(glassnet.__all__) <= set(dir(glassnet))
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        _ = glassnet.nothing_of_the_kind
