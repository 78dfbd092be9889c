"""The fault bench: real daemon, lock and broker as processes, hurt on purpose; what must not happen is counted.

    make faults                                          everything, for hours
    make faults ARGS="--only broker,camera --hours 1"    a part of it
    make faults ARGS="--only broker --seed 7 --part 3"   one part again, as it was
    make faults-short                                    a few minutes, part of `make test`

Exit status: 0, or 1 when a figure is missed. docs/faults.md says what each row does.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.bench import Findings
from tests.faults.rows import all_rows
from tests.faults.runner import main_of_part, run_parts

SHORT_SEED = 1
SHORT_JOBS = 4
LONG_JOBS = 2
"""Parts at once: most of a part is waiting, but what it measures should not be this machine's want of cores."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.run_part:
        return main_of_part(options.run_part)
    rows = all_rows()
    named = [name.strip() for name in options.only.split(",")] if options.only else list(rows)
    # `fuzz` stands for fuzz-photo and all the others; `commands` is a row itself.
    meant = {name: [name] if name in rows else [row for row in rows if row.startswith(f"{name}-")] for name in named}
    chosen = [row for found in meant.values() for row in found]
    unknown = [name for name, found in meant.items() if not found]
    if unknown:
        print(f"There is no row named {', '.join(unknown)}; the rows are: {', '.join(rows)}.", file=sys.stderr)
        return 2
    seed = options.seed if options.seed is not None else SHORT_SEED if options.short else random.randrange(1, 10**6)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="latchkey-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + (options.hours * 3600 if options.hours else float("inf"))
    ci = os.environ.get("CI") == "true"
    print(f"Seed {seed}; files of what goes wrong stay in {folder}.", flush=True)
    counts = {name: options.count or (rows[name].short if options.short else rows[name].long) for name in chosen}
    parts = {name: rows[name].parts(seed, counts[name], folder, options.short) for name in chosen}
    if options.part is not None:
        parts = {name: [part for part in listed if part.index == options.part] for name, listed in parts.items()}
    if options.minutes:
        at_most = round(options.minutes * 60)
        parts = {name: [replace(part, at_most=at_most) for part in listed] for name, listed in parts.items()}
    wanted = {name: sum(part.count for part in listed) for name, listed in parts.items()}
    table: list[dict[str, Any]] = []

    def done(name: str, found: Findings, wall_s: float) -> None:
        row = rows[name]
        facts = row.facts(found, wanted[name], ci=ci) | {"seed": seed, "wall_s": round(wall_s, 1)}
        facts["shown"] = [figure.tells(found.values.get(figure.key, [])) for figure in row.figures]
        table.append(facts)
        if options.json:
            options.json.write_text(json.dumps(table, indent=1), encoding="utf-8")
        print(told(facts), flush=True)

    jobs = options.jobs or (SHORT_JOBS if options.short else LONG_JOBS)
    run_parts(rows, parts, counts, jobs, until, options.keep, done)
    missed = [facts["row"] for facts in table if facts["missed"]]
    unfinished = [facts["row"] for facts in table if 0 < facts["done"] < facts["wanted"]]
    said = f"Missed: {', '.join(missed)}." if missed else "All figures are met."
    if unfinished:
        said += f" Not through yet: {', '.join(unfinished)}."
    print(f"\n{said} Seed {seed}.")
    return 1 if missed else 0


def told(facts: dict[str, Any]) -> str:
    """A row for the terminal."""
    whole = facts["done"] >= facts["wanted"]
    state = "MISSED" if facts["missed"] else "left out" if not facts["done"] else "met" if whole else "so far"
    lines = [
        f"{state:8} {facts['title']}",
        f"         {facts['done']:,} of {facts['wanted']:,} {facts['unit']} in {facts['wall_s']:.0f} s",
    ]
    if facts["done"]:
        lines += [f"         {figure}" for figure in facts["shown"]]
    if facts["notes"]:
        lines.append("         " + ", ".join(f"{name} {number:,.0f}" for name, number in facts["notes"].items()))
    lines += [f"         left out: {what}: {why}" for what, why in facts["left_out"].items()]
    lines += [f"         !! {sentence}" for sentence in facts["missed"][:20]]
    return "\n".join(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="the few minutes that belong to `make test`")
    parser.add_argument("--only", metavar="ROW,ROW", help="these rows alone")
    parser.add_argument(
        "--seed", type=int, help=f"of all chance (default: {SHORT_SEED} with --short, else drawn and told)"
    )
    parser.add_argument("--part", type=int, help="this part alone, from 0: to replay what went wrong")
    parser.add_argument("--count", type=int, help="so many faults instead of the row's own number")
    parser.add_argument("--hours", type=float, help="begin no new part after so long")
    parser.add_argument(
        "--minutes", type=float, help="of each fuzzing target now; what is missing of its hour is for the next time"
    )
    parser.add_argument("--jobs", type=int, help=f"parts at once (default {LONG_JOBS}, {SHORT_JOBS} with --short)")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--folder", type=Path, help="for the files of parts (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep the files of parts that went well too")
    parser.add_argument("--run-part", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
