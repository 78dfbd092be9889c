"""Row: the broker is killed, restarted, cut off, slow, out of date, and the clock jumps, while people come and go."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.faults.bench import Figure, Findings, Part, Row, Skipped
from tests.faults.clock import WallClock
from tests.faults.network import Loopback, Network, Wires
from tests.faults.rig import Rig, tell

BACK_WITHIN_S = 5.0
GIVE_UP_S = 40.0
"""A party that is not back after so long counts with this time; the row has failed long before."""

DEMO = "demo:?owners=31,32&strangers=5,6&photos=1&seed={seed}&approach=0.6&pause=0.9&leave=0.1&gap=1.2"
"""A walk-up each 2.8 s, owners and strangers by turns: somebody stands there in most faults."""

CUTS = (("door",), ("lock",), ("office",), ("door", "lock"), ("door", "lock", "office"))
JUMPS_S = (-86_400, -7_200, -3_600, 3_600, 7_200, 86_400)
"""Longer than a part takes, so that each record of the door's can be put at its true time."""

WHOLE_SITE = (
    Figure("unfounded", "unlocks without a fresh grant", at_most=0),
    Figure("strangers", "strangers let in", at_most=0),
    Figure("lost", "events lost", at_most=0),
    Figure("extra", "events doubled or made up", at_most=0),
    Figure("stale", "unlocks handed over on evidence older than 500 ms", at_most=0),
    Figure("late", "relay moved on evidence older than 500 ms", at_most=0),
    Figure("evidence", "oldest evidence at the relay", at_most=0.5, worst=True, unit=" s"),
)


class Hurts:
    """One method a kind of fault: it hurts, holds, ends the hurting and returns."""

    def __init__(self, rig: Rig, draw: random.Random) -> None:
        self._rig, self._draw = rig, draw

    def killed(self) -> None:
        self._rig.broker.end(signal.SIGKILL)
        time.sleep(self._draw.uniform(0.1, 4.0))
        self._rig.broker.start()

    def restarted(self) -> None:
        self._rig.broker.end(signal.SIGTERM)
        self._rig.broker.start()

    def half_open(self) -> None:
        wires = self._wires()
        wires.cut(self._draw.choice(CUTS))
        time.sleep(self._draw.uniform(0.3, 12.0))
        wires.heal()

    def slow(self) -> None:
        wires = self._wires()
        wires.slow(self._draw.choice(CUTS), self._draw.choice((16, 32, 64)))
        time.sleep(self._draw.uniform(2.0, 6.0))
        wires.heal()

    def clock_jumped(self) -> None:
        clocks: list[WallClock] = self._draw.choice(
            ([self._rig.clock], [self._rig.lock_clock], [self._rig.clock, self._rig.lock_clock])
        )
        by_s = self._draw.choice(JUMPS_S)
        for clock in clocks:
            clock.jump(by_s)
        time.sleep(self._draw.uniform(1.0, 4.0))
        for clock in clocks:
            clock.jump(0)

    def certificate_expired(self) -> None:
        assert self._rig.certificates is not None
        self._rig.certificates.issue(expired=True)
        self._rig.broker.end(signal.SIGTERM)
        self._rig.broker.start()
        time.sleep(self._draw.uniform(1.0, 4.0))
        self._rig.certificates.issue()
        self._rig.broker.end(signal.SIGTERM)
        self._rig.broker.start()

    def _wires(self) -> Wires:
        assert isinstance(self._rig.network, Wires)
        return self._rig.network


def run(part: Part, findings: Findings) -> None:
    """One site, hurt part.count times."""
    draw = part.random
    with ExitStack() as stack:
        network = _network(stack, findings)
        rig = stack.enter_context(Rig(part.folder, network, DEMO.format(seed=draw.randrange(10_000))))
        hurts = Hurts(rig, draw)
        kinds: dict[str, Callable[[], None]] = {
            "killed": hurts.killed,
            "restarted": hurts.restarted,
            "certificate expired": hurts.certificate_expired,
        }
        if isinstance(network, Wires):
            kinds |= {"half-open": hurts.half_open, "slow": hurts.slow}
        if rig.can_jump:
            kinds["clock jumped"] = hurts.clock_jumped
        else:
            findings.leave_out("clock jumped", "this needs a C compiler: apt-get install gcc libc6-dev")
        # Each kind as often as the others, in an order drawn by chance.
        order = [name for _ in range(part.count) for name in draw.sample(list(kinds), len(kinds))][: part.count]
        for number, kind in enumerate(order):
            time.sleep(draw.uniform(0.3, 2.0))
            begun = time.monotonic()
            kinds[kind]()
            ended = time.monotonic()
            took = rig.back_within(ended, GIVE_UP_S)
            for who, seconds in took.items():
                findings.measure("back", seconds)
                if seconds > BACK_WITHIN_S:
                    findings.wrong.append(
                        f"fault {number}, {kind} for {ended - begun:.1f} s: {who} back after {seconds:.1f} s"
                    )
            print(f"{ended:.3f} {number} {kind} {ended - begun:.1f} s: {took}", flush=True)
            findings.done += 1
            findings.note(kind, 1)
        tell(rig.settle(), findings)


def _network(stack: ExitStack, findings: Findings) -> Network:
    try:
        return stack.enter_context(Wires())
    except Skipped as skipped:
        findings.leave_out("half-open and slow", str(skipped))
        return Loopback()


ROW = Row(
    name="broker",
    title="Broker killed, restarted, half-open, slow, clock jumped, certificate expired, while people come and go",
    unit="faults",
    figures=(
        *WHOLE_SITE,
        Figure("back", "back after", at_most=BACK_WITHIN_S, worst=True, unit=" s"),
        Figure("openings", "owners let in", at_least=1),
    ),
    short=18,
    long=2000,
    part_size=25,
    part_limit_s=1800,
    short_part_size=9,
    run=run,
)
