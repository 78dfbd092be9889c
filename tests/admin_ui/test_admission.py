"""A door's way in and out of a site whose broker wants certificates: commands, folders and a real Mosquitto."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Timer

import pytest
import yaml

from admin_ui import cli
from admin_ui.authority import Authority, Role
from admin_ui.founding import found
from admin_ui.link import PageLink
from admin_ui.service import Office
from firmware_config.broker import Connection, Incoming
from firmware_config.broker_tls import expiry
from firmware_config.errors import BadInput, BadState
from firmware_config.pairing import load_door, load_lock
from firmware_config.settings import AdminSettings, BrokerSettings, load_admin
from tests.brokers import RELOADING, free_port, mosquitto_program
from tests.waiting import until

pytestmark = pytest.mark.broker

PATIENCE_S = 5.0


class Site:
    """A founded site at a shell, and its broker."""

    def __init__(self, folder: Path, toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.toml, self._capsys = folder, toml, capsys
        self.place = folder / "mosquitto"
        self.port = free_port()
        self.broker: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> str:
        """A command that must end well -> what it said."""
        code = cli.main([*arguments, "--settings", str(self.toml)])
        said = self._capsys.readouterr()
        assert code == 0, said.err
        return said.out

    def start_broker(self) -> None:
        config = self.place / "mosquitto.conf"
        text = config.read_text().replace("persistence true", "persistence false").replace("user root\n", "")
        config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.broker = subprocess.Popen([mosquitto_program(), "-c", str(config)], stdout=log, stderr=log)

    def reload_broker(self) -> None:
        assert self.broker is not None
        log = self.folder / "mosquitto.log"
        before = log.read_bytes().count(RELOADING)
        self.broker.send_signal(signal.SIGHUP)
        assert until(lambda: log.read_bytes().count(RELOADING) > before)

    def stop(self) -> None:
        if self.broker is not None:
            self.broker.terminate()
            self.broker.wait(10)


@pytest.fixture
def site(
    tmp_path: Path, make_office: Callable[..., Office], settings: AdminSettings, capsys: pytest.CaptureFixture[str]
) -> Iterator[Site]:
    """With its toy encoder, its authority and a running broker."""
    make_office().stop()
    toml = tmp_path / "etc" / "admin.toml"
    made = Site(tmp_path, toml, capsys)
    url = f"mqtts://localhost:{made.port}"
    found(toml, "home", state=settings.state, broker_url=url, password="long enough for a test")
    made.run("broker", "write", str(made.place), "--host", "localhost", "--host", "127.0.0.1", "--port", str(made.port))
    made.start_broker()
    yield made
    made.stop()


class Ear:
    """Somebody on the broker who keeps what is heard."""

    def __init__(self, broker: BrokerSettings, topic: str) -> None:
        self.heard: list[Incoming] = []
        self.connection = Connection(
            broker,
            f"ear-{time.monotonic_ns()}",
            subscriptions=[(topic, 1)],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )

    def __enter__(self) -> Ear:
        self.connection.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.stop()


def test_a_door_is_made_carried_and_let_in(site: Site) -> None:
    assert "systemctl reload mosquitto" in site.run("door", "add", "front", "--out", str(site.folder / "carry"))
    site.reload_broker()
    door, lock = load_door(site.folder / "carry" / "door"), load_lock(site.folder / "carry" / "lock")
    for private in ("door/door.key", "door/lock.key", "door/mqtt.key", "lock/lock.key", "lock/mqtt.key"):
        assert (site.folder / "carry" / private).stat().st_mode & 0o777 == 0o600
    with Ear(door.broker, door.topics["roster"]) as front, Ear(lock.broker, lock.topics["lock/command"]) as bolt:
        assert front.connection.wait(PATIENCE_S), front.connection.why_down
        assert bolt.connection.wait(PATIENCE_S), bolt.connection.why_down
        # The page sent the first roster before this broker knew the door: retained.
        assert until(lambda: len(front.heard) == 1, PATIENCE_S)
        bolt.connection.publish(lock.topics["lock/state"], b"LOCKED", retain=True)
        front.connection.publish(door.topics["availability"], b"online", retain=True)
        assert until(lambda: "front: online, lock LOCKED" in site.run("door", "list"), PATIENCE_S)


def test_door_list_waits_for_what_the_lock_says_after_the_door(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run("door", "add", "front", "--out", str(site.folder / "carry"))
    site.reload_broker()
    door, lock = load_door(site.folder / "carry" / "door"), load_lock(site.folder / "carry" / "lock")
    connected = PageLink.wait_connected
    with Ear(door.broker, door.topics["roster"]) as front, Ear(lock.broker, lock.topics["lock/command"]) as bolt:
        assert front.connection.wait(PATIENCE_S), front.connection.why_down
        assert bolt.connection.wait(PATIENCE_S), bolt.connection.why_down
        front.connection.publish(door.topics["availability"], b"online", retain=True)

        def connected_before_the_lock(link: PageLink, timeout_s: float) -> bool:
            assert connected(link, PATIENCE_S)
            assert link.wait_until(lambda: link.presence("front").online, PATIENCE_S)
            Timer(0.3, bolt.connection.publish, (lock.topics["lock/state"], b"LOCKED"), {"retain": True}).start()
            return True

        monkeypatch.setattr(PageLink, "wait_connected", connected_before_the_lock)
        assert "front: online, lock LOCKED" in site.run("door", "list")


def test_broker_write_says_what_the_pages_settings_lack_and_nothing_else(site: Site) -> None:
    again = ("broker", "write", str(site.folder / "again"), "--host", "broker.example")
    assert "[broker]" not in site.run(*again, "--host", "localhost", "--port", str(site.port))
    lacking = site.run(*again, "--port", str(site.port))
    assert f'url = "mqtts://broker.example:{site.port}"' in lacking
    assert "key_file = " in lacking


def test_the_locks_secrets_are_what_esphome_reads(site: Site) -> None:
    site.run("door", "add", "front", "--out", str(site.folder / "carry"))
    folder = site.folder / "carry" / "lock"
    assert (folder / "secrets.yaml").stat().st_mode & 0o777 == 0o600
    secrets = yaml.safe_load((folder / "secrets.yaml").read_text())
    example = Path(__file__).parents[2] / "firmware_config" / "lock" / "secrets.example.yaml"
    assert set(secrets) == set(yaml.safe_load(example.read_text()))
    assert secrets["mqtt_key"] == (folder / "mqtt.key").read_text()
    assert secrets["mqtt_ca"] == (folder / "ca.crt").read_text()
    assert secrets["lock_key"] == (folder / "lock.key").read_text().strip()
    assert (secrets["mqtt_broker"], secrets["mqtt_port"]) == ("localhost", site.port)
    assert (secrets["site"], secrets["door"]) == ("home", "front")


def test_a_revoked_door_is_worth_nothing(site: Site) -> None:
    carry = site.folder / "carry"
    site.run("door", "add", "front", "--out", str(carry))
    site.run("door", "add", "back")
    site.reload_broker()
    state = load_admin(site.toml).state
    front, bolt, back = load_door(carry / "door"), load_lock(carry / "lock"), load_door(state / "pairings/back/door")
    with Ear(front.broker, front.topics["roster"]) as ear:
        assert until(lambda: len(ear.heard) == 1, PATIENCE_S)
        ear.connection.publish(front.topics["health"], b"{}", retain=True)

        said = site.run("door", "revoke", "front")
        assert "2 certificates taken back" in said
        assert "systemctl restart mosquitto" in said
        # It is told that its roster is gone, for it is not cut off before the broker reloads.
        assert until(lambda: ear.heard[-1].payload == b"", PATIENCE_S)
        site.reload_broker()

    for pairing in (front, bolt):
        with Ear(pairing.broker, front.topics["roster"]) as thief:
            assert until(lambda: "revoked" in thief.connection.why_down, PATIENCE_S), thief.connection.why_down
            assert not thief.connection.connected
    assert "OU=door" in (site.place / "acl").read_text()
    assert "CN=front" not in (site.place / "acl").read_text()
    assert not (state / "keys" / "doors" / "front").exists()
    assert "front" not in site.run("door", "list")
    assert "back" in site.run("door", "list")
    with Ear(back.broker, back.topics["roster"]) as other:
        assert until(lambda: len(other.heard) == 1, PATIENCE_S)
    # What the broker retains comes before anything new: of the revoked door, nothing.
    with Ear(load_admin(site.toml).broker, "latchkey/home/+/health") as page:
        assert page.connection.wait(PATIENCE_S)
        page.connection.publish(back.topics["health"], b"{}")
        assert until(lambda: bool(page.heard), PATIENCE_S)
        assert [one.topic for one in page.heard] == [back.topics["health"]]


def test_revoking_with_the_broker_down_is_finished_later(site: Site) -> None:
    site.run("door", "add", "front")
    site.stop()
    said = site.run("door", "revoke", "front")
    assert "Revoke it again later" in said
    site.start_broker()
    assert until(lambda: "Revoke it again" not in site.run("door", "revoke", "front"), PATIENCE_S)


def test_a_door_that_never_was_cannot_be_revoked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["door", "revoke", "side", "--settings", str(site.toml)]) == 1
    assert "no door named 'side'" in capsys.readouterr().err


def test_a_renewed_door_keeps_its_keys_and_its_old_certificate_until_it_ends(site: Site) -> None:
    site.run("door", "add", "front", "--out", str(site.folder / "old"))
    site.run("door", "renew", "front", "--out", str(site.folder / "new"))
    site.reload_broker()
    old, new = load_door(site.folder / "old" / "door"), load_door(site.folder / "new" / "door")
    assert old.door_key.mac(b"x") == new.door_key.mac(b"x")
    assert (site.folder / "old/door/mqtt.crt").read_bytes() != (site.folder / "new/door/mqtt.crt").read_bytes()
    for pairing in (old, new):
        with Ear(pairing.broker, pairing.topics["roster"]) as ear:
            assert ear.connection.wait(PATIENCE_S), ear.connection.why_down


def test_home_assistant_gets_a_certificate_that_lets_it_in(site: Site) -> None:
    folder = site.folder / "ha"
    site.run("broker", "client", "home-assistant", "--out", str(folder))
    assert (folder / "mqtt.key").stat().st_mode & 0o777 == 0o600
    settings = load_admin(site.toml).broker.model_copy(
        update={"cert_file": folder / "mqtt.crt", "key_file": folder / "mqtt.key", "ca_file": folder / "ca.crt"}
    )
    home = Connection(settings, "ha", subscriptions=[], on_message=lambda _: None, on_connected=lambda: None)
    home.start()
    assert home.wait(PATIENCE_S), home.why_down
    home.stop()


def test_a_certificate_that_ends_soon_is_told(site: Site) -> None:
    site.run("door", "add", "front")
    authority = Authority(load_admin(site.toml).state / "keys" / "ca", "home")
    assert "ends on" not in site.run("door", "list")
    authority.revoke(Role.LOCK, "front")
    authority.issue(Role.LOCK, "front", lasts=timedelta(days=30))
    said = site.run("door", "list")
    assert said.count("door renew front") == 1
    assert "  The certificate of lock front ends on" in said, "a problem of that door, as the page shows it too"
    authority.revoke(Role.LOCK, "front")
    authority.issue(Role.LOCK, "front", lasts=timedelta(days=-1))
    assert "lock front ended on" in site.run("door", "list")
    authority.revoke(Role.BROKER, "broker")
    authority.issue(Role.BROKER, "broker", ["localhost"], lasts=timedelta(days=30))
    assert "The certificate of the broker ends on" in site.run("door", "list")


def test_five_years_and_no_private_key_in_the_office_copy(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path / "ca", "home")
    authority.issue(Role.DOOR, "front").save(tmp_path / "crt", tmp_path / "key")
    ends = expiry(BrokerSettings(url="mqtts://localhost", cert_file=tmp_path / "crt", key_file=tmp_path / "key"))
    assert ends is not None
    assert timedelta(days=1820) < ends - datetime.now(timezone.utc) <= timedelta(days=1825)
    for kept in (tmp_path / "ca" / "issued").iterdir():
        assert b"PRIVATE" not in kept.read_bytes()


def test_names_and_hosts_that_are_none_are_refused(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path / "ca", "home")
    with pytest.raises(BadInput):
        authority.issue(Role.DOOR, "Front Door")
    with pytest.raises(BadInput):
        authority.issue(Role.DOOR, "front", ["localhost"])
    with pytest.raises(BadInput):
        authority.issue(Role.BROKER, "broker")
    with pytest.raises(BadState, match="latchkey-admin init"):
        Authority(tmp_path / "nothing", "home")
