"""A whole door for tests: real daemon, link, journal, rules and disk; what it sees is staged (staging.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from device.actuator import LockActuator
from device.camera import Frame
from device.daemon import Daemon
from device.model import Active
from device.outfit import Look, Outfit
from device.relay import SimulatedRelay
from device.roster import Holdings
from device.sight import Seen
from firmware_config.broker import Connection, Incoming
from firmware_config.events import Event, EventDetail, acknowledge, open_event
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import (
    Answer,
    Applied,
    Ask,
    Challenge,
    Health,
    LockResult,
    Message,
    Topics,
    decode,
    encode,
    seal,
    unseal,
)
from firmware_config.pairing import DoorPairing, load_lock, write_pairing
from firmware_config.roster import Person, Policy, Roster, seal_roster, template_bytes
from firmware_config.settings import BrokerSettings, CameraSettings, DoorSettings, LockSettings, RuntimeSettings
from tests.staging import StagedCamera, ToyEncoder, face_of, look, toy_bundle
from tests.waiting import until
from tests.wires import PlayedInputs

TOPICS = Topics("home", "front")
POLICY: dict[str, Any] = {"tau": 1.0, "tau_strict": 0.7, "hold_ms": 200, "cooldown_s": 0.5}


class Page:
    """The other end of the door's topics: what the admin page would see and say."""

    def __init__(self, broker: BrokerSettings, door_key: SecretKey) -> None:
        self.heard: list[Incoming] = []
        self._door_key = door_key
        self.connection = Connection(
            broker,
            f"test-page-{id(self)}",
            subscriptions=[("latchkey/#", 1)],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )
        self.connection.start()
        assert self.connection.wait(10)

    def payloads(self, leaf: str) -> list[bytes]:
        return [message.payload for message in list(self.heard) if message.topic == TOPICS[leaf]]

    def _last(self, kind: type[Message], leaf: str) -> Any:
        payloads = self.payloads(leaf)
        return decode(kind, payloads[-1], leaf) if payloads else None

    @property
    def applied(self) -> Applied | None:
        found: Applied | None = self._last(Applied, "applied")
        return found

    @property
    def health(self) -> Health | None:
        found: Health | None = self._last(Health, "health")
        return found

    def events(self) -> list[Event]:
        return [decode(Event, payload, "event") for payload in self.payloads("event")]

    def happened(self) -> list[tuple[str, str]]:
        """(outcome, reason) of each event, the same event once."""
        once = {event.id: (event.outcome, event.reason) for event in self.events()}
        return list(once.values())

    def detail(self, event: Event) -> EventDetail:
        return open_event(self._door_key, TOPICS, event)

    def lock_results(self) -> list[LockResult]:
        return [decode(LockResult, payload, "lock/result") for payload in self.payloads("lock/result")]

    def acknowledge_all(self) -> None:
        ids = list({event.id for event in self.events()})
        assert self.connection.publish(TOPICS["event/ack"], encode(acknowledge(self._door_key, TOPICS, ids)))

    def ask_unlock(self, by: str = "olga", why: str = "") -> Answer:
        """Ask with the door's newest challenge and wait for the answer."""
        known = len(self.payloads("answer"))
        challenge: Challenge = self._last(Challenge, "challenge")
        ask = Ask(id="ab" * 16, challenge=challenge.challenge, action="unlock", by=by, why=why)
        assert self.connection.publish(TOPICS["ask"], seal(self._door_key, TOPICS["ask"], ask), qos=0)
        assert until(lambda: len(self.payloads("answer")) > known)
        return unseal(self._door_key, TOPICS["answer"], Answer, self.payloads("answer")[-1])


class Door:
    """A paired door in a folder of its own. start() and stop() as often as the test likes."""

    def __init__(self, folder: Path, broker: BrokerSettings) -> None:
        self.folder = folder
        self.broker = broker
        self.site, self.release = SigningKey.generate(), SigningKey.generate()
        self.door_key, self.lock_key = SecretKey.generate(), SecretKey.generate()
        write_pairing(folder / "pairing", TOPICS, broker, self.lock_key, self.site.public, self.door_key)
        self.bundle = folder / "default.latchkey"
        self.bundle.write_bytes(toy_bundle(self.release))
        self.settings = DoorSettings(
            pairing=folder / "pairing", state=folder / "state", models=self.bundle, camera=CameraSettings(source="0")
        )
        self.camera = StagedCamera()
        self.relay = SimulatedRelay(say=lambda _line: None)
        self.inputs = PlayedInputs()
        self.look: Look = look
        self.codes: list[int | BaseException] = []
        self.halt_lock = threading.Event()
        self._running: list[tuple[Callable[[], None], threading.Thread]] = []
        self.daemon: Daemon | None = None

    @property
    def encoder_id(self) -> str:
        return sha256(b"toy encoder").hexdigest()

    def _holdings(self, settings: DoorSettings, pairing: DoorPairing) -> Holdings:
        return Holdings(
            settings.state,
            pairing.topics,
            pairing.site_key,
            pairing.door_key,
            [self.release.public],
            self.bundle,
            ToyEncoder,
        )

    def roster(
        self, generation: int, *names: str, topics: Topics = TOPICS, encoder_id: str = "", **policy: Any
    ) -> bytes:
        """A sealed roster that knows these people."""
        people = [Person(id=f"id-{n}", name=n.title(), templates=[template_bytes(face_of(n))]) for n in names]
        roster = Roster(
            site=topics.site,
            door=topics.door,
            generation=generation,
            encoder_id=encoder_id or self.encoder_id,
            policy=Policy(**(POLICY | policy)),
            people=people,
        )
        return seal_roster(roster, self.site, self.door_key)

    def start(self) -> Daemon:
        """Run the daemon on a thread."""

        def make_look(_runtime: RuntimeSettings) -> Look:
            def current(frame: Frame, active: Active) -> Seen:
                return self.look(frame, active)  # which the test may replace while the door runs

            return current

        def make_relay(_lock: LockSettings) -> SimulatedRelay:
            return self.relay

        outfit = Outfit(lambda _camera: self.camera, make_look, make_relay, self._holdings, lambda _lock: self.inputs)
        daemon = self.daemon = Daemon(self.settings, None, outfit)

        def run() -> None:
            try:
                self.codes.append(daemon.run())
            except BaseException as error:  # noqa: BLE001 - the test asserts on it
                self.codes.append(error)

        self._spawn(run, daemon.stop.set)
        return daemon

    def start_lock(self) -> LockActuator:
        """Run the simulated lock on a thread."""
        halt = self.halt_lock
        halt.clear()
        lock = LockActuator(load_lock(self.folder / "pairing"), self.relay, inputs=self.inputs)
        self._spawn(lambda: lock.run(halt), halt.set)
        return lock

    def _spawn(self, work: Callable[[], None], stop: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        self._running.append((stop, thread))

    def stop(self) -> None:
        """Stop what runs, in reverse."""
        while self._running:
            stop, thread = self._running.pop()
            stop()
            thread.join(10)
            assert not thread.is_alive()
