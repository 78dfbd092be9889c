"""Targets that read a file or an upload: photos, settings, bundles, rosters, and what a door keeps on its disk."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from admin_ui.enrol import read_photo
from device.guard import GuardState, PersonGuard, load_guard, save_guard
from device.ledger import Line, audit_key, write_line
from device.shelf import Marks, Shelf
from firmware_config.bundle import pack_bundle, read_bundle
from firmware_config.chain import Head
from firmware_config.errors import LatchkeyError
from firmware_config.keys import SEAL_MARK, SecretKey, SigningKey
from firmware_config.messages import Topics, encode
from firmware_config.pairing import PAIRING, write_pairing
from firmware_config.pairing import load_door as load_pairing
from firmware_config.roster import ROSTER_CONTEXT, open_roster, seal_roster
from firmware_config.settings import BrokerSettings, load_admin, load_door
from tests.fuzz.target import Eat, Target
from tests.makers import Premises, bundle_parts, toy_bundle
from trainer.config import load as load_training

SITE_KEY = SigningKey(bytes(range(32)))
DOOR_KEY = SecretKey(bytes(range(32, 64)))
TOPICS = Topics("office", "front")

DOOR_TOML = """board = "raspberry-pi-5"
pairing = "/etc/latchkey/pairing"
state = "state"
models = "default.latchkey"

[camera]
source = "rtsp://10.0.0.2/stream"
width = 1280
height = 720
fps = 12.5

[lock]
kind = "gpio"
gpio_pin = 17
active_high = false
fail = "safe"
contact_pin = 27
exit_pin = 22
exit_hold_s = 4.5
held_open_s = 45.0

[runtime]
threads = 2
detect_size = 320
"""
ADMIN_TOML = """site = "office"
state = "/var/lib/latchkey-admin"
store = "postgresql+psycopg://latchkey@db/latchkey"

[page]
host = "::1"
port = 7860
secure_cookies = true

[broker]
url = "mqtts://broker.example:8883"
ca_file = "ca.crt"
cert_file = "page.crt"
key_file = "page.key"
keepalive_s = 10
"""


def plain(function: Eat) -> Callable[[Path], AbstractContextManager[Eat]]:
    """A function of bytes that needs no folder."""

    @contextmanager
    def opened(_folder: Path) -> Iterator[Eat]:
        yield function

    return opened


def as_file(
    name: str, read: Callable[[Path], object], prepare: Callable[[Path], None] = lambda _folder: None
) -> Callable[[Path], AbstractContextManager[Eat]]:
    """The bytes as a file of this name in the folder, and then `read` of that file."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Eat]:
        prepare(folder)
        path = folder / name

        def eat(data: bytes) -> None:
            path.write_bytes(data)
            read(path)

        yield eat

    return opened


def photos() -> list[bytes]:
    """A small picture in each format that is read, one with a note on how it is turned."""
    pixels = np.random.default_rng(1).integers(0, 256, (12, 10, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    made = []
    for form, more in (
        ("JPEG", {"exif": exif, "quality": 60}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"exif": exif}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("PPM", {}),
    ):
        stream = io.BytesIO()
        image.save(stream, form, **more)
        made.append(stream.getvalue())
    for other in (image.convert("P"), image.convert("LA"), image.convert("1"), image.convert("I;16")):
        stream = io.BytesIO()
        other.save(stream, "PNG")
        made.append(stream.getvalue())
    stream = io.BytesIO()
    image.convert("CMYK").save(stream, "JPEG")
    return [*made, stream.getvalue()]


def bundles() -> list[bytes]:
    return [toy_bundle("1.2.3", 2, SITE_KEY), pack_bundle(bundle_parts() | {"quality.onnx": b"x"}, None)]


def rosters() -> list[bytes]:
    """As the page signs them, and sealed."""
    premises = Premises(Path("nowhere"), TOPICS, SITE_KEY, SigningKey(bytes(32)), DOOR_KEY, DOOR_KEY)
    roster = premises.roster(6, {"Ada": 7, "Bob": 8}, rollback_to="ab" * 32)
    return [encode(roster), encode(premises.roster(1)), seal_roster(roster, SITE_KEY, DOOR_KEY)]


def take_roster(data: bytes) -> None:
    """Sealed, as it comes; anything else as somebody would send it who has both keys."""
    if not data.startswith(SEAL_MARK):
        data = DOOR_KEY.seal(TOPICS["roster"], SITE_KEY.sign(ROSTER_CONTEXT + data) + data)
    open_roster(data, TOPICS, SITE_KEY.public, DOOR_KEY)


def _pair(folder: Path) -> None:
    write_pairing(folder, TOPICS, BrokerSettings(), DOOR_KEY, SITE_KEY.public, DOOR_KEY)


def pairings() -> list[bytes]:
    texts = ['site = "office"\ndoor = "front"\n\n[broker]\nurl = "mqtts://broker:8883"\nkeepalive_s = 5\n']
    texts.append(texts[0] + 'username = "x"\npassword_file = "mqtt.password"\nca_file = "ca.crt"\n')
    return [text.encode() for text in texts]


def trainings() -> list[bytes]:
    """The trainer's own configurations."""
    folder = resources.files("trainer") / "configs"
    return [entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".toml")]


def kept_files() -> list[bytes]:
    """A line of the audit, the guard's state, and the marks."""
    line, _ = write_line(
        audit_key(DOOR_KEY), Head(), "event", {"event": "1"}, datetime(2026, 1, 1, tzinfo=timezone.utc)
    )
    plain_guard = {"remaining_s": 3.5, "people": {"p1": {"remaining_s": 1.0, "misses_ago_s": [1.0, 2.0]}}}
    return [line, json.dumps(plain_guard).encode(), encode(Marks(generation=3, version="1.2.3"))]


@contextmanager
def kept(folder: Path) -> Iterator[Eat]:
    """Each reader of what a door keeps."""
    shelf, key = Shelf(folder / "state"), audit_key(DOOR_KEY)
    save_guard(folder / "guard.json", GuardState(1.0, {"p1": PersonGuard(1.0, (2.0,))}), DOOR_KEY)

    def eat(data: bytes) -> None:
        (folder / "guard.json").write_bytes(data)
        load_guard(folder / "guard.json", DOOR_KEY)
        (folder / "guard.json").write_bytes(DOOR_KEY.seal("latchkey-guard-1", data))
        load_guard(folder / "guard.json", DOOR_KEY)
        (folder / "state" / "marks.json").write_bytes(data)
        with suppress(LatchkeyError):
            shelf.marks()
        Line.read(data, "line 1").open(key, "line 1")

    yield eat


TARGETS: Sequence[Target] = (
    Target("photo", photos, plain(read_photo), 1600),
    Target("door-toml", lambda: [DOOR_TOML.encode(), b""], as_file("door.toml", load_door), 800),
    Target("admin-toml", lambda: [ADMIN_TOML.encode(), b'site = "x"\n'], as_file("admin.toml", load_admin), 800),
    Target("pairing", pairings, as_file(PAIRING, lambda path: load_pairing(path.parent), _pair), 800),
    Target("training-toml", trainings, as_file("training.toml", load_training), 500),
    Target("bundle", bundles, plain(lambda data: read_bundle(data, None)), 600),
    Target("roster", rosters, plain(take_roster), 1300),
    Target("kept", kept_files, kept, 400),
)
