"""The door whose power is cut: a site to work in, and what must be true after the next start."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

from device.audit import read, verify
from device.embed import Encoder
from device.guard import UNREADABLE_HOLD_S, guard_key, load_guard
from device.ledger import audit_key
from device.lookout import GUARD_FILE
from device.outbox import Outbox, outbox_key
from device.pruned import read_pruned
from device.roster import Holdings
from device.shelf import AUDIT_FOLDER, MARKS, MODEL, ROSTER, STAGED
from device.stores import OUTBOX_FILE
from firmware_config.chain import Head
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import write_pairing
from firmware_config.settings import BrokerSettings
from tests.admin_ui.toys import toy_onnx
from tests.brokers import free_port
from tests.faults.power_disk import TOLD
from tests.faults.power_start import start
from tests.faults.power_told import Word, read_told, said
from tests.faults.power_verdict import Verdict
from tests.faults.programs import device_command
from tests.pixels import bundle_of

BUNDLES = 6
ACTS = 14
KNOWN = {AUDIT_FOLDER, ROSTER, MODEL, STAGED, MARKS, OUTBOX_FILE, f"{OUTBOX_FILE}-wal", GUARD_FILE}
NO_CAMERA = "/dev/video99"


class DoorSite:
    """In `folder`; what may be lost is in `disk`."""

    name = "door"
    writer = "tests.faults.power_door_writer"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True)
        (self.disk / TOLD).touch()
        self.topics = Topics("faults", "front")
        self.site, self.door_key = SigningKey.generate(), SecretKey.generate()
        self.site.save(folder / "site.key")
        broker = BrokerSettings(url=f"mqtt://127.0.0.1:{free_port()}")
        write_pairing(folder / "pairing", self.topics, broker, SecretKey.generate(), self.site.public, self.door_key)
        for number in range(BUNDLES):
            data = bundle_of(toy_onnx(number), self.site, f"1.0.{number}")
            (folder / (f"bundle-{number}.latchkey" if number else "default.latchkey")).write_bytes(data)
        lines = ['pairing = "pairing"', 'state = "disk/state"', 'models = "default.latchkey"']
        lines += ["[camera]", f'source = "{NO_CAMERA}"', ""]
        (folder / "door.toml").write_text("\n".join(lines), encoding="utf-8")

    def arguments(self, draw: random.Random) -> list[str]:
        """For the writer."""
        return [str(self.folder), str(draw.randrange(10**6)), str(ACTS)]

    def look(self) -> Verdict:
        """Start the door on what is on the disk, and compare it with what the door had told."""
        told = read_told(self.disk)
        verdict = Verdict(told=len(told))
        started = start(device_command("run", "--settings", str(self.folder / "door.toml")), self.folder)
        verdict.ready_s = started.ready_s
        if started.ready_s is None or started.code != 0:
            verdict.corrupt.append(f"the door did not start (exit code {started.code}): {started.words[-600:]}")
            return verdict
        self._look_at_roster(told, verdict)
        self._look_at_records(told, verdict)
        self._look_at_guard(told, verdict)
        unknown = {path.name for path in self._state.iterdir()} - KNOWN
        half = [path.name for path in (self._state / AUDIT_FOLDER).iterdir() if path.name.startswith(".")]
        verdict.corrupt += [f"{name} was left half-written" for name in sorted(unknown) + half if "-shm" not in name]
        return verdict

    @property
    def _state(self) -> Path:
        return self.disk / "state"

    def _look_at_roster(self, told: list[Word], verdict: Verdict) -> None:
        holdings = Holdings(
            self._state,
            self.topics,
            self.site.public,
            self.door_key,
            [],
            self.folder / "default.latchkey",
            Encoder,
        )
        verdict.corrupt += holdings.problems
        offers = {offer["generation"]: offer for offer in said(told, "offer")}
        applied = [*said(told, "applied"), holdings.generation]
        for before, after in pairwise(applied):
            if after < before:
                verdict.lost.append(f"roster {before} was in force, then {after}")
        roster = holdings.active.roster
        if roster is None:
            return
        offer, people = offers[roster.generation], [person.id for person in roster.people]
        if people != offer["people"] or holdings.active.manifest.encoder_id != offer["encoder"]:
            verdict.corrupt.append(f"roster {roster.generation} holds {people}, offered was {offer}")
        newest = max(applied)
        erased = {one for number, old in offers.items() if number <= newest for one in old["people"]}
        erased -= set(offers[newest]["people"])
        verdict.resurrected += [f"{one} was erased and is back" for one in people if one in erased]

    def _look_at_records(self, told: list[Word], verdict: Verdict) -> None:
        folder, key = self._state / AUDIT_FOLDER, audit_key(self.door_key)
        heads = [Head(count, link) for count, link in said(told, "head")]
        try:
            verify(folder, key, max(heads, key=lambda head: head.count, default=None))
            events = {record["event"]: record["seq"] for record in read(folder, key) if record["kind"] == "event"}
            with Outbox(self._state / OUTBOX_FILE, outbox_key(self.door_key)) as outbox:
                taken, waiting = outbox.taken, [pending.event_id for pending in outbox.pending(len(outbox) + 1)]
        except BadState as error:
            verdict.corrupt.append(str(error))
            return
        stored = {one for ids in said(told, "acknowledged") for one in ids}
        missing = set(said(told, "event")) - set(events)
        verdict.pruned = bool(read_pruned(folder, key).count)
        if verdict.pruned:
            missing -= stored
        verdict.lost += [f"event {one} was told and is in no record" for one in missing]
        gone = {one for one, seq in events.items() if seq <= taken} - set(waiting) - stored
        verdict.lost += [f"event {one} is in no outbox, and nobody has stored it" for one in gone]
        verdict.corrupt += [f"event {one} is in the outbox and in no record" for one in set(waiting) - set(events)]

    def _look_at_guard(self, told: list[Word], verdict: Verdict) -> None:
        guard = load_guard(self._state / GUARD_FILE, guard_key(self.door_key))
        if guard.remaining_s >= UNREADABLE_HOLD_S:
            verdict.corrupt.append("the guard cannot be read")
        raised = said(told, "guarded")
        if raised and raised[-1] and not any(person.remaining_s for person in guard.people.values()):
            verdict.lost.append("the guard was raised and is down")
