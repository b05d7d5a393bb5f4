"""Plans as files: errors name line, field, allowed values and nearest match; some come with the package."""

from __future__ import annotations

import difflib
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from glassnet.errors import InputError
from glassnet.lab.spec import Arm, Experiment, TuneSpec

__all__ = ["built_in", "load_experiment", "new_plan", "parse_experiment", "plan_text"]


def built_in() -> dict[str, str]:
    """The plans that come with the package: name -> text of the file.

    >>> sorted(built_in())[:2]
    ['activations', 'batch-sizes']
    """
    folder = files("glassnet.lab").joinpath("experiments")
    plans = sorted((p for p in folder.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    return {plan.name.removesuffix(".toml"): plan.read_text(encoding="utf-8") for plan in plans}


def load_experiment(plan: str | Path) -> Experiment:
    """The experiment of a TOML file, or of the built-in plan of that name.

    Raises
    ------
    InputError : no such file or plan; else file, line, field, what is wrong, what is allowed
    """
    path = Path(plan)
    if path.suffix == ".toml" or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"there is no plan {str(path)!r}: `glassnet new NAME` writes one") from None
        except UnicodeDecodeError:
            raise InputError(f"{path} is no text in UTF-8, so it is no plan in TOML") from None
        except OSError as error:
            raise InputError(f"cannot read the plan {path}: {error.strerror}") from None
        return parse_experiment(text, str(path))
    known = built_in()
    if str(plan) not in known:
        near = difflib.get_close_matches(str(plan), known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise InputError(f"no file and no built-in plan {str(plan)!r}{hint} (built in: {', '.join(known)})")
    return parse_experiment(known[str(plan)], f"{plan}.toml")


def parse_experiment(text: str, name: str = "the plan") -> Experiment:
    """The experiment that a TOML text describes; `name` stands in front of errors.

    >>> parse_experiment('title = "t"\\nmetrik = "f1"\\n[data]\\nsource = "digits"', "my.toml")
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: my.toml, line 2: unknown setting 'metrik': did you mean 'metric'? ...
    """
    from pydantic import ValidationError

    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not TOML: {error}") from None
    try:
        return Experiment.model_validate(plain)
    except ValidationError as error:
        told = {_place(e): _told(name, text, e) for e in error.errors()}  # of a union the last word counts
        raise InputError("; ".join(list(told.values())[:3])) from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def new_plan(name: str, target: Path, *, like: str = "activations") -> Path:
    """Write a plan to edit, a copy of a built-in one, and return where; nothing is overwritten."""
    known = built_in()
    if like not in known:
        raise InputError(f"no built-in plan {like!r} (built in: {', '.join(known)})")
    if target.exists():
        raise InputError(f"{target} exists: choose another name, or remove it first")
    text = re.sub(r'^title = ".*"$', lambda _: f"title = {_quoted(name)}", known[like], count=1, flags=re.M)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from None
    return target


def plan_text(experiment: Experiment) -> str:
    """The whole plan in TOML, every setting spelt out."""
    import tomli_w

    return tomli_w.dumps(experiment.model_dump(mode="json", exclude_none=True))


def _quoted(text: str) -> str:
    import tomli_w

    return tomli_w.dumps({"t": text}).removeprefix("t = ").rstrip()


def _told(name: str, text: str, error: Any) -> str:
    """One of pydantic's errors in one sentence: where, what, and what would be right."""
    place = _place(error)
    line = _line(text, place) if place else 0
    where = f"{name}, line {line}" if line else name
    field = ".".join(str(part) for part in place)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        known = _fields(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown setting {field!r}{hint} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{where}: {field} is missing"
    if kind == "literal_error":
        near = difflib.get_close_matches(str(given), re.findall(r"'(.*?)'", error["ctx"]["expected"]), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        return f"{where}: {field} = {given!r}{hint} (allowed: {error['ctx']['expected']})"
    if kind == "value_error":
        front, what = f"{field}: " if field else "", error["ctx"]["error"]
        if not field and (line := _line_of_word(text, str(what))):
            where = f"{name}, line {line}"
        return f"{where}: {front}{what}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {field} = {given!r}: {message}"


def _place(error: Any) -> tuple[Any, ...]:
    """Where the error is, without pydantic's words for the members of a union."""
    return tuple(part for part in error["loc"] if part not in ("int", "list[int]", "literal['full']"))


def _line_of_word(text: str, message: str) -> int:
    """The first line with a word that the message quotes and that is not a bare number; 0 if none has one."""
    words = [word for word in re.findall(r"'([^']+)'", message) if not word.isdigit()]
    for word in words:
        for i, line in enumerate(text.splitlines(), 1):
            if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line.split("#")[0]):
                return i
    return 0


def _fields(place: tuple[Any, ...]) -> list[str]:
    """Names of the settings of the section at this place."""
    model: Any = Experiment
    for part in place:
        if part == "tune":
            model = TuneSpec
        elif part == "arm":
            model = Arm
        elif isinstance(part, str) and part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
    return sorted(getattr(model, "model_fields", ()))


def _line(text: str, place: tuple[Any, ...]) -> int:
    """The line on which a setting (or else its section) stands, counted from 1; 0 if it is not found."""
    section: tuple[str, ...] = ()
    wanted = tuple(str(part) for part in place if not isinstance(part, int))
    number = next((part for part in place if isinstance(part, int)), 0)
    best, count = 0, -1
    for i, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if header := re.match(r"\[+\s*([^\]]+?)\s*\]+", line):
            section = _parts(header.group(1))
            count += line.startswith("[[")
            if wanted[: len(section)] == section and (not line.startswith("[[") or count == number):
                best = i
        elif key := re.match(r'((?:"[^"]*"|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=', line):
            here = (*section, *_parts(key.group(1)))
            if here and wanted[: len(here)] == here and (section != ("arm",) or count == number):
                return i
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(p.strip().strip('"') for p in re.findall(r'"[^"]*"|[\w-]+', dotted))
