"""A settings file against its schema: every error at once, each with its key and what to do.

The manner is mopidy's: an unknown key is an error, a misspelled one gets "did you mean".
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from firmware_config.errors import BadInput
from firmware_config.masking import masked
from firmware_config.tomltext import TomlRefused, parse_toml

SHOWN: Final = 80
"""Characters of a wrong value that are repeated to whoever wrote it."""


class SettingsRefused(BadInput):
    """One or more wrong settings in one file; `problems` has a sentence each."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"{path} has {len(problems)} problem(s):\n" + "\n".join(f"  {line}" for line in problems))


class Section(BaseModel):
    """Base of all sections: no unknown key, no changing afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Section)


def read_toml(path: Path) -> dict[str, Any]:
    """Raises SettingsRefused with one sentence for a missing file or wrong TOML."""
    try:
        return parse_toml(path.read_bytes())
    except FileNotFoundError:
        raise SettingsRefused(path, ["The file is not there."]) from None
    except OSError as error:
        raise SettingsRefused(path, [f"The file cannot be read: {error}."]) from error
    except TomlRefused as refused:
        raise SettingsRefused(path, [f"This is not TOML: {refused}."]) from refused


def validate(kind: type[S], values: dict[str, Any], path: Path) -> S:
    """Raises SettingsRefused with all that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_sentence(kind, dict(problem)) for problem in error.errors(include_url=False)]
        raise SettingsRefused(path, problems) from error


def _sentence(kind: type[Section], problem: dict[str, Any]) -> str:
    place = [str(part) for part in problem["loc"]]
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(place[-1], _known_keys(kind, place[:-1]), n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{key}: there is no such setting.{hint}"
    if problem["type"] == "missing":
        return f"{key}: this setting is needed."
    message = str(problem["msg"]).removeprefix("Value error, ")
    # A password that somebody wrote into a URL must not end in a log.
    found = masked(repr(problem["input"]))
    if len(found) > SHOWN:
        found = f"{found[:SHOWN]}..."
    return f"{key}: {message[:1].lower()}{message[1:]} (found {found})."


def _known_keys(kind: type[Section], place: list[str]) -> list[str]:
    section: Any = kind
    for name in place:
        known = section.model_fields.get(name)
        if known is None or not isinstance(known.annotation, type) or not issubclass(known.annotation, Section):
            return []
        section = known.annotation
    return list(section.model_fields)
