"""Row: the camera is unplugged, stalled, frozen, covered, sends garbage, changes its resolution or its number."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from firmware_config.events import Event
from tests.faults.bench import Figure, Findings, Part, Row
from tests.faults.broker import WHOLE_SITE
from tests.faults.mjpeg import BLACK, NOBODY, OWNER, STRANGER, NetworkCamera, draw_views
from tests.faults.network import Loopback
from tests.faults.renumbered import renumbered
from tests.faults.rig import OWNERS, POLICY, STRANGERS, Rig, tell
from tests.waiting import until

RECOVERED_S = 3.0
NOTICED_S = 1.0
TOO_FEW_FRAMES = POLICY.votes_needed - 1
"""Fresh pictures of an owner before the fault: one more vote, and the door opens."""

GONE_S = (1.5, 14.0)
"""How long a fault holds: short ones, and longer than any backoff should grow."""

VISIT_ENDS_S = 2.0
"""Nobody for so long, and whoever comes next is a visit of their own (device/decide.py, VISIT_GAP_S), also when the
door reads pictures up to a second late because the machine has too much to do."""

LIMIT_S = 30.0


class Watch:
    """What the door has said, by its own clock on this machine, as monotonic seconds."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def said(self, after: float, reason: str = "", outcome: str = "") -> list[float]:
        """When it said so, after that moment."""
        found: dict[str, tuple[float, Event]] = {}
        for _, event in list(self._rig.probe.events):
            at = self._rig.clock.true_time(event.at.timestamp())
            if at > after and reason in ("", event.reason) and outcome in ("", event.outcome):
                found[event.id] = (at, event)
        return sorted(at for at, _ in found.values())

    def wait(self, after: float, reason: str, limit_s: float = LIMIT_S) -> float | None:
        """The first time it said so after that moment."""
        until(lambda: self.said(after, reason), limit_s)
        return next(iter(self.said(after, reason)), None)


class Hurts:
    """Kind of fault -> how to begin and how to end it."""

    def __init__(self, camera: NetworkCamera) -> None:
        self._camera = camera
        self.kinds: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "unplugged": (camera.unplug, camera.plug),
            "stalled": self._setting("stalled", True, False),
            "frozen": self._setting("frozen", True, False),
            "black": self._setting("view", BLACK, NOBODY),
            "garbage": self._setting("garbage", True, False),
        }

    def _setting(self, name: str, hurt: Any, well: Any) -> tuple[Callable[[], None], Callable[[], None]]:
        return lambda: setattr(self._camera, name, hurt), lambda: setattr(self._camera, name, well)


def run(part: Part, findings: Findings) -> None:
    """One site with one camera, hurt part.count times."""
    draw = part.random
    views = draw_views(OWNERS[0], STRANGERS[0])
    with (
        NetworkCamera(views, draw.randrange(10_000)) as camera,
        Rig(part.folder, Loopback(), camera.url, tls=False) as rig,
    ):
        watch = Watch(rig)
        hurts = Hurts(camera)
        assert until(lambda: _comes_in(camera, watch), 30), rig.door.last_words()
        kinds = [*hurts.kinds, "other resolution", "renumbered"]
        order = [kind for _ in range(part.count) for kind in draw.sample(kinds, len(kinds))][: part.count]
        for number, kind in enumerate(order):
            begun = time.monotonic()
            if kind == "renumbered":
                _renumber(part, number, draw, findings)
            elif kind == "other resolution":
                _resize(camera, watch, draw, findings, rig)
            else:
                _hurt(kind, hurts, camera, watch, draw, findings)
            print(f"{time.monotonic():.3f} {number} {kind} took {time.monotonic() - begun:.1f} s", flush=True)
            findings.done += 1
            findings.note(kind, 1)
        tell(rig.settle(), findings)


def _hurt(
    kind: str, hurts: Hurts, camera: NetworkCamera, watch: Watch, draw: random.Random, findings: Findings
) -> None:
    camera.view = NOBODY
    time.sleep(VISIT_ENDS_S)
    # Somebody is one vote short of coming in when it happens: any repeated picture would be that vote.
    shown = draw.choice((OWNER, OWNER, STRANGER))
    before = camera.sent.get(shown, 0)
    camera.view = shown
    assert until(lambda: camera.sent.get(shown, 0) >= before + TOO_FEW_FRAMES, 5, 0.001)
    begin, end = hurts.kinds[kind]
    begin()
    begun = time.monotonic()
    lost = watch.wait(begun - 0.2, "camera_lost", 10)
    time.sleep(max(0.0, draw.uniform(*GONE_S) - (time.monotonic() - begun)))
    decided = watch.said(begun - 0.05, outcome="granted") + watch.said(begun + NOTICED_S, outcome="denied")
    findings.count("repeated", len(decided))
    if decided:
        after = ", ".join(f"{at - begun:.2f}" for at in decided)
        findings.wrong.append(f"{kind}: decisions {after} s after the last fresh picture")
    camera.view = NOBODY
    end()
    ended = time.monotonic()
    back = watch.wait(ended - 0.05, "camera_back")
    _note(findings, kind, begun, lost, ended, back)
    assert until(lambda: _comes_in(camera, watch), 30), f"after {kind} nobody comes in any more"


def _note(findings: Findings, kind: str, begun: float, lost: float | None, ended: float, back: float | None) -> None:
    noticed = LIMIT_S if lost is None else lost - begun
    findings.measure("noticed" if kind == "frozen" else "noticed_other", noticed)
    recovered = LIMIT_S if back is None else back - ended
    findings.measure("recovered", recovered)
    if kind == "frozen" and noticed > NOTICED_S:
        findings.wrong.append(f"frozen: noticed after {noticed:.2f} s")
    if recovered > RECOVERED_S:
        findings.wrong.append(f"{kind} for {ended - begun:.1f} s: recovered after {recovered:.2f} s")


def _resize(camera: NetworkCamera, watch: Watch, draw: random.Random, findings: Findings, rig: Rig) -> None:
    """Another resolution is no loss: the next frames count, and whoever stands there comes in."""
    camera.view = NOBODY
    time.sleep(VISIT_ENDS_S)
    camera.scale = draw.choice([scale for scale in (0.75, 1.0, 1.25, 1.5) if scale != camera.scale])
    changed = time.monotonic()
    camera.view = OWNER
    granted = watch.wait(changed, "granted", LIMIT_S)
    findings.measure("recovered", LIMIT_S if granted is None else granted - changed)
    if granted is None or granted - changed > RECOVERED_S:
        findings.wrong.append(f"resolution times {camera.scale}: nobody came in; the door: {rig.door.last_words()}")


def _renumber(part: Part, number: int, draw: random.Random, findings: Findings) -> None:
    missed, took = renumbered(part.folder / f"nodes-{number}", draw)
    findings.measure("noticed_other", missed)
    findings.measure("recovered", took)
    if took > RECOVERED_S:
        findings.wrong.append(f"renumbered: recovered after {took:.2f} s")


def _comes_in(camera: NetworkCamera, watch: Watch) -> bool:
    """The control: an owner is let in, now."""
    camera.view = NOBODY
    time.sleep(VISIT_ENDS_S)
    begun = time.monotonic()
    camera.view = OWNER
    return until(lambda: watch.said(begun, "granted"), 4)


ROW = Row(
    name="camera",
    title="Camera unplugged, stalled, frozen, black, garbage frames, other resolution, renumbered",
    unit="faults",
    figures=(
        Figure("repeated", "decisions without a fresh picture", at_most=0),
        Figure("noticed", "frozen noticed after", at_most=NOTICED_S, worst=True, unit=" s"),
        Figure("noticed_other", "others noticed after", at_most=5.0, worst=True, unit=" s"),
        Figure("recovered", "recovered after", at_most=RECOVERED_S, worst=True, unit=" s"),
        *WHOLE_SITE,
        Figure("openings", "owners let in", at_least=1),
    ),
    short=7,
    long=200,
    part_size=28,
    part_limit_s=1800,
    run=run,
)
