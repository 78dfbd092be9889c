"""From a good document to a bad one: changed where it hurts, still enough of itself to get past the first check.

One set of changes serves hypothesis (which draws, and shrinks what it drew) and atheris (which adds its own).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
"""A mutation is no longer than this; what is large is tried by the bombs."""
PNG: Final = b"\x89PNG\r\n\x1a\n"
NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?")

HOSTILE: Final[tuple[Any, ...]] = (
    *(0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0, float("nan"), float("inf"), float("-inf")),
    *("", "\0", "\ud800", "\U0010ffff", "\u202e", "x" * 100_000, "../../etc/passwd", "-----BEGIN", "%s%n", "{}", "\n"),
    *(None, True, False, [], {}, [[]], {"": None}, [None] * 1000),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T25:61:61Z", "1e400"),
)
SCRAPS: Final = (
    *(b"\0", b"\xff", b"\xff\xfe", b"\xed\xa0\x80", b"\r\n", b"\n", b"'''", b'"""', b"[[", b"]]", b"{", b"}", b","),
    *(b"NaN", b"1e999", b"9" * 5000, b"-", b"\\u0000", b"\\ud800", b"[" * 5000, b'{"a":' * 5000, b"a." * 5000),
    *(b"PK\x05\x06", b"PK\x06\x06", b"\xff\xd8\xff\xe1\xff\xff", b"IHDR", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"),
)

Change = Callable[[bytes, Random], bytes]


def mutated(data: bytes, draw: Random) -> bytes:
    """data: a document, perhaps mutated before -> another, at most MAX_BYTES."""
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        data = draw.choice(CHANGES)(data, draw)[:MAX_BYTES]
    return data


def _flip(data: bytes, draw: Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _span(data: bytes, draw: Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 2, 4, 16, 256, len(data))))


def _cut(data: bytes, draw: Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _repeat(data: bytes, draw: Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[start:end] * draw.choice((2, 3, 100)) + data[end:]


def _splice(data: bytes, draw: Random) -> bytes:
    start, end = _span(data, draw)
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[start:end] + data[at:]


def _scrap(data: bytes, draw: Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + draw.choice(SCRAPS) + data[draw.choice((start, end)) :]


def _extreme(data: bytes, draw: Random) -> bytes:
    """A whole field of 1, 2, 4 or 8 bytes."""
    width = draw.choice((1, 2, 4, 8))
    at = draw.randrange(len(data) + 1)
    value = draw.choice((0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1))
    return data[:at] + value.to_bytes(width, draw.choice(("little", "big"))) + data[at + width :]


def _number(data: bytes, draw: Random) -> bytes:
    """A number in a text becomes another."""
    found = list(NUMBER.finditer(data))
    if not found:
        return _scrap(data, draw)
    number = draw.choice(found)
    other = draw.choice((b"-1", b"1e309", b"9" * 5000, b"nan", b"1e-400", b"0x" + b"f" * 40, b"00", b"2_0", b"inf"))
    return data[: number.start()] + other + data[number.end() :]


def _value(data: bytes, draw: Random) -> bytes:
    """A value of a JSON document becomes a hostile one, wherever it stands. A first line before it stays."""
    head, line, body = data.rpartition(b"\n") if data[:1] != b"{" else (b"", b"", data)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _number(data, draw)
    holder: Any = [document]
    place: Any = 0
    for _ in range(draw.randrange(8)):
        inner = holder[place]
        if not isinstance(inner, (dict, list)) or not inner:
            break
        holder, place = inner, draw.choice(sorted(inner) if isinstance(inner, dict) else range(len(inner)))
    if isinstance(holder, dict) and draw.random() < 0.2:
        del holder[place]
    else:
        hostile = draw.choice((*HOSTILE, holder[place]))
        # No longer than what is kept of it: a thousand long ones took half a gigabyte, as much as a target may have.
        most = 1 + MAX_BYTES // len(json.dumps(hostile))
        holder[place] = [hostile] * min(draw.choice((1, 2, 1000)), most) if draw.random() < 0.1 else hostile
    whole = holder[0] if not isinstance(holder, dict) and place == 0 and len(holder) == 1 else document
    return head + line + json.dumps(whole, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")


def _member(data: bytes, draw: Random) -> bytes:
    """A file inside of a zip changes, and the zip around it fits it again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()[:20]]
    except Exception:  # noqa: BLE001 - it is no zip any more
        return _extreme(data, draw)
    if not parts:
        return data
    chosen = draw.randrange(len(parts))
    name, content = parts[chosen]
    change = draw.choice([each for each in CHANGES if each is not _member or content[:2] == b"PK"])
    parts[chosen] = (draw.choice((name, name, name, name + "x")), change(content, draw))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, 8))) as archive:
        for written, (name, content) in enumerate(parts):
            if written == 0 or name not in archive.namelist():
                archive.writestr(name, content)
    return stream.getvalue()


def _chunk(data: bytes, draw: Random) -> bytes:
    """A chunk of a PNG changes, and its checksum fits it again."""
    if not data.startswith(PNG):
        return _extreme(data, draw)
    chunks, at = [], len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return data
    chosen = draw.randrange(len(chunks))
    kind, content = chunks[chosen]
    chunks[chosen] = (kind, draw.choice((_flip, _cut, _extreme, _repeat))(content, draw))
    if draw.random() < 0.2:
        chunks.insert(draw.randrange(len(chunks) + 1), draw.choice(chunks))
    packed = [
        len(inner).to_bytes(4, "big") + name + inner + zlib.crc32(name + inner).to_bytes(4, "big")
        for name, inner in chunks
    ]
    return PNG + b"".join(packed) + data[at:]


CHANGES: Final[tuple[Change, ...]] = (
    *(_flip, _cut, _repeat, _splice, _scrap, _extreme, _number, _value, _value, _member, _chunk),
)
