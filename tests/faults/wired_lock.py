"""A real lock (`latchkey-device lock --simulate`) at a real Mosquitto, and whoever owns that broker."""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadInput
from firmware_config.lockrule import sign_command
from firmware_config.messages import Challenge, LockCommand, LockResult, decode, encode
from firmware_config.pairing import write_pairing
from tests.brokers import Mosquitto
from tests.faults.forger import KEY, OTHER_KEY, TOPICS
from tests.faults.programs import Program, device_command
from tests.waiting import until

START_LIMIT_S = 60.0
ANSWER_LIMIT_S = 10.0
QUICK_S = 0.002
"""Between two looks for an answer that takes a few milliseconds."""


class WiredLock:
    """A Target. A payload at QoS 1 to the broker, which hands it to the lock in the order of what came."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._everything = ExitStack()
        self._broker = self._everything.enter_context(Mosquitto(folder / "broker"))
        write_pairing(folder / "lock", TOPICS, self._broker.settings, KEY)
        self._guard = threading.Lock()
        self._challenge = ""
        self._results: dict[str, list[LockResult]] = defaultdict(list)
        self._lawful: set[str] = set()
        self._programs: list[Program] = []
        self._cleared = 0
        self.unanswered: list[str] = []
        self._wire = Connection(
            self._broker.settings,
            "attacker",
            subscriptions=[(TOPICS[f"lock/{leaf}"], 1) for leaf in ("challenge", "result", "command")],
            on_message=self._hear,
            on_connected=lambda: None,
        )
        self._everything.callback(self._wire.stop)
        self._wire.start()
        assert self._wire.wait(ANSWER_LIMIT_S)
        self._everything.callback(self._kill)
        self.restart()

    def __enter__(self) -> WiredLock:
        return self

    def __exit__(self, *_: object) -> None:
        self._everything.close()

    @property
    def challenge(self) -> str:
        return self._challenge

    @property
    def openings(self) -> int:
        """Of the relay, by what the locks have said themselves."""
        return sum(len(program.openings) for program in self._programs)

    @property
    def opened(self) -> list[str]:
        """Results that tell of more than one obeyed command for a lawful challenge, or of one for any other."""
        with self._guard:
            accepted = {each: sum(result.accepted for result in given) for each, given in self._results.items()}
        return [
            f"obeyed {count} commands with the challenge {challenge}"
            for challenge, count in accepted.items()
            if count > (challenge in self._lawful)
        ]

    def wait(self, ms: int) -> None:
        time.sleep(ms / 1000)

    def rest(self) -> None:
        """It would cost time; each opening is counted, whether the bolt was back or not."""

    def restart(self) -> None:
        before = self._challenge
        self._kill()
        command = device_command("lock", "--simulate", "--pairing", str(self._folder / "lock"))
        self._programs.append(Program("lock", command, self._folder / "lock.log", {}))
        assert until(lambda: self._challenge not in ("", before), START_LIMIT_S), self._programs[-1].last_words()

    def catch_up(self) -> None:
        # The lock answers in the order of what came, and says its new challenge before the answer.
        question = secrets.token_hex(16)
        wrong = sign_command(OTHER_KEY, TOPICS.door_id, "unlock", question, 1000)
        assert self._wire.publish(TOPICS["lock/command"], encode(wrong))
        if not until(lambda: self._of(question), ANSWER_LIMIT_S, QUICK_S):
            self.unanswered.append("the lock did not answer a command with a wrong MAC")

    def come_back_to(self, payload: bytes) -> None:
        """Its place at the broker is taken for a moment, by whoever stores the command meanwhile."""
        challenge = decode(LockCommand, payload, "lock/command").challenge
        thief = Connection(
            self._broker.settings,
            f"latchkey-lock-{TOPICS.site}-{TOPICS.door}",
            subscriptions=[],
            on_message=lambda _message: None,
            on_connected=lambda: None,
        )
        thief.start()
        assert thief.wait(ANSWER_LIMIT_S)
        assert thief.publish(TOPICS["lock/command"], payload, retain=True)
        thief.stop()
        if not until(lambda: self._results.get(challenge), ANSWER_LIMIT_S, QUICK_S):
            self.unanswered.append(f"a retained command was not answered: {payload!r}")
        # Heard back, or it might reach the broker after what is stored there next.
        before = self._cleared
        assert self._wire.publish(TOPICS["lock/command"], b"", retain=True)
        assert until(lambda: self._cleared > before, ANSWER_LIMIT_S, QUICK_S)

    def attack(self, payload: bytes) -> None:
        assert self._wire.publish(TOPICS["lock/command"], payload)

    def control(self, payload: bytes) -> bool:
        challenge = decode(LockCommand, payload, "lock/command").challenge
        self._lawful.add(challenge)
        assert self._wire.publish(TOPICS["lock/command"], payload)
        obeyed = until(lambda: any(each.accepted for each in self._of(challenge)), ANSWER_LIMIT_S, QUICK_S)
        if not obeyed:
            answers = sorted({each.reason for each in self._of(challenge)})
            self.unanswered.append(f"a lawful command was answered {answers or 'with nothing'}: {payload!r}")
        # The next command must not be made with what this one has spent.
        return obeyed and until(lambda: self._challenge != challenge, ANSWER_LIMIT_S, QUICK_S)

    def last_words(self) -> str:
        return self._programs[-1].last_words()

    def settle(self) -> None:
        """Until all that was handed over has been answered, and what the lock has printed has been read."""
        self._programs[-1].stop()

    def _of(self, challenge: str) -> list[LockResult]:
        with self._guard:
            return list(self._results.get(challenge, []))

    def _kill(self) -> None:
        for program in self._programs[-1:]:
            program.process.kill()
            program.process.wait()

    def _hear(self, message: Incoming) -> None:
        if message.topic == TOPICS["lock/command"]:
            self._cleared += not message.payload
            return
        try:
            if message.topic == TOPICS["lock/challenge"]:
                self._challenge = decode(Challenge, message.payload, message.topic).challenge
                return
            result = decode(LockResult, message.payload, message.topic)
        except BadInput as refused:
            print(refused)
            return
        with self._guard:
            self._results[result.challenge].append(result)
