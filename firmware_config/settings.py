"""door.toml and admin.toml -> typed settings. Every error at once, each with its key and what to do.

The manner is mopidy's: an unknown key is an error, a misspelled one gets "did you mean".
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from firmware_config.errors import BadInput
from firmware_config.messages import NAME_PATTERN
from firmware_config.tomltext import TomlRefused, parse_toml

PLAIN_PORT: Final = 1883
TLS_PORT: Final = 8883
"""Ports that IANA registered for MQTT without and with TLS."""

SHOWN: Final = 80
"""Characters of a wrong value that are repeated to whoever wrote it."""

SECRET_IN_URL: Final = re.compile(r"//[^/\s]*@")


class SettingsRefused(BadInput):
    """One or more wrong settings in one file; `problems` has a sentence each."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"{path} has {len(problems)} problem(s):\n" + "\n".join(f"  {line}" for line in problems))


class Section(BaseModel):
    """Base of all sections: no unknown key, no changing afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(Section):
    """Where the MQTT broker is and how to be let in. Secrets stay in files of their own."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = Field(default=5, ge=2, le=600)

    @field_validator("url")
    @classmethod
    def _mqtt(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS")
        if parts.username or parts.password:
            raise ValueError("put the user into `username` and the password into `password_file`")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("nothing may follow the port")
        _ = parts.port  # raises ValueError where it is no number from 0 to 65535
        return url

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (TLS_PORT if self.tls else PLAIN_PORT)


class CameraSettings(Section):
    """source: `0`, `/dev/video0`, `libcamera:`, `jetson:`, `gst:PIPELINE`, `rtsp://...`, `http://...`, a file, a
    folder, or `demo:`. docs/boards.md says which is for what."""

    source: str = "0"
    format: Literal["any", "mjpeg", "yuyv"] = "any"
    """What a V4L2 camera is asked for. mjpeg: little on the cable, 2 ms a picture to decode; yuyv: the reverse."""
    width: int = Field(default=640, ge=160, le=7680)
    height: int = Field(default=480, ge=120, le=4320)
    fps: float = Field(default=15.0, gt=0, le=120)


class LockSettings(Section):
    """mqtt: a lock that listens to the broker; gpio: a relay on this board, which opens with the network down."""

    kind: Literal["mqtt", "gpio"] = "mqtt"
    gpio_pin: int = Field(default=17, ge=0, le=53)
    """BCM number of the pin."""
    active_high: bool = True
    fail: Literal["secure", "safe"] = "secure"
    """What the lock is without current: secure is shut (a strike that needs current to let go), safe is open (a
    magnet that needs current to hold). Where people must get out in a fire, the building's rules say which."""
    contact_pin: int | None = Field(default=None, ge=0, le=53)
    """BCM number; a switch to ground that is closed while the leaf is. Only for kind gpio."""
    exit_pin: int | None = Field(default=None, ge=0, le=53)
    """BCM number; a button to ground. Only for kind gpio."""
    exit_hold_s: float = Field(default=5.0, ge=0.2, le=60)
    """How long the exit button lets the bolt go, seconds."""
    held_open_s: float = Field(default=30.0, ge=1, le=3600)
    """A door that is open for longer, seconds, is reported."""

    @model_validator(mode="after")
    def _one_wire_a_pin(self) -> LockSettings:
        pins = [pin for pin in (self.gpio_pin, self.contact_pin, self.exit_pin) if pin is not None]
        if len(set(pins)) < len(pins):
            raise ValueError("gpio_pin, contact_pin and exit_pin must be three different pins")
        return self


class RuntimeSettings(Section):
    """How onnxruntime uses the board."""

    threads: int = Field(default=1, ge=1, le=64)
    cpus: list[Annotated[int, Field(ge=0, le=1023)]] = Field(default_factory=list, max_length=64)
    """Cores that the door keeps to, counted from 0; none: all. Under systemd CPUAffinity= is the way."""
    providers: list[Literal["auto", "cpu", "xnnpack", "acl", "openvino", "cuda", "tensorrt"]] = Field(
        default=["auto"], min_length=1, max_length=7
    )
    """onnxruntime's execution providers that may run the networks. Each is measured once at a start; the CPU is always
    there. auto: all that this build of onnxruntime has."""
    detect_size: int = Field(default=320, ge=96, le=1280)
    """Long side, in pixels, of what the face detector sees."""
    idle_fps: float = Field(default=1.0, ge=0.2, le=120)
    """How often a door looks for faces while nobody is there and nothing moves, times a second. At the camera's rate or
    above it never rests."""


class AuditSettings(Section):
    """The door's record of what it decided."""

    keep_days: int = Field(default=1095, ge=1, le=36_500)
    """How old a record becomes at least. Older ones are pruned a whole file (10,000 records) at a time, once the page
    has agreed; three years outlast most questions, and at 1 kB a record most SD cards."""


class DoorSettings(Section):
    """door.toml."""

    board: str = "workstation"
    board_model: str = ""
    """A part of what the board calls itself in /proc/device-tree/model, from the board's file; empty: any machine."""
    pairing: Path = Path("/etc/latchkey/pairing")
    state: Path = Path("/var/lib/latchkey")
    """Where roster, model, audit and outbox are kept."""
    models: Path | None = None
    """Bundle to start with; none: the one that comes with the package."""
    camera: CameraSettings = CameraSettings()
    lock: LockSettings = LockSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    audit: AuditSettings = AuditSettings()


class PageSettings(Section):
    """Where the admin page listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=1, le=65535)
    secure_cookies: bool = False
    """True when the page is reached through https only."""


class AdminSettings(Section):
    """admin.toml."""

    site: str = Field(pattern=NAME_PATTERN)
    state: Path = Path("/var/lib/latchkey-admin")
    """Where keys, store and bundles are kept."""
    store: str = ""
    """SQLAlchemy URL; empty: SQLite in the state folder."""
    page: PageSettings = PageSettings()
    broker: BrokerSettings = BrokerSettings()


S = TypeVar("S", bound=Section)


def read_toml(path: Path) -> dict[str, Any]:
    """Raises SettingsRefused with one sentence for a missing file or wrong TOML."""
    try:
        return parse_toml(path.read_bytes())
    except FileNotFoundError:
        raise SettingsRefused(path, ["The file is not there."]) from None
    except OSError as error:
        raise SettingsRefused(path, [f"The file cannot be read: {error}."]) from error
    except TomlRefused as refused:
        raise SettingsRefused(path, [f"This is not TOML: {refused}."]) from refused


def validate(kind: type[S], values: dict[str, Any], path: Path) -> S:
    """Raises SettingsRefused with all that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_sentence(kind, dict(problem)) for problem in error.errors(include_url=False)]
        raise SettingsRefused(path, problems) from error


def board_names() -> list[str]:
    """Boards that defaults are known for."""
    folder = resources.files("firmware_config") / "boards"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_door(path: Path) -> DoorSettings:
    """door.toml over the defaults of its board. Relative paths count from the file. Raises SettingsRefused."""
    values = read_toml(path)
    board = values.get("board", "workstation")
    if board not in board_names():
        known = ", ".join(board_names())
        validated = _problems(DoorSettings, {**values, "board": "workstation"}, path)
        raise SettingsRefused(path, [f"board: no defaults for {board!r}; known boards are {known}.", *validated])
    text = (resources.files("firmware_config") / "boards" / f"{board}.toml").read_bytes()
    settings = validate(DoorSettings, _merge(parse_toml(text), values), path)
    return _anchor(settings, path)


def load_admin(path: Path) -> AdminSettings:
    """admin.toml. Relative paths count from the file. Raises SettingsRefused."""
    settings = validate(AdminSettings, read_toml(path), path)
    return _anchor(settings.model_copy(update={"broker": _anchor(settings.broker, path)}), path)


def _problems(kind: type[S], values: dict[str, Any], path: Path) -> list[str]:
    try:
        validate(kind, values, path)
    except SettingsRefused as refused:
        return refused.problems
    return []


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _anchor(section: S, path: Path) -> S:
    """Relative paths are meant from the file they stand in, wherever the daemon was started."""
    folder = path.resolve().parent
    changed = {
        name: folder / value
        for name in type(section).model_fields
        if isinstance(value := getattr(section, name), Path) and not value.is_absolute()
    }
    return section.model_copy(update=changed)


def _sentence(kind: type[Section], problem: dict[str, Any]) -> str:
    place = [str(part) for part in problem["loc"]]
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(place[-1], _known_keys(kind, place[:-1]), n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{key}: there is no such setting.{hint}"
    if problem["type"] == "missing":
        return f"{key}: this setting is needed."
    message = str(problem["msg"]).removeprefix("Value error, ")
    # A password that somebody wrote into a URL must not end in a log.
    found = SECRET_IN_URL.sub("//***@", repr(problem["input"]))
    if len(found) > SHOWN:
        found = f"{found[:SHOWN]}..."
    return f"{key}: {message[:1].lower()}{message[1:]} (found {found})."


def _known_keys(kind: type[Section], place: list[str]) -> list[str]:
    section: Any = kind
    for name in place:
        known = section.model_fields.get(name)
        if known is None or not isinstance(known.annotation, type) or not issubclass(known.annotation, Section):
            return []
        section = known.annotation
    return list(section.model_fields)
