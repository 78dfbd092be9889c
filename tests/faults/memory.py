"""Row: how the door's memory grows while it sees a million frames, with people among them, broker and office up."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.faults.bench import Figure, Findings, Part, Row
from tests.faults.broker import WHOLE_SITE
from tests.faults.network import Loopback
from tests.faults.rig import START_LIMIT_S, Rig, tell

GROWS_MB = 5.0
WARM_UP_FRAMES = 20_000
"""By then every buffer has had its largest content and the allocator its pools; a short run warms up for a third."""

FRAME_LIMIT_S = 0.05
"""So long a frame may take on a busy machine before the run counts as hung."""


def run(part: Part, findings: Findings) -> None:
    """part.count frames in one process."""
    with Rig(part.folder, Loopback(), "demo:?owners=31&strangers=5&photos=1&walkups=1", tls=False) as rig:
        assert rig.door.stop() == 0, rig.door.last_words()
        begun = time.monotonic()
        said = part.folder / "memory.txt"
        replayed = subprocess.run(
            [sys.executable, "-m", "tests.faults.replayed_door", str(part.folder / "door.toml"), str(part.count)],
            stdout=said.open("wb"),
            stderr=(part.folder / "replayed.log").open("wb"),
            timeout=120 + part.count * FRAME_LIMIT_S,
            check=False,
        )
        assert replayed.returncode == 0, (part.folder / "replayed.log").read_text(encoding="utf-8")[-2000:]
        findings.note("frames a second", round(part.count / (time.monotonic() - begun)))
        # What was not acknowledged when the frames ended is on its disk: a door that starts again sends it.
        rig.start_door()
        assert max(rig.back_within(time.monotonic(), START_LIMIT_S).values()) < START_LIMIT_S, rig.door.last_words()
        tell(rig.settle(), findings)
    sizes = [(int(frames), float(mb)) for frames, mb in map(str.split, said.read_text().splitlines())]
    warm = min(WARM_UP_FRAMES, part.count // 3)
    before = max(mb for frames, mb in sizes if frames <= warm)
    after = [mb for frames, mb in sizes if frames > warm]
    findings.done = sizes[-1][0]
    findings.measure("grows", max(after) - before)
    findings.note("MB after warm-up", round(before))


ROW = Row(
    name="memory",
    title="Memory over frames replayed as fast as the door takes them",
    unit="frames",
    figures=(
        Figure("grows", "grows after warm-up", at_most=GROWS_MB, worst=True, unit=" MB"),
        *WHOLE_SITE,
        Figure("openings", "owners let in", at_least=1),
    ),
    short=5_000,
    long=1_000_000,
    part_size=1_000_000,
    part_limit_s=60_000,
    run=run,
)
