"""The office whose power is cut: a site to work in, and what must be true after the next start."""

from __future__ import annotations

import json
import os
import random
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from sqlalchemy import select

from admin_ui.erasure import ERASED_FILE
from admin_ui.keyring import Keyring
from admin_ui.models import ErasedRow, EventRow
from admin_ui.service import Office
from admin_ui.store import find_door
from firmware_config.att import att_faces
from firmware_config.errors import LatchkeyError
from firmware_config.messages import Topics
from firmware_config.roster import open_roster
from firmware_config.settings import load_admin
from tests.admin_ui.toys import png, toy_onnx
from tests.brokers import free_port
from tests.faults.power_disk import TOLD
from tests.faults.power_start import start
from tests.faults.power_told import Word, read_told, said
from tests.faults.power_verdict import Verdict
from tests.pixels import bundle_of

DOORS = ("front", "back")
PHOTOS = 6
BUNDLES = 4
ACTS = 9


class OfficeSite:
    """In `folder`; what may be lost is in `disk`."""

    name = "office"
    writer = "tests.faults.power_office_writer"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        state = self.disk / "state"
        keyring = Keyring.make(state)
        (self.disk / TOLD).touch()
        for number in range(BUNDLES):
            data = bundle_of(toy_onnx(number), keyring.site, f"1.0.{number}")
            (folder / (f"bundle-{number}.latchkey" if number else "default.latchkey")).write_bytes(data)
        for person in range(PHOTOS):
            grown = cv2.resize(att_faces()[person + 1][0], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
            framed = cv2.copyMakeBorder(grown, 60, 60, 80, 80, cv2.BORDER_REPLICATE)
            (folder / f"photo-{person}.png").write_bytes(png(np.asarray(framed, dtype=np.uint8)))
        lines = ['site = "faults"', f"state = {json.dumps(str(state))}"]
        lines += ["[broker]", f'url = "mqtt://127.0.0.1:{free_port()}"', ""]
        (folder / "admin.toml").write_text("\n".join(lines), encoding="utf-8")
        office = Office(load_admin(folder / "admin.toml"), default_bundle=folder / "default.latchkey")
        for door in DOORS:
            office.add_door(door, "bench")
        office.stop()

    def arguments(self, draw: random.Random) -> list[str]:
        """For the writer."""
        return [str(self.folder), str(draw.randrange(10**6)), str(ACTS)]

    def look(self) -> Verdict:
        """Open the office on what is on the disk, and compare it with what it had told."""
        told = read_told(self.disk)
        verdict = Verdict(told=len(told))
        # What is half-written goes as soon as nobody else can be at it any more.
        for path in self._half():
            os.utime(path, (0, 0))
        command = [sys.executable, "-m", "admin_ui.cli", "audit", "verify", "--settings"]
        ended = start([*command, str(self.folder / "admin.toml")], self.folder, serves=False)
        verdict.ready_s = ended.ready_s
        if ended.ready_s is None:
            verdict.corrupt.append(f"`audit verify` ended with {ended.code}: {ended.words[-600:]}")
            return verdict
        try:
            self._look_inside(told, verdict)
        except LatchkeyError as error:
            verdict.corrupt.append(str(error))
        state = self.disk / "state"
        verdict.corrupt += [f"{path.relative_to(state)} was left half-written" for path in self._half()]
        bytes_of_all = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
        for word in told:
            if "erased" in word and word["name"].encode() in bytes_of_all:
                verdict.resurrected.append(f"{word['name']} was erased, and the name is on the disk")
        return verdict

    def _half(self) -> list[Path]:
        return [path for path in self.disk.rglob(".*") if path.is_file()]

    def _look_inside(self, told: list[Word], verdict: Verdict) -> None:
        settings = load_admin(self.folder / "admin.toml")
        office = Office(settings)
        try:
            here = {person.id: person for person in office.people()}
            erased = set(said(told, "erased"))
            verdict.resurrected += [f"{one} was erased and is enrolled" for one in erased & set(here)]
            kept = set(said(told, "enrolled")) - set(said(told, "erasing"))
            verdict.lost += [f"{one} was enrolled and is not" for one in kept - set(here)]
            with office.store.read() as session:
                listed = set(session.scalars(select(ErasedRow.person_id)))
                events = set(session.scalars(select(EventRow.id)))
                rows = {door: find_door(session, door) for door in DOORS}
            in_file = set((settings.state / ERASED_FILE).read_text().split()) if listed else set()
            verdict.lost += [f"{one} is not on the list of the erased" for one in erased - (listed & in_file)]
            stored = {one for ids in said(told, "stored") for one in ids}
            verdict.lost += [f"event {one} was acknowledged and is not stored" for one in stored - events]
            in_force = office._sight.current().eyes.encoder_id
            for door, row in rows.items():
                keys = office._keyring.door(door).door
                roster = open_roster(row.roster, Topics(settings.site, door), office._keyring.site.public, keys)
                people = {person.id for person in roster.people}
                wanted = {one for one, person in here.items() if door in person.doors}
                verdict.resurrected += [f"{one} was erased and is sent to {door}" for one in erased & people]
                if people != wanted or roster.generation != row.generation or roster.encoder_id != in_force:
                    verdict.corrupt.append(f"the list of {door} is not what the store says")
            models = said(told, "model")
            if models and in_force not in (models[-1], *self._after(models[-1])):
                verdict.lost.append(f"encoder {models[-1][:12]} was shipped, {in_force[:12]} is in force")
        finally:
            office.stop()

    def _after(self, encoder_id: str) -> list[str]:
        """Encoders that may have been shipped, though nobody was told."""
        order = [sha256(toy_onnx(number)).hexdigest() for number in range(BUNDLES)]
        return order[order.index(encoder_id) + 1 :]
