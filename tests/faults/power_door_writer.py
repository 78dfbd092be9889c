"""A door that is given work, for power_door.py to cut its power: `python -m tests.faults.power_door_writer`.

The real daemon with its loop, journal, rules and stores. Instead of a camera it has a hand that puts work before it,
one act for each turn of the loop: messages as the broker would deliver them, and events as a frame would end in. It
works in the folder `disk` (state and the file of what it told) of the site's folder.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import device.stores
from device.audit import Audit
from device.camera import Camera, Frame
from device.daemon import Daemon
from device.decide import Observation
from device.outfit import Outfit, load_settings
from device.pruning import Pruning
from device.sight import Seen
from firmware_config.broker import Incoming
from firmware_config.bundle import read_bundle
from firmware_config.events import Event, EventDetail, acknowledge, open_event
from firmware_config.face import EMBEDDING_SIZE, Reason
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Applied, Health, decode, encode
from firmware_config.roster import Person, Policy, Roster, seal_roster, template_bytes
from tests.faults.power_told import Teller, Word, read_told, said

POLICY = Policy(tau=1.0, tau_strict=0.7)
SEGMENT_RECORDS = 4
"""Small, so that segments begin while the power is cut; their readers take any length."""

TURN_S = 0.001


class Hand(Camera):
    """Looks like a camera without pictures to the daemon."""

    def __init__(self, folder: Path, seed: int, acts: int) -> None:
        self._folder = folder
        self._draw = random.Random(seed)
        self._left = acts
        self._told = read_told(folder / "disk")
        self._teller = Teller(folder / "disk")
        self._site = SigningKey.load(folder / "site.key")
        self._door_key = SecretKey.load(folder / "pairing" / "door.key")
        self._daemon: Daemon | None = None
        self._offers = said(self._told, "offer")
        self._sent: list[str] = []
        self._wanted = ""
        self._planned: list[Callable[[Daemon], None]] = []

    def take(self, daemon: Daemon) -> None:
        """From now on what this daemon says to others is written down, before it is sent."""
        self._daemon = daemon

    def __enter__(self) -> Hand:
        daemon = self._daemon
        assert daemon is not None
        link, journal, tell = daemon._link, daemon._journal, self._teller.tell

        def head() -> list[Any]:
            return [journal.head.count, journal.head.hash]

        def applied(message: Applied) -> None:
            tell(applied=message.generation, encoder=message.encoder_id)

        def event(message: Event) -> bool:
            self._sent.append(message.id)
            self._wanted = open_event(self._door_key, link.topics, message).prune or self._wanted
            tell(event=message.id, head=head())
            return True

        def health(message: Health) -> None:
            tell(head=[message.audit_seq, message.audit_head])

        vars(link).update(say_applied=applied, say_event=event, say_health=health)
        applied(daemon._holdings.applied())
        self._send_again(daemon)
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def state(self) -> str:
        return "opening"

    @property
    def why(self) -> str:
        return ""

    def newest(self, timeout_s: float) -> Frame | None:
        """Another act; its consequences come in the loop's next turn."""
        time.sleep(TURN_S)
        daemon = self._daemon
        assert daemon is not None
        if not daemon._link.inbox.empty():
            return None
        if not self._left:
            daemon.stop.set()
            return None
        if self._planned:
            self._planned.pop(0)(daemon)
            return None
        self._left -= 1
        acts: list[Callable[[Daemon], None]] = [
            self.event,
            self.enrol,
            self.erase,
            self.swap,
            self.acknowledge,
            self.prune,
        ]
        act = self._draw.choices([*acts, self.near_miss], (6, 2, 3, 2, 2, 4, 1))[0]
        act(daemon)
        return None

    def event(self, daemon: Daemon) -> None:
        detail = EventDetail(person_id=f"p{self._draw.randrange(9)}", distance=self._draw.uniform(0.3, 1.4))
        reasons = (("granted", Reason.GRANTED), ("denied", Reason.UNKNOWN_FACE), ("denied", Reason.LOCK_OFFLINE))
        daemon._journal.tell(*self._draw.choice(reasons), detail, {"more": "." * self._draw.randrange(3000)})

    def near_miss(self, daemon: Daemon) -> None:
        decider = daemon._decider
        decider._guard_at(time.monotonic()).near_miss("p0", POLICY, time.monotonic())
        decider._guard_changed = True
        daemon._lookout.guard(decider)
        self._teller.tell(guarded=decider.guard_raised(time.monotonic()))

    def acknowledge(self, daemon: Daemon) -> None:
        self._acknowledge(daemon, 3)

    def prune(self, daemon: Daemon) -> None:
        """Whatever is old enough, which here is every segment but the last, in three turns: the page stores all that
        there is, the door asks, the page agrees."""
        for pending in daemon._journal.stores.open()[1].pending(1000):
            if pending.event_id not in self._sent:
                daemon._link.say_event(decode(Event, pending.payload, "event"))
        self._acknowledge(daemon, len(self._sent))
        self._planned += [self._ask, self._agree]

    def _ask(self, daemon: Daemon) -> None:
        daemon._journal._pruning = Pruning(daemon.settings.state, self._door_key, timedelta(days=-1))
        daemon._journal._prune()

    def _agree(self, daemon: Daemon) -> None:
        self._acknowledge(daemon, len(self._sent), self._wanted)
        self._wanted = ""

    def _acknowledge(self, daemon: Daemon, most: int, prune: str = "") -> None:
        ids, self._sent = self._sent[:most], self._sent[most:]
        if ids:
            self._teller.tell(acknowledged=ids)
            ack = acknowledge(self._door_key, daemon._pairing.topics, ids, prune)
            self._deliver(daemon, "event/ack", encode(ack))

    def enrol(self, daemon: Daemon) -> None:
        number = 1 + max((int(one[1:]) for offer in self._offers for one in offer["people"]), default=0)
        self._roster(daemon, [*self._people, f"p{number}"])

    def erase(self, daemon: Daemon) -> None:
        people = list(self._people)
        if people:
            people.remove(self._draw.choice(people))
            self._roster(daemon, people)

    def swap(self, daemon: Daemon) -> None:
        """The next encoder and the roster for it, in either order."""
        files = self._bundles()
        later = [name for name in files if name not in {offer["encoder"] for offer in self._offers}]
        if not later:
            return
        encoder_id = later[0]
        messages: list[Callable[[], None]] = [
            partial(self._deliver, daemon, "model", files[encoder_id].read_bytes()),
            partial(self._roster, daemon, list(self._people), encoder_id),
        ]
        self._draw.shuffle(messages)
        for message in messages:
            message()

    def _bundles(self) -> dict[str, Path]:
        """By encoder, in the order of their versions."""
        paths = sorted(self._folder.glob("bundle-*.latchkey"))
        return {read_bundle(path.read_bytes(), [self._site.public]).manifest.encoder_id: path for path in paths}

    @property
    def _people(self) -> list[str]:
        return list(self._offers[-1]["people"]) if self._offers else []

    def _roster(self, daemon: Daemon, people: list[str], encoder_id: str = "") -> None:
        last: Word = self._offers[-1] if self._offers else {"encoder": daemon._holdings.active.manifest.encoder_id}
        offer = {
            "generation": last.get("generation", 0) + 1,
            "encoder": encoder_id or last["encoder"],
            "people": people,
        }
        self._offers.append(offer)
        self._teller.tell(offer=offer)
        self._send(daemon, offer)

    def _send_again(self, daemon: Daemon) -> None:
        """What the broker has kept for a door that comes back."""
        if self._offers:
            offer = self._offers[-1]
            if offer["encoder"] in (files := self._bundles()):
                self._deliver(daemon, "model", files[offer["encoder"]].read_bytes())
            self._send(daemon, offer)

    def _send(self, daemon: Daemon, offer: Word) -> None:
        topics = daemon._link.topics
        listed = [Person(id=one, name=one.upper(), templates=[_template(int(one[1:]))]) for one in offer["people"]]
        roster = Roster(
            site=topics.site,
            door=topics.door,
            generation=offer["generation"],
            encoder_id=offer["encoder"],
            policy=POLICY,
            people=listed,
        )
        self._deliver(daemon, "roster", seal_roster(roster, self._site, self._door_key))

    @staticmethod
    def _deliver(daemon: Daemon, leaf: str, payload: bytes) -> None:
        daemon._link.inbox.put(Incoming(daemon._link.topics[leaf], payload, retained=leaf in ("roster", "model")))


def _template(number: int) -> bytes:
    vector = np.random.default_rng(number).normal(size=EMBEDDING_SIZE)
    return template_bytes((vector / np.linalg.norm(vector)).astype(np.float32))


def main() -> int:
    """FOLDER SEED ACTS -> the daemon's exit code."""
    folder = Path(sys.argv[1])
    hand = Hand(folder, int(sys.argv[2]), int(sys.argv[3]))
    vars(device.stores)["Audit"] = partial(Audit, segment_records=SEGMENT_RECORDS)
    settings = folder / "door.toml"
    outfit = Outfit(
        open_camera=lambda _settings: hand,
        make_look=lambda _runtime: (
            lambda frame, _active: Seen(Observation(frame.captured_at, frame.sequence, None, None))
        ),
    )
    daemon = Daemon(load_settings(settings), settings, outfit)
    hand.take(daemon)
    return daemon.run()


if __name__ == "__main__":
    sys.exit(main())
