"""Plans as files: errors name line, field, allowed values and nearest match; some come with the package."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

from glassnet.errors import InputError, did_you_mean, unknown_name
from glassnet.lab.coursework_plan import Coursework
from glassnet.lab.spec import Experiment

__all__ = [
    "built_in", "load_coursework", "load_experiment", "new_plan", "parse_experiment", "plan_kind",
    "plan_text",
]  # fmt: skip

#: what a file's `kind` may be; a file without one is a comparison
KINDS: dict[str, type[Experiment] | type[Coursework]] = {"comparison": Experiment, "coursework": Coursework}
M = TypeVar("M", Experiment, Coursework)


def built_in(kind: str | None = None) -> dict[str, str]:
    """The plans that come with the package, all or those of a kind: name -> text of the file.

    >>> sorted(built_in())[:2], sorted(built_in("coursework"))
    (['activations', 'batch-sizes'], ['coursework', 'demo'])
    """
    folder = files("glassnet.lab").joinpath("experiments")
    plans = sorted((p for p in folder.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    texts = {plan.name.removesuffix(".toml"): plan.read_text(encoding="utf-8") for plan in plans}
    return {name: text for name, text in texts.items() if kind in (None, _toml(text, name)[1])}


def plan_kind(plan: str | Path) -> str:
    """ "comparison" (of arms) or "coursework": what the file, or the built-in plan of that name, describes.

    >>> plan_kind("activations"), plan_kind("coursework")
    ('comparison', 'coursework')
    """
    return _toml(*_found(plan))[1]


def load_experiment(plan: str | Path) -> Experiment:
    """The experiment of a TOML file, or of the built-in plan of that name.

    Raises
    ------
    InputError : no such file or plan; else file, line, field, what is wrong, what is allowed
    """
    return _parsed(*_found(plan), Experiment)


def load_coursework(plan: str | Path = "coursework") -> Coursework:
    """The coursework of a TOML file with `kind = "coursework"`, or of the built-in plan of that name.

    Raises
    ------
    InputError : as `load_experiment`

    Examples
    --------
    >>> load_coursework("demo").data.positive
    '8'
    """
    return _parsed(*_found(plan), Coursework)


def _found(plan: str | Path) -> tuple[str, str]:
    """The text of a plan, and its name for errors."""
    path = Path(plan)
    if path.suffix == ".toml" or path.is_file():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except FileNotFoundError:
            raise InputError(f"there is no plan {str(path)!r}: `glassnet new NAME` writes one") from None
        except UnicodeDecodeError:
            raise InputError(f"{path} is no text in UTF-8, so it is no plan in TOML") from None
        except OSError as error:
            raise InputError(f"cannot read the plan {path}: {error.strerror}") from None
    known = built_in()
    if str(plan) not in known:
        hint = did_you_mean(plan, known)
        raise InputError(f"no file and no built-in plan {str(plan)!r}{hint} (built in: {', '.join(known)})")
    return known[str(plan)], f"{plan}.toml"


def parse_experiment(text: str, name: str = "the plan") -> Experiment:
    """The experiment that a TOML text describes; `name` stands in front of errors.

    >>> parse_experiment('title = "t"\\nmetrik = "f1"\\n[data]\\nsource = "digits"', "my.toml")
    Traceback (most recent call last):
    ...
    glassnet.errors.InputError: my.toml, line 2: unknown setting 'metrik': did you mean 'metric'? ...
    """
    return _parsed(text, name, Experiment)


def _toml(text: str, name: str) -> tuple[dict[str, Any], str]:
    """What the text says, without its kind; and its kind."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not TOML: {error}") from None
    kind = plain.pop("kind", "comparison")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{name}, line {_line(text, ('kind',))}: {unknown_name('kind', kind, KINDS)}")
    return plain, kind


def _parsed(text: str, name: str, model: type[M]) -> M:
    """The text as a plan of this kind."""
    from pydantic import ValidationError

    plain, kind = _toml(text, name)
    if KINDS[kind] is not model:
        wanted = next(word for word, known in KINDS.items() if known is model)
        raise InputError(f"{name} is a plan of kind {kind!r}, not {wanted!r}: `glassnet run` takes both")
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        told = {_place(e): _told(name, text, e, model) for e in error.errors()}  # of a union the last counts
        raise InputError("; ".join(list(told.values())[:3])) from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def new_plan(name: str, target: Path, *, like: str = "activations") -> Path:
    """Write a plan to edit, a copy of a built-in one, and return where; nothing is overwritten."""
    known = built_in()
    if like not in known:
        raise unknown_name("built-in plan", like, known)
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


def _told(name: str, text: str, error: Any, model: Any) -> str:
    """One of pydantic's errors in one sentence: where, what, and what would be right."""
    place = _place(error)
    line = _line(text, place) if place else 0
    where = f"{name}, line {line}" if line else name
    field = ".".join(str(part) for part in place)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        known = _fields(model, place[:-1])
        hint = did_you_mean(place[-1], known)
        return f"{where}: unknown setting {field!r}{hint} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{where}: {field} is missing"
    if kind == "literal_error":
        hint = did_you_mean(given, re.findall(r"'(.*?)'", error["ctx"]["expected"]))
        return f"{where}: {field} = {given!r}{hint} (allowed: {error['ctx']['expected']})"
    if kind == "value_error":
        front, what = f"{field}: " if field else "", error["ctx"]["error"]
        if (section := text.splitlines()[max(line, 1) - 1].lstrip().startswith("[")) or not field:
            line = _line_of_word(text, str(what), line if section else 1) or line
        where = f"{name}, line {line}" if line else name
        return f"{where}: {front}{what}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {field} = {given!r}: {message}"


def _place(error: Any) -> tuple[Any, ...]:
    """Where the error is, without pydantic's words for the members of a union."""
    return tuple(part for part in error["loc"] if part not in ("int", "list[int]", "literal['full']"))


def _line_of_word(text: str, message: str, start: int) -> int:
    """The first line from `start` on with a word that the message quotes; 0 if none has one.

    Bare numbers are no such words.
    """
    words = [word for word in re.findall(r"'([^']+)'", message) if not word.isdigit()]
    for word in words:
        for i, line in enumerate(text.splitlines()[start - 1 :], start):
            if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line.split("#")[0]):
                return i
    return 0


def _fields(model: Any, place: tuple[Any, ...]) -> list[str]:
    """Names of the settings of the section at this place of a plan."""
    known = [] if place else ["kind"]
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:  # a section, or a list or table of them; else the number or name of one
            model = next(
                (m for m in get_args(field.annotation) if hasattr(m, "model_fields")), field.annotation
            )
    return sorted([*known, *getattr(model, "model_fields", ())])


def _line(text: str, place: tuple[Any, ...]) -> int:
    """The line on which a setting (or else its section) stands, counted from 1; 0 if it is not found."""
    section: tuple[str, ...] = ()
    wanted = tuple(str(part) for part in place if not isinstance(part, int))
    number = next((part for part in place if isinstance(part, int)), 0)
    best, inside = 0, True
    seen: Counter[tuple[str, ...]] = Counter()  # how many [[section]] there were
    for i, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if header := re.match(r"\[+\s*([^\]]+?)\s*\]+", line):
            section = _parts(header.group(1))
            seen[section] += 1
            inside = not line.startswith("[[") or seen[section] == number + 1
            if inside and wanted[: len(section)] == section:
                best = i
        elif key := re.match(r'((?:"[^"]*"|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=', line):
            here = (*section, *_parts(key.group(1)))
            if inside and here and wanted[: len(here)] == here:
                return i
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(p.strip().strip('"') for p in re.findall(r'"[^"]*"|[\w-]+', dotted))
