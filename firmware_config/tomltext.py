"""TOML that a person wrote, read within bounds: wrong bytes cost neither minutes nor a stack trace."""

from __future__ import annotations

import sys
from typing import Any, Final

from firmware_config.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES: Final = 256 * 1024
"""A hundred times the longest settings that come with Latchkey."""
MAX_DOTS: Final = 100
"""In one line. The parser's time grows with the square of the parts of a key: 60 kB of `a.a.a...` take ten seconds.
No key has more than three parts, no address more than a dozen."""


class TomlRefused(BadInput):
    """Not TOML, or none that is read. The text says why, without the file's name."""


def parse_toml(data: bytes) -> dict[str, Any]:
    """Raises TomlRefused."""
    if len(data) > MAX_BYTES:
        raise TomlRefused(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.count(b".") > MAX_DOTS:
            raise TomlRefused(f"line {number} has more than {MAX_DOTS} dots")
    try:
        read = tomllib.loads(data.decode("utf-8"))
        _refuse_long_integers(read)
    except TomlRefused:
        raise
    except RecursionError:
        raise TomlRefused("brackets in brackets, too deep to be read") from None
    except UnicodeDecodeError as error:
        raise TomlRefused(f"byte {error.start + 1} is not UTF-8") from error
    except ValueError as error:
        # TOMLDecodeError is one, and so is what a number of more digits than Python takes raises.
        raise TomlRefused(str(error)) from error
    return read


def _refuse_long_integers(value: Any) -> None:
    """TOML's integers have 64 bits. Python's parser takes any, and one in hexadecimal may be so long that it cannot
    even be repeated to whoever wrote it."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TomlRefused("an integer has more than 64 bits")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_long_integers(part)
