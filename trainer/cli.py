"""latchkey-trainer: one subcommand a job. Bad input ends in one sentence and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from firmware_config.errors import LatchkeyError, os_sentence
from trainer.commands import learn, measure, one_shot, pack, prepare, release


def build_parser() -> argparse.ArgumentParser:
    """The command line, in the order of the work."""
    parser = argparse.ArgumentParser(prog="latchkey-trainer", description="Train, measure and bundle the encoder.")
    jobs = parser.add_subparsers(dest="job", required=True)
    for commands in (prepare, learn, measure, one_shot, pack, release):
        commands.add(jobs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 for bad input and for a file that cannot be read or written, with a sentence; 130 after Ctrl-C."""
    args = build_parser().parse_args(arguments)
    try:
        args.do(args)
    except LatchkeyError as error:
        print(f"latchkey-trainer: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"latchkey-trainer: {os_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("latchkey-trainer: stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
