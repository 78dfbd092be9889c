"""Writes lock_vectors.json: what both locks, the Python and the C++ one, must make of commands.

The answers stand here by hand, family by family; neither rule is asked.
`python -m tests.contract.make_lock_vectors`

A vector is a list of steps on one lock, times in milliseconds:
    restart   the lock starts, or its connection does: every challenge before is void, a new one is given
    tick      the lock's loop: a challenge that is two seconds old is replaced
    command   a payload on lock/command, and the answer: obeyed, no_command, or the reason of the refusal
Challenges are numbered from 1 in the order that they are given; a taken one is replaced at once by the next.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.contract.lock_steps import DOOR, KEY, Vector, challenge, command, fields, mac, restart, single, text, tick

VECTORS: Final = Path(__file__).with_name("lock_vectors.json")


def taken() -> Iterator[Vector]:
    good = text()
    payloads: dict[str, str | bytes] = {
        f"hold of {hold} ms": text(hold=hold) for hold in (200, 201, 999, 59_999, 60_000)
    }
    payloads |= {f"lock, hold of {hold} ms": text(action="lock", hold=hold) for hold in (200, 3000, 60_000)}
    payloads |= {
        "spaces everywhere": good.replace(":", " : ").replace(",", "\t,\r\n") + " \n",
        "no spaces": good.replace(" ", ""),
        "escaped letters": good.replace("unlock", "\\u0075nloc\\u006B"),
        "escaped slash": good.replace("office/front", "office\\/front"),
        "escaped name": good.replace('"mac"', '"m\\u0061c"'),
        "fields backwards": json.dumps(dict(reversed(list(fields().items())))),
        "a field twice, the last counts": good.replace("{", '{"hold_ms": 5, "mac": 7, ', 1),
        "as long as may be": good + " " * (1024 - len(good)),
    }
    values = ["null", "true", "false", "[]", "{}", "0", "-0", "-1.5e-7", "1E400", "NaN", "Infinity", "-Infinity", '""']
    values += ['"\\ud83d\\ude00 \\u0000 \\b\\f\\n\\r\\t\\"\\\\"', '"\u00e4 \u20ac \U0001f600"', "[[1, {}], {}, [[]]]"]
    values += ['{"a": {"b": [1, {"c": null}]}, "a": "\x7f"}', "[" * 200 + "]" * 200, "9" * 300]
    payloads |= {f"a field more: {value[:24]}": good.replace("}", f', "more": {value}}}') for value in values}
    yield from single("taken", "obeyed", payloads)


def malformed() -> Iterator[Vector]:
    good = text()
    payloads: dict[str, str | bytes] = {
        "nothing": "",
        "white space": " \n\t",
        "a word": "UNLOCK",
        "null": "null",
        "a list": f"[{good}]",
        "a string": json.dumps(good),
        "a number": "1",
        "an empty object": "{}",
        "something after it": good + "x",
        "two of them": good + good,
        "a zero byte after it": good + "\0",
        "a byte order mark": "\ufeff" + good,
        "a vertical tab": "\v" + good,
        "a comma too many": good.replace("}", ",}"),
        "a comma first": good.replace("{", "{,"),
        "no commas": good.replace(",", ""),
        "no colons": good.replace(":", ""),
        "single quotes": good.replace('"', "'"),
        "bare names": good.replace('"door"', "door"),
        "a comment": good.replace("}", "/**/}"),
        "one byte too long": good + " " * (1025 - len(good)),
        "16 KB": good + " " * 16_384,
        "latin-1": good.replace("office", "\u00f6ffice").encode("latin-1"),
        "utf-16": good.encode("utf-16"),
    }
    payloads |= {f"cut after {end}": good[:end] for end in range(1, len(good), 12)}
    values = [
        "",
        "nul",
        "True",
        "nan",
        "-NaN",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "0x10",
        "[1,]",
        "[1 2]",
        "]",
    ]
    values += [
        '{"a"}',
        '{"a":}',
        "{1: 2}",
        '{"a": 1,}',
        "[}",
        '"\\x"',
        '"\\u12g4"',
        '"\\u12"',
        '"\\ud800"',
        '"\\udc00"',
    ]
    values += ['"\\ud800\\u0041"', '"\n"', '"\x01"', '"', '"\\', "[" * 201 + "]" * 201]
    payloads |= {f"a field more: {value[:24]!r}": good.replace("}", f', "more": {value}}}') for value in values}
    # Cut, alone, overlong in two, three and four bytes, a surrogate, too high, never used: Unicode 15, table 3-7.
    for raw in ("e282", "80", "c080", "e08080", "f0808080", "eda080", "f4908080", "ff"):
        payloads[f"bad utf-8: {raw}"] = good.encode().replace(b"}", b', "more": "' + bytes.fromhex(raw) + b'"}')
    yield from single("malformed", "no_command", payloads)


def mistyped() -> Iterator[Vector]:
    payloads: dict[str, str | bytes] = {}
    for name in fields():
        left = fields()
        del left[name]
        payloads[f"no {name}"] = json.dumps(left)
        for value in (None, True, [], {}, 3000 if name != "hold_ms" else "3000", *([] if name == "door" else [""])):
            payloads[f"{name} is {value!r}"] = text(**{name: value})
    for hold in (0, 199, 60_001, -3000, 3000.0, 3000.5, 2**31, 2**32 + 3000, 2**64 + 3000, 10**40):
        payloads[f"hold_ms is {hold}"] = text(hold_ms=hold)
    payloads["hold_ms is 3e3"] = text().replace("3000", "3e3", 1)
    payloads["hold_ms is 03000"] = text().replace("3000", "03000", 1)
    for action in ("UNLOCK", "unlock ", " unlock", "unlock\n", "unlocked", "open", "unlock\0", "lock|unlock"):
        payloads[f"action is {action!r}"] = text(action=action, mac=mac(DOOR, action, challenge(1), 3000))
    good = challenge(1)
    for given in (good[:-1], good + "0", good.replace("1", "g"), "A" * 32, good + "\n", " " + good[1:], good * 9):
        payloads[f"challenge is {given[:40]!r}"] = text(challenge=given, mac=mac(DOOR, "unlock", given, 3000))
    right = mac(DOOR, "unlock", good, 3000)
    for wrong in (right[:-1], right + "0", right.upper(), "g" * 64, "0x" + right[2:], right + "\n", right * 4):
        payloads[f"mac is {wrong[:20]!r}, {len(wrong)} long"] = text(mac=wrong)
    payloads["door of 128 characters"] = text(door="a" * 128)
    payloads["door of 128 wide characters"] = text(door="\u20ac" * 128)
    yield from single("mistyped", "no_command", payloads)


def foreign() -> Iterator[Vector]:
    doors = ["office/back", "home/front", "office/fron", "office/front2", "OFFICE/FRONT", "office", "/", "", "a" * 127]
    doors += ["\u20ac" * 127, "\U0001f600" * 127, "office/front\0", "office/front|unlock", "office/\u0430front"]
    payloads: dict[str, str | bytes] = {
        f"for {door[:20]!r}": text(door=door, mac=mac(door, "unlock", challenge(1), 3000)) for door in doors if door
    }
    payloads["for nobody"] = text(door="")
    yield from single("foreign", "foreign_door", payloads)


def forged() -> Iterator[Vector]:
    right = mac(DOOR, "unlock", challenge(1), 3000)
    flipped = {at: right[:at] + ("0" if right[at] != "0" else "1") + right[at + 1 :] for at in range(0, 64, 4)}
    payloads: dict[str, str | bytes] = {f"digit {at} of the mac": text(mac=wrong) for at, wrong in flipped.items()}
    payloads |= {
        "a mac of zeros": text(mac="0" * 64),
        "another key": text(mac=mac(DOOR, "unlock", challenge(1), 3000, bytes(32))),
        "lock made unlock": text(mac=mac(DOOR, "lock", challenge(1), 3000)),
        "unlock made lock": text(action="lock", mac=right),
        "held for longer": text(hold_ms=3001, mac=right),
        "a newer challenge": text(challenge=challenge(2), mac=right),
        "signed for the other door": text(mac=mac("office/back", "unlock", challenge(1), 3000)),
        "a newer version's text": text(mac=hmac.new(KEY, b"latchkey-lock-2|", "sha256").hexdigest()),
        "hold time signed as 03000": text(mac=mac(DOOR, "unlock", challenge(1), "03000")),
    }
    yield from single("forged", "bad_mac", payloads)


def spent() -> Iterator[Vector]:
    yield from single("unknown challenge", "spent_challenge", {str(n): text(n) for n in (0, 2, 3, 2**64, 2**128 - 1)})
    once = [restart(), command("obeyed", text())]
    yield "replayed at once", [*once, command("spent_challenge", text())]
    yield (
        "replayed later",
        [*once, command("spent_challenge", text(), 1500), tick(2000), command("spent_challenge", text(), 2500)],
    )
    yield (
        "locked with it, then unlocked",
        [restart(), command("obeyed", text(action="lock")), command("spent_challenge", text())],
    )
    yield (
        "the next one at once",
        [*once, command("obeyed", text(2)), command("obeyed", text(3)), command("spent_challenge", text(2))],
    )
    both = [restart(), tick(2000)]
    yield "previous, then current", [*both, command("obeyed", text(1), 2500), command("obeyed", text(2), 2500)]
    yield "current, then previous", [*both, command("obeyed", text(2), 2500), command("obeyed", text(1), 2500)]
    yield "previous twice", [*both, command("obeyed", text(1), 2500), command("spent_challenge", text(1), 2500)]
    yield "both twice", [*both, command("obeyed", text(2), 2500), command("obeyed", text(1), 2500),
                         command("spent_challenge", text(1), 2500), command("spent_challenge", text(2), 2500),
                         command("obeyed", text(3), 2500)]  # fmt: skip
    yield "the one before the previous", [*both, tick(4000), command("spent_challenge", text(1), 4000)]
    for at in (0, 125, 1000, 3875):
        old = [restart(), restart(at), command("spent_challenge", text(1), at)]
        yield f"from before a restart at {at} ms", [*old, command("obeyed", text(2), at)]
    yield "replayed after a restart", [*once, restart(1000), command("spent_challenge", text(), 1000)]
    twice = [restart(), restart(500), restart(1000), command("spent_challenge", text(1), 1000)]
    yield (
        "from two restarts ago",
        [*twice, command("spent_challenge", text(2), 1000), command("obeyed", text(3), 1000)],
    )
    for at in (0, 1000, 86_400_000):
        # A broker keeps a command and hands it to the lock at its next start: that is what retained means.
        kept = [restart(), restart(at), command("retained", text(), at, retained=True)]
        yield f"retained, delivered after a start at {at} ms", [*kept, command("obeyed", text(2), at)]
    yield "spent, then retained", [*once, restart(500), command("retained", text(), 500, retained=True)]


def aged() -> Iterator[Vector]:
    for at in range(0, 4000, 250):
        yield f"{at} ms old, the loop asleep", [restart(), command("obeyed", text(), at)]
    for at in (4000, 4125, 5000, 8000, 60_000, 2**32, 2**32 + 125, 2**33):
        stale = [restart(), command("stale_challenge", text(), at), command("spent_challenge", text(), at)]
        yield f"{at} ms old, the loop asleep", [*stale, command("obeyed", text(2), at)]
    for at in range(2000, 4000, 250):
        yield f"{at} ms old, replaced in time", [restart(), tick(2000), command("obeyed", text(), at)]
    for at in (4000, 4125, 5875):
        steps = [restart(), tick(2000), tick(4000), command("spent_challenge", text(), at)]
        yield f"{at} ms old, replaced twice", [*steps, command("obeyed", text(3), at)]
    for at in (125, 1000, 1875):
        yield (
            f"not replaced at {at} ms",
            [restart(), tick(at), command("spent_challenge", text(2), at), command("obeyed", text(), at)],
        )
    yield (
        "stale as the previous one",
        [restart(), tick(3000), command("stale_challenge", text(1), 4000), command("obeyed", text(2), 4000)],
    )
    yield (
        "replaced late",
        [restart(), tick(5000), command("spent_challenge", text(1), 5000), command("obeyed", text(2), 5000)],
    )
    yield "the clock past 49.7 days", [restart(2**32 - 1000), command("obeyed", text(), 2**32 + 1000)]
    yield (
        "replaced past 49.7 days",
        [restart(2**32 - 1000), tick(2**32 + 1000), command("obeyed", text(2), 2**32 + 1000)],
    )


def hurried() -> Iterator[Vector]:
    """Commands that say at which age of the challenge they are too late: the MAC's text is another then."""

    def by(good_ms: object, number: int = 1, **change: object) -> str:
        given = challenge(number)
        signed = hmac.new(KEY, f"latchkey-lock-2|{DOOR}|unlock|{given}|3000|{good_ms}".encode(), "sha256").hexdigest()
        return text(number, **{"good_ms": good_ms, "mac": signed, **change})

    for good_ms, at in ((0, 0), (125, 0), (125, 125), (500, 375), (1000, 1000), (4000, 3875)):
        yield f"good for {good_ms} ms, {at} ms old", [restart(), command("obeyed", by(good_ms), at)]
    for good_ms, at in ((0, 125), (124, 125), (250, 375), (999, 1000), (1000, 3000)):
        late = [restart(), command("late_command", by(good_ms), at), command("spent_challenge", by(good_ms), at)]
        yield f"good for {good_ms} ms, {at} ms old", [*late, command("obeyed", by(500, 2), at)]
    yield "good for longer than the challenge lives", [restart(), command("stale_challenge", by(4000), 4000)]
    yield "counted from its own challenge", [restart(), tick(2000), command("late_command", by(2000, 1), 2125)]
    yield "the newer challenge is younger", [restart(), tick(2000), command("obeyed", by(125, 2), 2125)]
    yield "null is as if it were not there", [restart(), command("obeyed", text(good_ms=None), 3000)]
    yield from single("hurried", "no_command", {
        f"good_ms is {value!r}": text(good_ms=value)
        for value in (-1, 4001, 500.0, 500.5, 2**32, 2**32 + 500, 10**40, "500", "", True, False, [], {})
    })  # fmt: skip
    unsigned = mac(DOOR, "unlock", challenge(1), 3000)
    yield from single("hurried", "bad_mac", {
        "good_ms put in": text(good_ms=4000),
        "good_ms taken out": text(mac=json.loads(by(500))["mac"]),
        "good_ms made null": text(good_ms=None, mac=json.loads(by(500))["mac"]),
        "good_ms made longer": text(good_ms=4000, mac=json.loads(by(500))["mac"]),
        "the hold time's end taken for it": text(hold_ms=300, good_ms=0, mac=json.loads(by(500))["mac"]),
        "signed by the older text": by(500, mac=unsigned),
    })  # fmt: skip


FAMILIES: Final[list[Callable[[], Iterator[Vector]]]] = [
    taken,
    malformed,
    mistyped,
    foreign,
    forged,
    spent,
    aged,
    hurried,
]


def vectors() -> list[dict[str, Any]]:
    return [{"name": name, "steps": steps} for family in FAMILIES for name, steps in family()]


def document() -> str:
    """The file's text: one vector a line."""
    lines = ",\n".join(json.dumps(vector) for vector in vectors())
    return f'{{"key": "{KEY.hex()}", "door": "{DOOR}", "vectors": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    VECTORS.write_text(document(), encoding="utf-8")
