"""A site with a toy encoder: small enough to make in a test, real enough to tell AT&T people apart."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from admin_ui.accounts import set_password
from admin_ui.eyes import Eyes, open_eyes
from admin_ui.keyring import Keyring
from admin_ui.models import ActRow, DoorRow
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from admin_ui.store import open_store
from device.embed import Encoder
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.compatible import CrossCalibration, part_name
from firmware_config.errors import LostLink
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey
from firmware_config.messages import encode
from firmware_config.pairing import load_door
from firmware_config.roster import Roster, open_roster
from firmware_config.settings import AdminSettings, BrokerSettings
from tests.admin_ui.real_door import RealDoor
from tests.admin_ui.toys import png, toy_calibration, toy_onnx
from tests.brokers import Mosquitto, free_port
from tests.postgres import Postgres, rows_of
from tests.waiting import until

PATIENCE_S: Final = 20.0
"""With a door that shares two cores and a disk with the other lanes of tests: it syncs a record before it looks at the
next ask. What the page itself waits is in test_best_face.py, and real pages wait it in every test of a browser."""

MakeBundle = Callable[..., bytes]
MakeOffice = Callable[..., Office]


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """make_bundle(key, version="0.1.0", seed=1, shift=0.0, golden_error=0.0, noise=0.0, proof=None) -> a signed bundle.

    noise: how far the encoder is from the seed's own. proof: of an older encoder, to declare it; its `probes` is filled
    in.
    """

    def make(
        key: SigningKey,
        version: str = "0.1.0",
        seed: int = 1,
        shift: float = 0.0,
        golden_error: float = 0.0,
        noise: float = 0.0,
        proof: CrossCalibration | None = None,
    ) -> bytes:
        model = toy_onnx(seed, noise)
        inputs = np.random.default_rng(7).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
        outputs = Encoder(model).embed(inputs) + np.float32(golden_error)
        manifest = Manifest(
            name="toy",
            version=version,
            encoder_id=sha256(model).hexdigest(),
            created=datetime(2026, 1, 1, tzinfo=timezone.utc),
            trained_on=["nothing"],
            licence="Apache-2.0",
            compatible_with=[proof.templates] if proof else [],
        )
        parts = {
            "manifest.json": encode(manifest),
            "encoder.onnx": model,
            "calibration.json": encode(toy_calibration(shift)),
            "golden.npz": golden_bytes(Golden(inputs, outputs)),
            "MODEL_CARD.md": b"# Toy\n",
        }
        if proof is not None:
            filled = proof.model_copy(update={"probes": manifest.encoder_id})
            parts[part_name(proof.templates)] = encode(filled)
        return pack_bundle(parts, key)

    return make


@pytest.fixture(scope="session")
def faces(att: dict[int, list[ImageArray]]) -> dict[int, list[ImageArray]]:
    """AT&T people, grey."""
    return att


@pytest.fixture(scope="session")
def eyes_for() -> Callable[[bytes], Eyes]:
    """encoder.onnx -> Eyes over one detector, loaded once for all tests."""
    try:
        first = open_eyes(toy_onnx(1))
    except LostLink as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return first.with_encoder


@pytest.fixture(scope="session")
def photo(faces: dict[int, list[ImageArray]]) -> Callable[..., bytes]:
    """photo(person, number=0): an AT&T photo on a wider grey canvas, three times as large, as PNG."""

    def make(person: int, number: int = 0) -> bytes:
        grown = cv2.resize(faces[person][number], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        return png(np.asarray(cv2.copyMakeBorder(grown, 60, 60, 80, 80, cv2.BORDER_REPLICATE), dtype=np.uint8))

    return make


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's folder: that is root's alone, and PostgreSQL refuses to be root.
    with tempfile.TemporaryDirectory(prefix="latchkey-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "server") as server:
            yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the store is: empty for SQLite in the state folder, or a new PostgreSQL database. Every test that asks for
    a store runs on both."""
    if request.param == "sqlite":
        yield ""
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> AdminSettings:
    """A site whose broker does not answer."""
    return AdminSettings(
        site="home",
        state=tmp_path / "state",
        store=store_url,
        broker=BrokerSettings(url=f"mqtt://127.0.0.1:{free_port()}"),
    )


@pytest.fixture
def make_office(
    settings: AdminSettings, make_bundle: MakeBundle, eyes_for: Callable[[bytes], Eyes]
) -> Iterator[MakeOffice]:
    """make_office(broker=None, **settings): offices over one state folder, stopped at the end."""
    opened: list[Office] = []
    keyring = Keyring.make(settings.state)
    default = settings.state / "default.latchkey"
    default.write_bytes(make_bundle(keyring.site))

    def make(broker: BrokerSettings | None = None) -> Office:
        changed = settings.model_copy(update={"broker": broker}) if broker else settings
        opened.append(Office(changed, default_bundle=default, make_eyes=eyes_for))
        return opened[-1]

    yield make
    for office in opened:
        office.stop()


@pytest.fixture
def office(make_office: MakeOffice) -> Office:
    """An office with the door `front`, no broker."""
    made = make_office()
    made.add_door("front", "test")
    return made


@pytest.fixture
def app(office: Office) -> FastAPI:
    """The office's page; it has an administrator."""
    from admin_ui.page.app import create_app  # Gradio takes seconds, and most tests need none

    set_password(office.store, "admin", "correct horse battery", "test", AccountRole.ADMINISTRATOR)
    return create_app(office)


@pytest.fixture
def roster_of(settings: AdminSettings) -> Callable[[str], Roster]:
    """roster_of(door): what that door would open."""

    def read(door: str) -> Roster:
        pairing = load_door(settings.state / "pairings" / door / "door")
        store = open_store(settings.store, settings.state)
        with store.read() as session:
            row = session.get(DoorRow, door)
            assert row is not None
        store.close()
        return open_roster(row.roster, pairing.topics, pairing.site_key, pairing.door_key)

    return read


@pytest.fixture
def huge_png() -> Callable[[int, int], bytes]:
    """huge_png(width, height): a PNG of a few bytes that claims any size."""

    def make(width: int, height: int) -> bytes:
        stream = io.BytesIO()
        Image.new("1", (8, 8)).save(stream, format="PNG")
        data = bytearray(stream.getvalue())
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
        return bytes(data)

    return make


@pytest.fixture
def stored_bytes(settings: AdminSettings) -> Callable[[], bytes]:
    """All bytes of SQLite's files; all rows of PostgreSQL, whose files are the server's affair."""
    if settings.store:
        return lambda: rows_of(settings.store)
    return lambda: b"".join(path.read_bytes() for path in sorted(settings.state.glob("store.db*")))


@pytest.fixture
def nothing_changes(office: Office, roster_of: Callable[[str], Roster]) -> Iterator[None]:
    """Fails when people, rosters or the record of acts differ after the test."""

    def everything() -> object:
        with office.store.read() as session:
            acts = session.query(ActRow).count()
        return office.people(), [roster_of(door.name) for door in office.doors()], acts

    before = everything()
    yield
    assert everything() == before


@pytest.fixture
def ada(office: Office, photo: Callable[..., bytes]) -> str:
    """Ada is enrolled -> her id."""
    person = office.enrol("Ada Lovelace", photo(1), [], "boss").person
    assert person is not None
    return person.id


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Without persistence: a restart forgets everything that was retained."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def connected(make_office: MakeOffice, broker: Mosquitto) -> Office:
    """An office at a broker, with the door `front`; photos are kept."""
    made = make_office(broker.settings)
    made.add_door("front", "test")
    made.keep_photos(True, "test")
    made.start()
    assert made.link.wait_connected(10)
    return made


@pytest.fixture
def door(connected: Office, tmp_path: Path) -> Iterator[RealDoor]:
    """Paired with the connected office, not started."""
    state = connected.settings.state
    made = RealDoor(state / "pairings" / "front", tmp_path / "door", state / "default.latchkey")
    yield made
    made.stop()


@pytest.fixture
def running(connected: Office, door: RealDoor, monkeypatch: pytest.MonkeyPatch) -> RealDoor:
    """Started, and in step with the connected office."""
    for figure in ("ANSWER_TIMEOUT_S", "CHALLENGE_WAIT_S"):
        monkeypatch.setattr(f"admin_ui.link.{figure}", PATIENCE_S)
    door.start()
    assert until(lambda: connected.door("front").online and connected.door("front").in_step)
    daemon = door.daemon
    assert daemon is not None
    assert until(lambda: daemon._link.lock.alive)
    assert until(lambda: not connected.door("front").problems), connected.door("front").problems
    return door
