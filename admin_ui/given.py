"""What a program hands to an endpoint is any JSON at all: here it becomes what the endpoint takes, or a sentence."""

from __future__ import annotations

from typing import Final

from firmware_config.errors import BadInput
from firmware_config.messages import MAX_COUNT

LONGEST_TEXT: Final = 10_000
"""Characters: what is said about a text of somebody is repeated to them."""


def text(value: object, name: str) -> str:
    """Raises BadInput for what no store keeps and no person typed."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadInput(f"{name} must be a text of at most {LONGEST_TEXT} characters. Nothing was changed.")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise BadInput(f"{name} holds characters that cannot be kept. Type it anew. Nothing was changed.")
    return value


def texts(value: object, name: str) -> list[str]:
    """None counts as an empty list. Raises BadInput."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > LONGEST_TEXT:
        raise BadInput(f"{name} must be a list of texts. Nothing was changed.")
    return [text(one, name) for one in value]


def truth(value: object, name: str) -> bool:
    """Raises BadInput: what a switch does may erase, so nothing but a switch's own two values moves it."""
    if not isinstance(value, bool):
        raise BadInput(f"{name} must be on or off. Nothing was changed.")
    return value


def number(value: object, name: str) -> float:
    """Raises BadInput."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_COUNT:
        raise BadInput(f"{name} must be a number. Nothing was changed.")
    return value


def count(value: object, name: str) -> int:
    """A whole number. Raises BadInput."""
    return int(number(value, name))
