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
from pathlib import Path
from typing import Any

from tests.faults.rows import all_rows
from tests.faults.runner import main_of_part, run_row

SHORT_SEED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.run_part:
        return main_of_part(options.run_part)
    rows = all_rows()
    chosen = [name.strip() for name in options.only.split(",")] if options.only else list(rows)
    unknown = [name for name in chosen if name not in rows]
    if unknown:
        print(f"There is no row named {', '.join(unknown)}; the rows are: {', '.join(rows)}.", file=sys.stderr)
        return 2
    seed = options.seed if options.seed is not None else SHORT_SEED if options.short else random.randrange(1, 10**6)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="latchkey-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + (options.hours * 3600 if options.hours else float("inf"))
    ci = os.environ.get("CI") == "true"
    print(f"Seed {seed}; files of what goes wrong stay in {folder}.", flush=True)
    table: list[dict[str, Any]] = []
    for name in chosen:
        row = rows[name]
        count = wanted = options.count or (row.short if options.short else row.long)
        parts = row.parts(seed, count, folder, options.short)
        if options.part is not None:
            parts = [part for part in parts if part.index == options.part]
            wanted = sum(part.count for part in parts)
        begun = time.monotonic()
        found = run_row(row, parts, count, options.jobs, until, options.keep, lambda line: print(line, flush=True))
        facts = row.facts(found, wanted, ci=ci) | {"seed": seed, "wall_s": round(time.monotonic() - begun, 1)}
        facts["shown"] = [figure.tells(found.values.get(figure.key, [])) for figure in row.figures]
        table.append(facts)
        if options.json:
            options.json.write_text(json.dumps(table, indent=1), encoding="utf-8")
        print(told(facts), flush=True)
    missed = [facts["row"] for facts in table if facts["missed"]]
    print(f"\nMissed: {', '.join(missed)}. Seed {seed}." if missed else f"\nAll figures are met. Seed {seed}.")
    return 1 if missed else 0


def told(facts: dict[str, Any]) -> str:
    """A row for the terminal."""
    state = "MISSED" if facts["missed"] else "left out" if not facts["done"] else "met"
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
    parser.add_argument("--jobs", type=int, default=2, help="parts at once (default 2)")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--folder", type=Path, help="for the files of parts (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep the files of parts that went well too")
    parser.add_argument("--run-part", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
