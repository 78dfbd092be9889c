"""Found a site: folders, keys, admin.toml, the store and the first account. Doing it twice changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_ui import webcert
from admin_ui.accounts import accounts, generate_password, set_password
from admin_ui.authority import Authority, Role
from admin_ui.brokerage import BrokerPlace
from admin_ui.keyring import AUTHORITY_FOLDER, KEYS, PAGE_FOLDER, Keyring
from admin_ui.store import open_store
from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from firmware_config.messages import Topics
from firmware_config.pairing import AUTHORITY, CERTIFICATE, CERTIFICATE_KEY
from firmware_config.schema import SettingsRefused, validate
from firmware_config.settings import AdminSettings, load_admin

FIRST_ACCOUNT: Final = "admin"


@dataclass(frozen=True)
class Founded:
    """password: of the new account, "" where it existed before or the caller chose it."""

    settings: AdminSettings
    account: str
    password: str


def found(
    path: Path,
    site: str,
    *,
    state: Path | None = None,
    broker_url: str = "",
    port: int = 0,
    password: str = "",
) -> Founded:
    """path: admin.toml, written only when it is missing, and taken away again when the rest fails: the next try may
    have other options. state: none keeps it in /var/lib/latchkey-admin.

    Raises SettingsRefused for wrong values or a wrong file, BadInput when the file is of another site or differs from
    what is asked for or the password is too short, BadState, OSError.
    """
    if path.exists():
        settings = load_admin(path)
        if site and settings.site != site:
            raise BadInput(f"{path} is for the site {settings.site!r}. Choose another file for {site!r}.")
        _refuse_others(path, settings, state, broker_url, port)
        return _furnish(settings, password)
    write_settings(path, site or "home", state, broker_url, port)
    try:
        return _furnish(load_admin(path), password)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _refuse_others(path: Path, settings: AdminSettings, state: Path | None, broker_url: str, port: int) -> None:
    """Raises BadInput for an option that is not as the file has it: the file stands."""
    differ: dict[str, str] = {}
    if state is not None and state.resolve() != settings.state.resolve():
        differ["--state"] = f"state = {json.dumps(str(settings.state))}"
    if broker_url and broker_url != settings.broker.url:
        differ["--broker"] = f"broker.url = {json.dumps(settings.broker.url)}"
    if port and port != settings.page.port:
        differ["--port"] = f"page.port = {settings.page.port}"
    if differ:
        raise BadInput(
            f"{path} is there already and says {', '.join(differ.values())}; {' and '.join(differ)} "
            f"{'was' if len(differ) == 1 else 'were'} not taken. Change it there, or remove the file."
        )


def _furnish(settings: AdminSettings, password: str) -> Founded:
    """All besides admin.toml: what is missing is made, what is there is kept. As `found`."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    Keyring.make(settings.state)
    authority = Authority.make(settings.state / KEYS / AUTHORITY_FOLDER, settings.site)
    if not (page := settings.state / KEYS / PAGE_FOLDER).exists():
        authority.give(Role.PAGE, page)
    if not (settings.state / KEYS / webcert.FOLDER / webcert.CERTIFICATE).exists():
        webcert.make(settings)
    store = open_store(settings.store, settings.state)
    try:
        if accounts(store):
            return Founded(settings, FIRST_ACCOUNT, "")
        chosen = password or generate_password()
        set_password(store, FIRST_ACCOUNT, chosen, by="init")
    finally:
        store.close()
    return Founded(settings, FIRST_ACCOUNT, "" if password else chosen)


def write_settings(path: Path, site: str, state: Path | None, broker_url: str, port: int) -> None:
    """A new admin.toml with what differs from the defaults. Raises SettingsRefused before anything is written."""
    try:
        Topics(site, "door")
    except BadInput as error:
        raise SettingsRefused(Path("--site"), [str(error)]) from error
    values: dict[str, object] = {"site": site}
    lines = [f"site = {json.dumps(site)}"]
    if state is not None:
        values["state"] = state
        lines.append(f"state = {json.dumps(str(state))}")
    if port:
        values["page"] = {"port": port}
        lines += ["", "[page]", f"port = {port}"]
    if broker_url:
        values["broker"] = {"url": broker_url}
        lines += ["", "[broker]", f"url = {json.dumps(broker_url)}"]
        if broker_url.startswith("mqtts:"):
            lines += certificate_lines(state or AdminSettings(site=site).state)
    validate(AdminSettings, values, Path("What `init` is asked to write"))
    write_atomic(path, ("\n".join(lines) + "\n").encode(), mode=0o644)


def certificate_lines(state: Path) -> list[str]:
    """For [broker] in admin.toml: the page's own certificate, as `found` makes it."""
    return [f"{setting} = {json.dumps(str(file))}" for setting, file in _certificate_files(state).items()]


def lines_to_add(settings: AdminSettings, place: BrokerPlace) -> list[str]:
    """What [broker] in admin.toml should say for a page that reaches the broker of `place`; none where it does."""
    broker = settings.broker
    reached = broker.tls and broker.host in place.hosts and broker.port == place.port
    files = _certificate_files(settings.state)
    if reached and (broker.ca_file, broker.cert_file, broker.key_file) == tuple(files.values()):
        return []
    return ["[broker]", f"url = {json.dumps(place.url)}", *certificate_lines(settings.state)]


def _certificate_files(state: Path) -> dict[str, Path]:
    page = state / KEYS / PAGE_FOLDER
    return {"ca_file": page / AUTHORITY, "cert_file": page / CERTIFICATE, "key_file": page / CERTIFICATE_KEY}
