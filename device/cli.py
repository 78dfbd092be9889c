"""latchkey-device: run, check or profile the door, read its audit, replay frames, be the lock, fetch the detector."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from device.audit_report import add_commands
from device.door_toml import read_door_toml
from device.memory import loading
from firmware_config.errors import BadState, LatchkeyError, os_sentence
from firmware_config.flag import Flag
from firmware_config.schema import SettingsRefused
from firmware_config.settings import DoorSettings

OK: Final = 0
FAILED: Final = 1
BAD_ARGUMENTS: Final = 2

DEFAULT_SETTINGS: Final = Path("/etc/latchkey/door.toml")
REPLAY_FPS: Final = 15.0
"""Frames per second of the cameras that the boards' defaults ask for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """-> exit code: 0 done, 1 failed, 2 wrong settings or arguments."""
    options = _parser().parse_args(arguments)
    _log_to_stderr(options.verbose)
    try:
        code: int = options.command(options)
    except SettingsRefused as refused:
        print(refused, file=sys.stderr)
        return BAD_ARGUMENTS
    except LatchkeyError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has gone. Python would say so once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latchkey-device", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="watch the door until told to stop")
    _settings(run)
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="look at every part and say what to do about what is wrong")
    _settings(check)
    check.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    check.set_defaults(command=_check)

    replay = commands.add_parser("replay", help="judge recorded frames without broker or lock")
    replay.add_argument("--frames", type=Path, required=True, help="a folder of images, or a video file")
    replay.add_argument("--roster", type=Path, required=True, help="a roster as JSON, or the door's roster.sealed")
    replay.add_argument("--fps", type=_positive, default=REPLAY_FPS, help="frames per second (default 15)")
    replay.add_argument("--model", type=Path, help="a bundle (default: the one that the roster is made for)")
    replay.add_argument("--settings", type=Path, help="door.toml, to open a sealed roster")
    replay.add_argument("--json", action="store_true", help="one JSON object a line")
    replay.set_defaults(command=_replay)

    profile = commands.add_parser("profile", help="where the time of a frame goes: a table and a flame chart")
    profile.add_argument("--source", help="a camera as in door.toml, a video, a folder (default: the settings')")
    profile.add_argument("--seconds", type=_positive, default=30.0, help="how long to look (default 30)")
    profile.add_argument("--settings", type=Path, help="door.toml: its camera, runtime and model")
    profile.add_argument("--model", type=Path, help="a bundle (default: the door's, or the one that comes with it)")
    profile.add_argument("--people", type=int, default=1000, help="made-up people to search among (default 1000)")
    profile.add_argument("--chart", type=Path, default=Path("profile.svg"), help="default profile.svg")
    profile.set_defaults(command=_profile)

    lock = commands.add_parser("lock", help="be the lock: drive a relay on this board, or simulate one")
    which = lock.add_mutually_exclusive_group(required=True)
    which.add_argument("--simulate", action="store_true", help="say what a relay would do")
    which.add_argument("--gpio", type=int, metavar="PIN", help="BCM number of the relay's pin")
    lock.add_argument("--active-low", action="store_true", help="the relay is on when the pin is low")
    lock.add_argument("--contact", type=int, metavar="PIN", help="BCM number of the door contact's pin")
    lock.add_argument("--exit", type=int, metavar="PIN", help="BCM number of the exit button's pin")
    lock.add_argument("--control", type=Path, metavar="PIPE", help="play contact and button: echo open > PIPE")
    lock.add_argument("--fail", choices=("secure", "safe"), default="secure", help="without current: shut, or open")
    lock.add_argument("--exit-hold", type=_positive, default=5.0, help="seconds that the exit button opens (default 5)")
    lock.add_argument("--pairing", type=Path, required=True, help="the lock's pairing folder")
    lock.set_defaults(command=_lock)

    add_commands(commands, DEFAULT_SETTINGS)

    fetch = commands.add_parser("fetch", help="fetch the face detector now, so that the first start needs no network")
    fetch.set_defaults(command=_fetch)
    return parser


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, help=f"default {DEFAULT_SETTINGS}")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0 and at most 1000")
    return value


def _log_to_stderr(verbose: bool) -> None:
    # The journal stamps lines itself; a terminal wants the time.
    stamp = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"{stamp}%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


# Each command loads what it needs: `lock` runs on boards without OpenCV, `check` must be able to say it is missing.


def _run(options: argparse.Namespace) -> int:
    with loading():
        from device.daemon import run  # noqa: PLC0415

    return run(options.settings)


def _check(options: argparse.Namespace) -> int:
    from device.check import check  # noqa: PLC0415

    findings = check(options.settings)
    if options.json:
        print(json.dumps([finding.facts() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(finding)
    if any(finding.part == "settings" and not finding.ok for finding in findings):
        return BAD_ARGUMENTS
    return OK if all(finding.ok for finding in findings) else FAILED


def _replay(options: argparse.Namespace) -> int:
    from device.replay import load_active, replay  # noqa: PLC0415

    settings: DoorSettings | None = read_door_toml(options.settings) if options.settings else None
    active = load_active(options.roster, options.model, settings)
    for line in replay(options.frames, active, options.fps):
        print(json.dumps(line.facts()) if options.json else line, flush=True)
    return OK


def _profile(options: argparse.Namespace) -> int:
    from device.profile import profile  # noqa: PLC0415

    settings = read_door_toml(options.settings) if options.settings else DoorSettings()
    if options.source is not None:
        settings = settings.model_copy(update={"camera": settings.camera.model_copy(update={"source": options.source})})
    print(profile(settings, options.seconds, options.people, options.model, options.chart))
    return OK


def _lock(options: argparse.Namespace) -> int:
    from device.actuator import LockActuator  # noqa: PLC0415
    from device.inputs import gpio_inputs, simulated_inputs  # noqa: PLC0415
    from device.relay import GpioRelay, Relay, SimulatedRelay  # noqa: PLC0415
    from firmware_config.pairing import load_lock  # noqa: PLC0415

    pairing = load_lock(options.pairing)
    fail_safe = options.fail == "safe"
    relay: Relay
    if options.simulate:
        relay = SimulatedRelay(lambda line: print(line, flush=True), fail_safe)
        inputs = simulated_inputs(options.control, relay)
    else:
        relay = GpioRelay(options.gpio, not options.active_low, fail_safe)
        inputs = gpio_inputs(options.contact, options.exit)
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    LockActuator(pairing, relay, inputs=inputs, exit_hold_s=options.exit_hold).run(stop)
    return OK


def _fetch(_options: argparse.Namespace) -> int:
    from device.detector_file import detector_model  # noqa: PLC0415

    try:
        print(detector_model())
    except OSError as error:
        raise BadState(
            f"The face detector cannot be kept: {os_sentence(error)} LATCHKEY_CACHE names a folder for it."
        ) from error
    return OK
