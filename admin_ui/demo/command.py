"""The command `demo` of latchkey-admin: arguments and signals; what is done stands in show.py and check.py."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final

from firmware_config.errors import BadState

PORT: Final = 7860
"""Gradio's usual port, and the page's."""

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse gives its type no other name


def add_demo(commands: Commands) -> None:
    """Add `demo` to the commands of latchkey-admin."""
    demo = commands.add_parser("demo", help="a whole Latchkey on this machine, to look at")
    demo.add_argument("--check", action="store_true", help="no screen: count walk-ups and end with one line of JSON")
    demo.add_argument("--camera", default="", help="as in door.toml (default: the first webcam, otherwise demo:)")
    demo.add_argument("--port", type=_port, default=PORT, help=f"of the page (default {PORT}, or the next free one)")
    demo.add_argument("--embedded-broker", action="store_true", help="amqtt even where Mosquitto is installed")
    demo.add_argument(
        "--owners-wanted",
        type=_share,
        default=None,
        help="with --check: share of owners that must get in (default 0.9)",
    )
    demo.set_defaults(command=run_demo)


def run_demo(options: argparse.Namespace) -> int:
    """-> exit code. Raises LatchkeyError, OSError."""
    _end_on_signals()
    try:
        if options.check:
            from admin_ui.demo.check import check  # noqa: PLC0415 - the other commands do without OpenCV and Gradio
            from admin_ui.demo.tally import OWNERS_WANTED  # noqa: PLC0415 - the same

            wanted = OWNERS_WANTED if options.owners_wanted is None else options.owners_wanted
            return check(options.port, embedded_broker=options.embedded_broker, owners_wanted=wanted)
        from admin_ui.demo.show import show  # noqa: PLC0415 - the same

        return show(options.camera, options.port, embedded_broker=options.embedded_broker)
    except KeyboardInterrupt:
        print("Ended.", file=sys.stderr)
        return 1 if options.check else 0
    except subprocess.TimeoutExpired as error:
        raise BadState(f"{error}. This machine is very busy; try again.") from error


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 1 to 65535")
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: 0 to 1")
    return share


def _end_on_signals() -> None:
    """The first SIGINT, SIGTERM or SIGHUP unwinds everything in order; later ones must not disturb that."""
    asked = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
