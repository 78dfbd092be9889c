"""`latchkey-admin demo --check`: twenty people enrolled through the page, sixty walk-ups, one line of JSON.

Two doors with thirty walk-ups each, side by side: one visit must end (a second without a face) before the next
one begins, so sixty in a row at one door would take twice as long.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import Final

from admin_ui.demo.client import PageClient
from admin_ui.demo.stage import Door, Stage, stage
from admin_ui.demo.tally import OWNERS_WANTED, Tally, name_of, percentiles
from device.demo_camera import parse_demo, walkup_script
from firmware_config.errors import BadState

OWNERS: Final = range(21, 41)
STRANGERS: Final = "1-20"
"""AT&T numbers. The default encoder never saw anybody of the AT&T set."""

PLAN: Final = (
    f"demo:?owners={OWNERS.start}-{OWNERS.stop - 1}&strangers={STRANGERS}&approach=2&pause=0.4&leave=0.2&gap=1.2"
)
CAMERAS: Final = {"front": f"{PLAN}&seed=7", "back": f"{PLAN}&seed=8"}

WALKUPS_EACH: Final = 30
"""At each door, owners and strangers by turns: 30 of each kind at the two together."""

APPLIED_S: Final = 10.0
SETTLE_S: Final = 15.0
"""How long an event may take from the door to the page's store."""


def say(sentence: str) -> None:
    """Progress goes to stderr: stdout has the one line of JSON."""
    print(sentence, file=sys.stderr, flush=True)


def check(port: int, *, embedded_broker: bool = False, owners_wanted: float = OWNERS_WANTED) -> int:
    """-> exit code: 0 when no stranger and at least the wanted share of the owners got in.

    Raises BadState, LostLink, OSError.
    The JSON's enrol_to_door_ms is the median, over the twenty people, of the time from handing a photo to the page
    until the page says that every door runs the new list; frame_to_unlock_ms goes from the deciding frame's capture
    to the unlock being handed to the socket.
    """
    with stage(CAMERAS, port, say, embedded_broker=embedded_broker) as set_up:
        page = PageClient(set_up.address, set_up.account, set_up.password)
        say(f"Enrolling {len(OWNERS)} people through the page.")
        enrol_ms = [_enrol(page, set_up, person) for person in OWNERS]
        firsts = {door.name: _next_walkup(set_up, door) for door in set_up.doors}
        say(f"Watching {WALKUPS_EACH} walk-ups at each of {len(set_up.doors)} doors.")
        _watch(set_up, firsts)
        tally, openings = _settled_tally(page, set_up, firsts)
        line = {
            "owner_walkups": tally.owner_walkups,
            "owner_granted": tally.owner_granted,
            "stranger_walkups": tally.stranger_walkups,
            "stranger_granted": tally.stranger_granted,
            "frame_to_unlock_ms": percentiles(tally.frame_to_unlock_ms),
            "enrol_to_door_ms": round(median(enrol_ms), 1),
            "encoder_id": page.wait_applied(set_up.doors[0].name, 0, 1.0)["encoder_id"],
            "broker": set_up.broker,
        }
    problems = [*tally.problems(owners_wanted), *openings]
    for problem in problems:
        say(problem)
    print(json.dumps(line), flush=True)
    return 1 if problems else 0


def _enrol(page: PageClient, set_up: Stage, person: int) -> float:
    """Enrol one and wait until every door runs the list -> milliseconds."""
    began = time.perf_counter()
    photo = set_up.photos / f"person-{person:02}.png"
    for door, generation in page.enrol(name_of(person), photo, say).items():
        page.wait_applied(door, generation, APPLIED_S)
    return (time.perf_counter() - began) * 1000


def _next_walkup(set_up: Stage, door: Door) -> int:
    """The first walk-up that begins after now, by what the door says next about who stands there."""
    period_s = parse_demo(door.camera).period_s
    now = time.monotonic()
    deadline = now + 5 * period_s
    while time.monotonic() < deadline:
        set_up.processes.check()
        heard = door.ears.next(0.2)
        if heard is not None and heard.detail.scene and heard.heard_at >= now:
            return int(heard.detail.scene) + 1
    raise BadState(f"The door {door.name} has said nothing about anybody for {5 * period_s:.0f} s.")


def _watch(set_up: Stage, firsts: dict[str, int]) -> None:
    """Until every door has seen its last counted walk-up, told by the first event of a later one, or by the clock."""
    began = time.monotonic()
    waiting = {door.name: door for door in set_up.doors}
    told = 0
    while waiting:
        set_up.processes.check()
        for name, door in list(waiting.items()):
            heard = door.ears.next(0.1)
            last = firsts[name] + WALKUPS_EACH - 1
            over = time.monotonic() - began > (WALKUPS_EACH + 2) * parse_demo(door.camera).period_s
            if over or (heard is not None and heard.detail.scene and int(heard.detail.scene) > last):
                del waiting[name]
        share = int(10 * (time.monotonic() - began) / (WALKUPS_EACH * parse_demo(set_up.doors[0].camera).period_s))
        if told < share <= 10:
            told = share
            say(f"  {10 * share} %")


def _settled_tally(page: PageClient, set_up: Stage, firsts: dict[str, int]) -> tuple[Tally, list[str]]:
    """The tally, and a sentence for each door where relay, lock and page do not agree on how often it opened."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        tally, disagreements = Tally(), []
        for door in set_up.doors:
            relay, lock = door.openings, door.ears.unlocks
            events = page.events(door.name)
            grants = sum(event["outcome"] == "granted" for event in events)
            if not relay == lock == grants:
                disagreements.append(
                    f"The door {door.name} opened {relay} times, its lock reported {lock}, the page lists {grants}."
                )
            first = firsts[door.name]
            script = walkup_script(door.camera)[first - 1 : first - 1 + WALKUPS_EACH]
            tally.add(door.name, script, events)
        if not disagreements or time.monotonic() > deadline:
            return tally, disagreements
        time.sleep(0.3)
