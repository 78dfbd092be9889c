"""door.toml and admin.toml -> typed settings: what may be set, within which bounds, and over which defaults."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from firmware_config.messages import NAME_PATTERN
from firmware_config.schema import Section, SettingsRefused, read_toml, validate
from firmware_config.tomltext import parse_toml

PLAIN_PORT: Final = 1883
TLS_PORT: Final = 8883
"""Ports that IANA registered for MQTT without and with TLS."""


def _check_host(host: str) -> None:
    """Raises ValueError for what no resolver takes: it would fail anew at each attempt to connect."""
    try:
        known = bool(host.encode("idna")) and "\0" not in host
    except UnicodeError:
        known = False
    if not known:
        raise ValueError(f"{host!r} is no name of a machine: between its dots stand 1 to 63 characters")


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
        _check_host(parts.hostname)
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


LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
"""Browsers give a webcam to these without https."""


class PageSettings(Section):
    """Where the admin page listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=1, le=65535)
    secure_cookies: bool = False
    """True when the page is reached through https only, by a proxy; with its own https they always are."""
    tls: bool | None = None
    """https by the page itself. None: wherever it listens for other machines, since these get a webcam no other way."""
    cert_file: Path | None = None
    key_file: Path | None = None
    """PEM, in place of the certificate that `init` makes."""

    @model_validator(mode="after")
    def _pair(self) -> PageSettings:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together: give both, or neither")
        if self.cert_file is not None and self.tls is False:
            raise ValueError("`cert_file` is of no use with `tls = false`; leave one of them out")
        return self

    @property
    def https(self) -> bool:
        """The page itself speaks TLS."""
        if self.tls is not None:
            return self.tls
        return self.cert_file is not None or self.host not in LOOPBACK


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
