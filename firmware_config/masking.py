"""Addresses as they may be shown: what is written in logs, in health and on a screen names no user and no password."""

from __future__ import annotations

import re
from typing import Final

BEFORE_HOST: Final = re.compile(r"(:/+|//|:(?!\s)).*@", re.DOTALL)
"""A password may hold @ and / itself, so all up to the last @ goes: rather a part of the address too much."""

NAMED: Final = re.compile(r"((?:user-id|user-pw|passw(?:or)?d|pwd)['\"]?\s*[=:]).*", re.DOTALL | re.IGNORECASE)
"""GStreamer's rtspsrc has the first two. Where a quoted value ends is GStreamer's to say, so all that follows goes."""


def masked(text: str) -> str:
    """An address, a pipeline, or a text with one in it -> the same with *** for whatever may be secret."""
    return NAMED.sub(r"\1***", BEFORE_HOST.sub(r"\1***@", text))
