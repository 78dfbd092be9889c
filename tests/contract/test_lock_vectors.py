"""Both locks judge alike: the Python rule and the firmware's C++, built for this machine, on the same commands."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_config.keys import SecretKey
from firmware_config.lockrule import LockRule
from firmware_config.messages import LockCommand, LockResult, MessageRefused, decode
from tests.contract import make_lock_vectors
from tests.contract.lock_steps import text
from tests.lock_firmware import Firmware, build

TOPIC = "latchkey/office/front/lock/command"
FILE: dict[str, Any] = json.loads(make_lock_vectors.VECTORS.read_text(encoding="utf-8"))
KEY = SecretKey(bytes.fromhex(FILE["key"]))
FAMILIES = itertools.groupby(
    FILE["vectors"], lambda vector: vector["name"].split(":")[0] if ":" in vector["name"] else "time"
)
BATCHES: dict[str, list[dict[str, Any]]] = {}
for _family, _vectors in FAMILIES:
    BATCHES.setdefault(_family, []).extend(_vectors)
by_family = pytest.mark.parametrize("family", BATCHES)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("lock"))


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Challenges 1, 2, 3 ... for the Python rule too; `restarted` begins again."""
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: f"{next(NUMBERS):032x}")


NUMBERS: Iterator[int] = itertools.count(1)


def payload(step: dict[str, Any]) -> bytes:
    return bytes.fromhex(step["hex"]) if "hex" in step else step["payload"].encode()


def judged(rule: LockRule, command: bytes, now: float = 0.0, *, retained: bool = False) -> str:
    """The Python rule's answer, in the words of the vectors."""
    try:
        refusal = rule.judge(decode(LockCommand, command, TOPIC), retained=retained, now=now)
    except MessageRefused:
        return "no_command"
    return refusal.code if refusal else "obeyed"


def python_answers(steps: list[dict[str, Any]]) -> list[str]:
    global NUMBERS  # noqa: PLW0603 - each vector counts its challenges from 1
    NUMBERS = itertools.count(1)
    rule = LockRule(KEY, FILE["door"], steps[0]["at"] / 1000)
    answers = []
    for step in steps[1:]:
        now = step["at"] / 1000
        if step["do"] == "restart":
            rule = LockRule(KEY, FILE["door"], now)
        elif step["do"] == "tick":
            if rule.book.due(now):
                rule.book.rotate(now)
        else:
            answers.append(judged(rule, payload(step), now, retained=step.get("retained", False)))
    return answers


def firmware_answer(lock: Firmware, command: bytes) -> str:
    """The firmware's answer as its lock/result has it; the strike must do what it says."""
    lock.order("beat")
    before = lock.strike
    results = [said for said in lock.obey(command) if said.leaf == "result"]
    lock.order("beat")
    if not results:
        assert lock.strike == before
        return "no_command"
    assert [(said.qos, said.retained) for said in results] == [(1, False)]
    result = decode(LockResult, results[0].payload.encode(), "lock/result")
    asked = decode(LockCommand, command, TOPIC)
    assert result.challenge == asked.challenge
    assert result.accepted == (result.reason == "")
    assert lock.strike == ((asked.action == "unlock") if result.accepted else before)
    return result.reason or "obeyed"


def firmware_answers(program: Path, steps: list[dict[str, Any]]) -> list[str]:
    answers = []
    with Firmware(program, FILE["key"], FILE["door"]) as lock:
        for step in steps:
            lock.at(step["at"])
            if step["do"] == "restart":
                lock.connect()
            elif step["do"] == "tick":
                lock.loop()
            else:
                answers.append(firmware_answer(lock, payload(step)))
    return answers


def wanted(steps: list[dict[str, Any]]) -> list[str]:
    return [step["answer"] for step in steps if step["do"] == "command"]


def test_the_file_is_what_its_maker_makes() -> None:
    assert make_lock_vectors.VECTORS.read_text(encoding="utf-8") == make_lock_vectors.document()
    assert len(FILE["vectors"]) >= 200
    answers = {answer for vector in FILE["vectors"] for answer in wanted(vector["steps"])}
    refusals = {"no_command", "retained", "foreign_door", "bad_mac"}
    refusals |= {"spent_challenge", "stale_challenge", "late_command"}
    assert answers == {"obeyed"} | refusals


@by_family
def test_the_python_rule_answers_as_the_vectors_say(numbered: None, family: str) -> None:
    answers = {vector["name"]: python_answers(vector["steps"]) for vector in BATCHES[family]}
    assert answers == {vector["name"]: wanted(vector["steps"]) for vector in BATCHES[family]}


@by_family
def test_the_firmware_answers_as_the_vectors_say(program: Path, family: str) -> None:
    # ESPHome does not tell the lock that a message is retained; it must refuse it for its challenge.
    known = {"retained": "spent_challenge"}
    answers = {vector["name"]: firmware_answers(program, vector["steps"]) for vector in BATCHES[family]}
    assert answers == {
        vector["name"]: [known.get(answer, answer) for answer in wanted(vector["steps"])] for vector in BATCHES[family]
    }


# Good commands for another door, so that nothing is spent and each example stands alone.
SEEDS = [
    text(door="office/back"),
    text(door="a/\u20ac\U0001f600", more=[1, {"a": None, "b": [True, -1.5e-7]}]),
    text(door="a\\/b", action="lock", more='"\\\b\u0000'),
]
SCRAPS = [
    *'{}[]",:\\/u0123456789eE+-.atrufnlsINy \n',
    "\\u",
    "\\ud83d",
    "\\ude00",
    '"hold_ms": ',
    "null",
    "NaN",
    "1e5",
    "\u00e4",
]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3),
        st.one_of(st.sampled_from(SCRAPS).map(str.encode), st.binary(max_size=3)),
    ),
    min_size=1,
    max_size=4,
)


@given(seed=st.sampled_from(SEEDS), edits=EDITS)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_read_the_same_commands_out_of_damaged_ones(firmware: Firmware, seed: str, edits: list[Any]) -> None:
    command = seed.encode()
    for at, cut, put in edits:
        command = command[: at % len(command or b" ")] + put + command[at % len(command or b" ") + cut :]
    assert firmware_answer(firmware, command) == judged(LockRule(KEY, FILE["door"], 0.0), command)


@pytest.fixture(scope="module")
def firmware(program: Path) -> Iterator[Firmware]:
    with Firmware(program, FILE["key"], FILE["door"]) as lock:
        lock.connect()
        yield lock
