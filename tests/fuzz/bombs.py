"""Small documents that claim to be huge, read with hardly any memory left: `python -m tests.fuzz.bombs`.

Prints JSON: name -> what was said to it. The limit is the kernel's (RLIMIT_AS), so that what Pillow and zlib ask for
counts too. Last an honest photo of 39 megapixels, which cannot be read under that limit: it shows that the limit bites.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from admin_ui.enrol import read_photo
from firmware_config.bundle import read_bundle
from firmware_config.errors import LatchkeyError
from firmware_config.messages import Health, decode
from firmware_config.plainzip import END
from firmware_config.roster import Roster
from firmware_config.tomltext import parse_toml
from tests.fuzz.mutate import PNG
from tests.makers import toy_bundle

LEFT_MB = 16
"""Beyond what is in use when the bombs are made: enough for Python itself, a hundredth of what each claims."""
SIDE = 50_000
HONEST = (7_500, 5_200)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png(more: bytes = b"", side: int = SIDE) -> bytes:
    head = chunk(b"IHDR", struct.pack(">II5B", side, side, 8, 2, 0, 0, 0))
    return PNG + head + more + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def squeezed() -> bytes:
    """300 MB of nothing."""
    squeeze = zlib.compressobj()
    return b"".join(squeeze.compress(bytes(2**20)) for _ in range(300)) + squeeze.flush()


def jpeg() -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, SIDE, SIDE, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    scan = struct.pack(">HB", 12, 3) + bytes([1, 0, 2, 0x11, 3, 0x11, 0, 63, 0])
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda" + scan + bytes(100) + b"\xff\xd9"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(kind + len(content).to_bytes(4, "little") + content for kind, content in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def webp_lossless(side: int) -> bytes:
    return b"\x2f" + ((side - 1) | (side - 1) << 14).to_bytes(4, "little") + bytes(15)


def webp_moving() -> bytes:
    """A canvas of 16,000 x 16,000 around one small picture."""
    canvas = bytes([2, 0, 0, 0]) + (15_999).to_bytes(3, "little") * 2
    inner = webp_lossless(64)
    picture = bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4) + b"VP8L" + len(inner).to_bytes(4, "little") + inner
    return riff((b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", picture))


def bmp() -> bytes:
    return b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + struct.pack("<Iii2H6I", 40, SIDE, SIDE, 1, 24, *[0] * 6)


def crowded_zip() -> bytes:
    directory = (struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"a") * 1_000_000
    return directory + END.pack(b"PK\x05\x06", 0, 0, 16_960, 16_960, len(directory), 0, 0)


def huge_members() -> bytes:
    """A good bundle whose directory says that each of its files has 4 GB."""
    data, at = bytearray(toy_bundle()), 0
    while (at := data.find(b"PK\x01\x02", at + 1)) > 0:
        data[at + 20 : at + 28] = b"\xff\xff\xff\xfe" * 2
    return bytes(data)


def honest_photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", HONEST).save(stream, "PNG")
    return stream.getvalue()


def bundle(data: bytes) -> object:
    return read_bundle(data, None)


BOMBS: dict[str, tuple[Callable[[bytes], object], Callable[[], bytes]]] = {
    "png": (read_photo, png),
    "png, its text": (read_photo, lambda: png(chunk(b"zTXt", b"a\0\0" + squeezed()), 100)),
    "png, its colour profile": (read_photo, lambda: png(chunk(b"iCCP", b"a\0\0" + squeezed()), 100)),
    "jpeg": (read_photo, jpeg),
    "webp": (read_photo, lambda: riff((b"VP8 ", b"\0\0\0\x9d\x01\x2a" + b"\xff\x3f" * 2 + bytes(30)))),
    "webp, lossless": (read_photo, lambda: riff((b"VP8L", webp_lossless(16_384)))),
    "webp, moving": (read_photo, webp_moving),
    "bmp": (read_photo, bmp),
    "ppm": (read_photo, f"P6 {SIDE} {SIDE} 255\n".encode),
    "zip, a million entries": (bundle, crowded_zip),
    "zip, huge files": (bundle, huge_members),
    "toml, deep": (parse_toml, lambda: b"a = " + b"[" * 200_000),
    "json, deep": (lambda data: decode(Health, data, "health"), lambda: b'{"software": ' + b"[" * 16_000),
    "json, deep and signed": (lambda data: decode(Roster, data, "roster"), lambda: b"[" * 2_000_000),
}


def in_use() -> int:
    """Bytes of this process's address space."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize"))) * 1024


def said_to(read: Callable[[bytes], object], data: bytes) -> str:
    try:
        read(data)
    except LatchkeyError as refused:
        return str(refused)
    return "read"


def main() -> int:
    made = {name: (read, make()) for name, (read, make) in BOMBS.items()}
    photo = honest_photo()
    said = {"honest, with memory": said_to(read_photo, photo)}
    limit = in_use() + LEFT_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    said |= {name: said_to(read, data) for name, (read, data) in made.items()}
    said["honest, without"] = said_to(read_photo, photo)
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
