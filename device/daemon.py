"""The loop at the door: wait for a frame, judge it, act. Judgement is in decide.py, the wire in link.py.

A grant is handed to the lock first and recorded right after, in the same step: on an SD card the fsync of a
record can take a tenth of a second, which somebody with a hand on the door notices. What keeps that honest is
Journal.has_room: nothing opens whose record could be kept neither on disk nor, for a while, in memory.
"""

from __future__ import annotations

import logging
import signal
import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from device.attention import Attention
from device.board import settle
from device.claim import claimed
from device.decide import FRESH_S, Decider, Decision
from device.doorman import Doorman
from device.glimpse import Glimpse
from device.health import Reporter, examine, software_version, status_line, with_measures
from device.homeassistant import HomeAssistant
from device.inbox import Inbox
from device.journal import Journal
from device.link import Link
from device.lockset import Lockset, LocksetThread
from device.lookout import Lookout
from device.memory import Tidying
from device.opening import Opened, Opener
from device.outfit import Outfit, equip, load_settings, until_a_start
from device.sight import Recent, detail_of
from device.stages import StageRing, after_look, before_look
from firmware_config.errors import BadState
from firmware_config.flag import Flag
from firmware_config.pairing import load_door as load_pairing
from firmware_config.schema import SettingsRefused
from firmware_config.sdnotify import Notifier
from firmware_config.settings import DoorSettings

log = logging.getLogger("latchkey.daemon")

FRAME_WAIT_S: Final = 0.1
"""How long the loop waits for a frame before it looks after its chores: ten times a second without a camera."""

MESSAGES_A_TURN: Final = 16
"""Messages handled between two frames: whoever floods the topics must not keep the door from seeing."""

ERRORS_IN_A_ROW: Final = 5
"""Exceptions one after the other that end the process, so that systemd starts a fresh one (DESIGN.md, section 4)."""

EXAMINE_S: Final = 0.2
"""Seconds between two looks at how every part does: five a second are soon enough for whoever reads it."""

CLEAN: Final = 0
GAVE_UP: Final = 1


def run(settings_path: Path) -> int:
    """`latchkey-device run` -> exit code. SIGTERM and SIGINT end it cleanly, SIGHUP reads the settings anew."""
    daemon = Daemon(load_settings(settings_path), settings_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop.set())
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload.set())
    return daemon.run()


class Daemon:
    """One door. `stop` and `reload` may be set from anywhere; everything else belongs to the loop's thread."""

    def __init__(self, settings: DoorSettings, settings_path: Path | None = None, outfit: Outfit | None = None) -> None:
        """settings_path: read again at `reload`. outfit: what it sees and moves with; tests hand in others."""
        self.stop = Flag()
        self.reload = Flag()
        self.settings = settings
        self._settings_path = settings_path
        self._outfit = outfit or equip(settings)
        self._notifier = Notifier()
        self.times = StageRing()
        """Of the latest frames."""
        self._glimpse = Glimpse()
        self._reporter = Reporter()
        self._recent = Recent()
        self._tidying = Tidying()
        self._examined_at = float("-inf")

    def run(self) -> int:
        """Start everything, loop, stop everything in reverse -> exit code. Raises LatchkeyError from the start."""
        settle(self.settings)
        with ExitStack() as started:
            self._start_state(started)
            self._start_lock(started)
            self._start_journal(started)
            self._start_model()
            self._start_decider()
            self._start_link(started)
            self._start_eyes()
            self._start_camera(started)
            self._outfit.ready()
            self._notifier.ready("The door is watched.")
            code = self._loop()
            self._notifier.stopping("Told to stop." if code == CLEAN else "Too many errors in a row.")
        return code

    @property
    def lock_ready(self) -> bool:
        """An unlock would go out at once, to the lock on the broker."""
        return self._link.lock.ready

    def _loop(self) -> int:
        errors = 0
        while not self.stop.is_set():
            try:
                self._do_chores()
                if self._step():
                    errors = 0
            except Exception as error:
                # Safe to go on: nothing was opened on this frame, and five in a row end the process.
                log.exception("An error on the way of a frame; the door stays shut.")
                errors += 1
                self._lookout.error(error)
            if errors >= ERRORS_IN_A_ROW:
                return GAVE_UP
            self._notifier.alive()
        return CLEAN

    def _step(self) -> bool:
        """One frame, if there is one that is worth it, from capture to lock. True: it went all the way."""
        frame = self._camera.newest(FRAME_WAIT_S)
        if frame is None:
            return False
        self._glimpse.see(frame)
        taken = time.monotonic()
        wanted = self._attention.wants(frame.picture, frame.captured_at)
        asked = time.monotonic()
        if not wanted:
            self.times.add(frame.captured_at, before_look(frame, taken, asked))
            self._tidying.resting()
            return False
        seen = self._look(frame, self._holdings.active)
        self._attention.saw(seen.observation.face, frame.captured_at)
        self._tidying.looked(seen.observation.face)
        before = time.monotonic()
        decision = self._decider.step(seen.observation, before, datetime.now(timezone.utc))
        decided = time.monotonic()
        # The lock first, its record next: what else a frame leaves can wait, whoever stands there should not.
        opened = self._open(decision) if decision is not None and decision.outcome == "granted" else None
        seen.stage_ms.update(before_look(frame, taken, asked), **after_look(frame, before, decided))
        self._recent.add(frame, seen)
        if decision is not None:
            self._tell(decision, opened)
        self.times.add(frame.captured_at, seen.stage_ms)
        if opened is not None:
            self.times.put("unlock", (opened.handed - opened.begun) * 1000)
        self._link.say_hint(decision.reason if decision is not None else seen.observation.quality)
        self._glimpse.saw(frame, seen)
        return True

    def _open(self, grant: Decision) -> Opened:
        begun = time.monotonic()
        opened = Opened(self._opener.open(grant.hold_ms, grant.observed_at + FRESH_S), begun, time.monotonic())
        if opened.failed is not None:
            self._decider.not_opened(grant.person_id, opened.handed)
        return opened

    def _tell(self, decision: Decision, opened: Opened | None) -> None:
        scene, seen = self._recent[decision.sequence]
        outcome, reason, stage_ms = decision.outcome, decision.reason, dict(seen.stage_ms)
        if opened is not None:
            stage_ms["frame_to_unlock"] = round((opened.handed - decision.observed_at) * 1000, 1)
            if opened.failed is not None:
                outcome, reason = "denied", opened.failed
        self._journal.tell(outcome, reason, detail_of(decision, scene, seen, stage_ms))
        # Nobody is named here: the system's log lies on the disk in plain.
        log.info("%s: %s, record %d of the audit", outcome, reason, self._journal.head.count)

    def _picture(self) -> bytes:
        """Before the camera is blamed it is asked once more: with a slow disk the loop is late, not the camera."""
        jpeg = self._glimpse.jpeg()
        if not jpeg:
            self._step()
            jpeg = self._glimpse.jpeg()
        return jpeg

    def _do_chores(self) -> None:
        """Everything but frames. Each is quick; a roster of thousands takes as long as a few frames."""
        if self.reload.is_set():
            self.reload.clear()
            self._read_settings_again()
        for message in self._link.inbox.some(MESSAGES_A_TURN):
            self._inbox.handle(message)
        if self._wires is not None and not self._wires.alive:
            raise BadState("The lock's wires cannot be read any more; a fresh start may help.")
        self._link.beat()
        self._journal.beat()
        self._inbox.beat()
        self._lookout.camera(self._camera)
        self._lookout.guard(self._decider)
        self._doorman.beat(self._journal)
        if time.monotonic() - self._examined_at >= EXAMINE_S:
            self._examined_at = time.monotonic()
            self._report()

    def _report(self) -> None:
        health = examine(
            self._holdings,
            self._camera,
            self._link,
            self._latch,
            self._journal,
            self._doorman,
            self.times,
            self._lookout.guarded,
        )
        if self._reporter.due(health, time.monotonic(), unsaid=self._link.health_unsaid):
            self._link.say_health(with_measures(health, self.times, self._attention.resting))
            self._notifier.status(status_line(health))

    def _start_state(self, started: ExitStack) -> None:
        started.enter_context(claimed(self.settings.state))
        self._pairing = load_pairing(self.settings.pairing)

    def _start_model(self) -> None:
        self._holdings = self._outfit.make_holdings(self.settings, self._pairing)

    def _start_decider(self) -> None:
        self._decider = Decider(self._holdings.active.roster, self._lookout.saved_guard())

    def _start_lock(self, started: ExitStack) -> None:
        """The way out first: neither a disk that fails nor an encoder that loads may hold it up."""
        lock = self.settings.lock
        self._link = Link(self._pairing)
        self._doorman = Doorman(self._link, lock)
        self._wires: LocksetThread | None = None
        if lock.kind == "gpio":
            relay, inputs = self._outfit.make_relay(lock), self._outfit.make_inputs(lock)
            self._wires = LocksetThread(Lockset(relay, inputs, self._doorman.told, lock.exit_hold_s))
            started.callback(self._wires.stop)
        self._latch = self._wires.lockset.latch if self._wires else None

    def _start_journal(self, started: ExitStack) -> None:
        keep = timedelta(days=self.settings.audit.keep_days)
        self._journal = Journal(self.settings.state, self._link, self._pairing.door_key, keep=keep)
        started.callback(self._journal.close)
        self._lookout = Lookout(self.settings.state, self._journal, self._pairing.door_key)
        self._opener = Opener(self._link, self._latch, self._journal, self._doorman)

    def _start_link(self, started: ExitStack) -> None:
        house = HomeAssistant(self._link, self._holdings, self._journal, self._opener)
        self._inbox = Inbox(
            *(self._link, self._holdings, self._journal, house, self._opener.open, self._adopt),
            look=self._picture,
            face=self._glimpse.face,
        )
        self._link.say_applied(self._holdings.applied())
        self._link.say_discovery(software_version())
        self._link.start()
        started.callback(self._link.stop)

    def _start_eyes(self) -> None:
        self._look = self._outfit.make_look(self.settings.runtime)
        self._attention = Attention(self.settings.runtime.idle_fps)

    def _start_camera(self, started: ExitStack) -> None:
        """A camera that is not there holds nothing up: it is opened in the background, again and again."""
        self._camera_open = started.enter_context(ExitStack())
        self._camera = self._camera_open.enter_context(self._outfit.open_camera(self.settings.camera))

    def _adopt(self) -> None:
        self._decider.adopt(self._holdings.active.roster)

    def _read_settings_again(self) -> None:
        if self._settings_path is None:
            return
        self._notifier.reloading(time.monotonic_ns() // 1000)
        try:
            fresh = load_settings(self._settings_path)
        except SettingsRefused as refused:
            log.error("The settings stay as they were. %s", refused)  # noqa: TRY400 - the sentence is the fact
            self._journal.note("settings_refused", {"problems": len(refused.problems)})
        else:
            self._journal.note("settings_read")
            old, self.settings = self.settings, fresh
            if fresh.runtime != old.runtime:
                self._start_eyes()
            if fresh.camera != old.camera:
                self._camera_open.close()
                self._camera = self._camera_open.enter_context(self._outfit.open_camera(fresh.camera))
                self._start_decider()  # another camera counts its frames anew, and sees another scene
                self._attention = Attention(fresh.runtime.idle_fps)
            for sentence in until_a_start(old, fresh):
                log.warning("%s", sentence)
        self._notifier.ready("The settings were read again.")
