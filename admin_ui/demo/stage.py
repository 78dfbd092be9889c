"""Set the stage: one site, its doors and their locks, a broker and the page, all on this machine, all in one folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import httpx

from admin_ui.accounts import generate_password
from admin_ui.demo.broker import start_broker
from admin_ui.demo.ears import Ears
from admin_ui.demo.processes import LOOPBACK, Processes, Running, next_free_port, own_program
from admin_ui.founding import FIRST_ACCOUNT
from device.detector_file import detector_model
from firmware_config.att import att_faces
from firmware_config.pairing import load_door
from firmware_config.settings import BrokerSettings

SITE: Final = "demo"
RELAY_OPENS: Final = "The lock opens."
"""What the simulated relay prints (device/relay.py)."""

COMMAND_S: Final = 120.0
"""For `init` and `door add`: two seconds each on a free machine."""
PAGE_S: Final = 240.0
"""Gradio takes 5 s to import on a laptop; right after its installation, on a machine with other work, two minutes."""
DOOR_S: Final = 120.0

PHOTO_SCALE: Final = 4
"""AT&T photos have 92x112 pixels; this makes them the size that people upload."""
ROOM_AROUND: Final = 0.4
"""Border on each side, in widths of the photo."""


@dataclass(frozen=True)
class Door:
    """One door that runs. `lock`: the program whose relay is what really opens."""

    name: str
    camera: str
    ears: Ears
    lock: Running

    @property
    def openings(self) -> int:
        """How often the simulated relay has let go, by its own words."""
        return self.lock.log.read_text(encoding="utf-8").count(RELAY_OPENS)


@dataclass(frozen=True)
class Stage:
    """What runs. address: of the page. photos: one PNG for each person of the AT&T set, by number."""

    address: str
    account: str
    password: str
    broker: str
    doors: tuple[Door, ...]
    processes: Processes
    photos: Path


@contextmanager
def stage(
    cameras: Mapping[str, str], port: int, say: Callable[[str], None], *, embedded_broker: bool = False
) -> Iterator[Stage]:
    """Everything up when the block begins, and nothing left of it after.

    cameras: door -> camera as in door.toml. port: of the page, or the next one that is free. embedded_broker: amqtt
    even where Mosquitto is installed. Raises BadState, LostLink, OSError.
    """
    folder = Path(tempfile.mkdtemp(prefix="latchkey-demo-"))
    try:
        with Processes(folder / "logs") as processes, ExitStack() as ears:
            yield _set(folder, processes, ears, cameras, port, say, embedded_broker)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set(
    folder: Path,
    processes: Processes,
    ears: ExitStack,
    cameras: Mapping[str, str],
    port: int,
    say: Callable[[str], None],
    embedded_broker: bool,
) -> Stage:
    say("Fetching the face detector and the AT&T faces, the first time only.")
    with ThreadPoolExecutor(2) as pool:
        detector, photos = pool.submit(detector_model), pool.submit(write_photos, folder / "photos")
        broker_port, broker = start_broker(processes, folder, embedded=embedded_broker)
        detector.result()
        photos.result()
    page_port = next_free_port(port)
    if page_port != port:
        say(f"Port {port} is taken, so the page takes {page_port}.")
    say(f"Making a site with its keys. The broker is {broker}.")
    url = f"mqtt://{LOOPBACK}:{broker_port}"
    admin_toml, password = _found(folder, processes, url, page_port)
    for name in cameras:
        _add_door(folder, processes, admin_toml, name)
    say("Starting the page.")
    address = f"http://{LOOPBACK}:{page_port}"
    processes.start("page", [own_program("latchkey-admin"), "serve", "--settings", str(admin_toml)])
    # The doors after the page: two programs that load at once on two cores make each other slow.
    processes.wait_for("The page", lambda: _answers(f"{address}/healthz"), PAGE_S)
    say("Starting the door and its lock." if len(cameras) == 1 else "Starting the doors and their locks.")
    doors = [
        _start_door(folder, processes, ears, BrokerSettings(url=url), name, camera) for name, camera in cameras.items()
    ]
    for door in doors:
        processes.wait_for(f"The door {door.name}", lambda door=door: door.ears.door_is_up, DOOR_S)  # type: ignore[misc]
    return Stage(address, FIRST_ACCOUNT, password, broker, tuple(doors), processes, folder / "photos")


def _start_door(
    folder: Path, processes: Processes, ears: ExitStack, broker: BrokerSettings, name: str, camera: str
) -> Door:
    pairing = folder / "pairing" / name
    settings = folder / f"{name}.toml"
    settings.write_text(_door_settings(pairing / "door", folder / name, camera), encoding="utf-8")
    program = own_program("latchkey-device")
    listener = Ears(load_door(pairing / "door").door_key, broker, SITE, name)
    listener.start()
    ears.callback(listener.stop)
    lock = processes.start(f"lock-{name}", [program, "lock", "--simulate", "--pairing", str(pairing / "lock")])
    processes.start(f"door-{name}", [program, "run", "--settings", str(settings)])
    return Door(name, camera, listener, lock)


def _found(folder: Path, processes: Processes, broker_url: str, port: int) -> tuple[Path, str]:
    """A site, by the command that an administrator would use -> admin.toml and the password."""
    program = own_program("latchkey-admin")
    settings = folder / "admin.toml"
    password = generate_password()
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n", encoding="utf-8")
    common = ["--settings", str(settings)]
    places = ["--site", SITE, "--state", str(folder / "admin"), "--broker", broker_url, "--port", str(port)]
    processes.run(
        "latchkey-admin init", [program, "init", *common, *places, "--password-file", str(password_file)], COMMAND_S
    )
    password_file.unlink()
    return settings, password


def _add_door(folder: Path, processes: Processes, settings: Path, name: str) -> None:
    command = [own_program("latchkey-admin"), "door", "add", name, "--settings", str(settings)]
    processes.run("latchkey-admin door add", [*command, "--out", str(folder / "pairing" / name)], COMMAND_S)


def _door_settings(pairing: Path, state: Path, camera: str) -> str:
    # A JSON string is a TOML string.
    return "\n".join(
        [
            'board = "workstation"',
            f"pairing = {json.dumps(str(pairing))}",
            f"state = {json.dumps(str(state))}",
            "[camera]",
            f"source = {json.dumps(camera)}",
            "",
        ]
    )


def write_photos(folder: Path) -> None:
    """The first photo of each AT&T person as person-01.png to person-40.png. Raises LostLink, BadInput.

    Enlarged to the size that people upload, and with room around the head: some fill theirs so tightly that a
    detector made for faces in rooms does not find them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, photos in att_faces().items():
        large = cv2.resize(photos[0], None, fx=PHOTO_SCALE, fy=PHOTO_SCALE, interpolation=cv2.INTER_CUBIC)
        room = int(ROOM_AROUND * large.shape[1])
        framed = cv2.copyMakeBorder(large, room, room, room, room, cv2.BORDER_REPLICATE)
        cv2.imwrite(str(folder / f"person-{number:02}.png"), framed)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
