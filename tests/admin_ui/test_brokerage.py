"""The site's broker as an administrator gets it: a real Mosquitto, TLS 1.3, a certificate for everybody."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pytest

from admin_ui.authority import Authority, Role
from admin_ui.brokerage import ACL, acl_text, refresh_broker
from admin_ui.link import PageLink
from firmware_config.broker import Connection, Incoming
from firmware_config.messages import LARGE, Topics
from firmware_config.settings import BrokerSettings
from tests.admin_ui.silent_desk import SilentDesk
from tests.brokers import Mosquitto, TlsMosquitto, mosquitto_program
from tests.waiting import until

pytestmark = pytest.mark.broker

PATIENCE_S = 5.0
SETTLE_S = 0.3
"""For what must not come: a hundred times what a message takes here."""
FRONT = Topics("home", "front")
BACK = Topics("home", "back")

PAGE_SAYS = {"roster", "model", "event/ack", "ask"}
PAGE_CLEARS = {"availability", "health", "applied", "challenge", "lock/challenge", "lock/state", "lock/contact"}
PAGE_HEARS = {"availability", "health", "applied", "event", "challenge", "answer", "lock/state", "lock/contact"}
DOOR_SAYS = {"availability", "health", "applied", "event", "challenge", "answer", "hint", "lock/command"}
DOOR_HEARS = {"roster", "model", "event/ack", "ask", "ha/lock/set"}
DOOR_HEARS |= {"lock/challenge", "lock/state", "lock/result", "lock/contact", "lock/exit"}
LOCK_SAYS = {"lock/challenge", "lock/state", "lock/result", "lock/contact", "lock/exit"}
LOCK_HEARS = {"lock/command"}
HOME_SAYS = {"ha/lock/set"}
HOME_HEARS = {"availability", "health", "event", "lock/state", "lock/contact"}
LEAVES = sorted(PAGE_SAYS | PAGE_HEARS | DOOR_SAYS | DOOR_HEARS | LOCK_SAYS | LOCK_HEARS | HOME_SAYS)
STATUS = "homeassistant/status"


def config(topics: Topics) -> str:
    """Where a door describes itself to Home Assistant."""
    return f"homeassistant/device/{topics.device_id}/config"


def both(leaves: set[str]) -> set[str]:
    """Topics of both doors."""
    return {topics[leaf] for topics in (FRONT, BACK) for leaf in leaves}


ROLES: dict[str, tuple[Role, str, set[str], set[str]]] = {
    # who: role, name, says, hears. What is not here must be refused.
    "page": (Role.PAGE, "page", both(PAGE_SAYS | PAGE_CLEARS) | {config(FRONT), config(BACK)}, both(PAGE_HEARS)),
    "home assistant": (
        Role.HOME_ASSISTANT,
        "home-assistant",
        both(HOME_SAYS) | {STATUS},
        both(HOME_HEARS) | {STATUS, config(FRONT), config(BACK)},
    ),
    "front door": (
        Role.DOOR,
        "front",
        {FRONT[leaf] for leaf in DOOR_SAYS} | {config(FRONT)},
        {FRONT[leaf] for leaf in DOOR_HEARS} | {STATUS},
    ),
    "front lock": (Role.LOCK, "front", {FRONT[leaf] for leaf in LOCK_SAYS}, {FRONT[leaf] for leaf in LOCK_HEARS}),
    "a door that nobody made": (Role.DOOR, "side", set(), set()),
}
ALL_TOPICS = [*(topics[leaf] for topics in (FRONT, BACK) for leaf in LEAVES), STATUS, config(FRONT), config(BACK)]
ALL_TOPICS += ["latchkey/other/front/health", "$SYS/broker/version", "anything"]


class Client:
    """A connection that keeps what it hears."""

    def __init__(self, broker: BrokerSettings, name: str, hears: list[str] | None = None) -> None:
        self.heard: list[Incoming] = []
        self.connection = Connection(
            broker,
            name,
            subscriptions=[(topic, 1) for topic in hears or []],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )

    def __enter__(self) -> Client:
        self.connection.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.stop()

    @property
    def topics(self) -> set[str]:
        """What it heard on."""
        return {message.topic for message in self.heard}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsMosquitto]:
    """With a line that only this test's ACL has: an observer who may say and hear everything."""
    made = TlsMosquitto(tmp_path_factory.mktemp("broker"), doors=["front", "back"])
    with (made.place.folder / ACL).open("a", encoding="utf-8") as acl:
        acl.write("\nuser CN=observer,OU=page,O=home\ntopic readwrite #\ntopic read $SYS/#\n")
    with made:
        yield made


@pytest.fixture
def observer(broker: TlsMosquitto) -> BrokerSettings:
    return broker.client(Role.PAGE, "observer")


@pytest.mark.parametrize("who", ROLES)
def test_each_says_its_topics_and_no_other(who: str, broker: TlsMosquitto, observer: BrokerSettings) -> None:
    role, name, says, _ = ROLES[who]
    listener = Client(observer, "observer", ["#"])
    speaker = Client(broker.client(role, name), "speaker")
    with listener, speaker:
        assert listener.connection.wait(PATIENCE_S)
        assert speaker.connection.wait(PATIENCE_S)
        listener.connection.publish("ready", b"1")
        assert until(lambda: "ready" in listener.topics, PATIENCE_S)
        for topic in ALL_TOPICS:
            if not topic.startswith("$SYS"):
                speaker.connection.publish(topic, b"x", qos=1)
        assert until(lambda: says <= listener.topics, PATIENCE_S)
        listener.connection.publish("done", b"1")
        assert until(lambda: "done" in listener.topics, PATIENCE_S)
        assert listener.topics - {"ready", "done"} == says


@pytest.mark.parametrize("who", ROLES)
def test_each_hears_its_topics_and_no_other(who: str, broker: TlsMosquitto, observer: BrokerSettings) -> None:
    role, name, _, hears = ROLES[who]
    # Asked for one by one and all at once: neither a topic's name nor a wildcard may get around the list.
    listener = Client(broker.client(role, name), "listener", [*ALL_TOPICS, "#", "latchkey/#", "$SYS/#"])
    witness = Client(observer, "observer", ["#"])
    with listener, witness:
        assert listener.connection.wait(PATIENCE_S)
        assert witness.connection.wait(PATIENCE_S)
        witness.connection.publish("ready", b"1")
        assert until(lambda: "ready" in witness.topics, PATIENCE_S)
        time.sleep(SETTLE_S)
        for topic in ALL_TOPICS:
            if not topic.startswith("$SYS"):
                witness.connection.publish(topic, b"x", qos=1)
        assert until(lambda: set(ALL_TOPICS) - {"$SYS/broker/version"} <= witness.topics, PATIENCE_S)
        assert until(lambda: hears <= listener.topics, PATIENCE_S)
        time.sleep(SETTLE_S)
        assert listener.topics == hears


def test_the_matrix_is_the_acl() -> None:
    lines = [line for line in acl_text("home", ["front", "back"]).splitlines() if line.startswith("topic")]
    granted = sum(1 + line.startswith("topic readwrite") for line in lines)
    page, home = len(PAGE_SAYS | PAGE_CLEARS) + len(PAGE_HEARS) + 1, len(HOME_SAYS) + len(HOME_HEARS) + 3
    door, lock = len(DOOR_SAYS) + len(DOOR_HEARS) + 2, len(LOCK_SAYS) + len(LOCK_HEARS)
    assert granted == page + home + 2 * (door + lock)


def refused(broker: BrokerSettings, says: str) -> None:
    """Not let in, and told why."""
    with Client(broker, "refused") as client:
        assert until(lambda: says in client.connection.why_down, PATIENCE_S), client.connection.why_down
        assert not client.connection.connected


def test_an_expired_certificate_is_refused(broker: TlsMosquitto) -> None:
    refused(broker.client(Role.DOOR, "front", lasts=timedelta(seconds=-1)), "our certificate has expired")


def test_a_page_whose_certificate_has_expired_is_told_how_a_page_renews_it(broker: TlsMosquitto) -> None:
    link = PageLink("home", broker.client(Role.PAGE, "page", lasts=timedelta(seconds=-1)), SilentDesk())
    link.start()
    try:
        assert until(lambda: "our certificate has expired" in link.why_down, PATIENCE_S), link.why_down
        assert "`latchkey-admin broker client page`" in link.why_down
        assert "door renew" not in link.why_down
    finally:
        link.stop()


def test_a_certificate_of_another_authority_is_refused(broker: TlsMosquitto, tmp_path: Path) -> None:
    foreign = Authority.make(tmp_path / "foreign", "home").issue(Role.DOOR, "front")
    foreign.save(tmp_path / "c", tmp_path / "k")
    ours = broker.client(Role.DOOR, "front")
    refused(
        ours.model_copy(update={"cert_file": tmp_path / "c", "key_file": tmp_path / "k"}), "another authority than ours"
    )


def test_nobody_comes_in_without_a_certificate(broker: TlsMosquitto) -> None:
    ours = broker.client(Role.DOOR, "front")
    refused(ours.model_copy(update={"cert_file": None, "key_file": None}), "wants a certificate of ours")


def test_nobody_comes_in_without_tls(broker: TlsMosquitto) -> None:
    refused(BrokerSettings(url=f"mqtt://127.0.0.1:{broker.port}"), "it may want TLS")


def test_tls_1_2_is_refused(broker: TlsMosquitto) -> None:
    ours = broker.client(Role.DOOR, "front")
    assert ours.cert_file is not None
    context = ssl.create_default_context(cafile=ours.ca_file)
    context.load_cert_chain(ours.cert_file, ours.key_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", broker.port), PATIENCE_S) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol version"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_client_cannot_pose_as_the_broker(tmp_path: Path) -> None:
    with TlsMosquitto(tmp_path) as false_broker:
        thief = false_broker.client(Role.DOOR, "front")
        assert thief.cert_file is not None
        assert thief.key_file is not None
        false_broker.stop()
        shutil.copy(thief.cert_file, false_broker.place.folder / "server.crt")
        shutil.copy(thief.key_file, false_broker.place.folder / "server.key")
        false_broker.start()
        refused(false_broker.client(Role.PAGE, "page"), "certificate is not that of a broker")


def test_a_revoked_door_is_refused_and_cut_off_where_it_is_connected(tmp_path: Path) -> None:
    with TlsMosquitto(tmp_path, doors=["front", "back"]) as broker:
        stolen = broker.client(Role.DOOR, "front")
        with Client(stolen, "front", [FRONT["roster"]]) as still_in, Client(broker.settings, "page") as page:
            assert still_in.connection.wait(PATIENCE_S)
            assert page.connection.wait(PATIENCE_S)
            page.connection.publish(FRONT["roster"], b"before")
            assert until(lambda: len(still_in.heard) == 1, PATIENCE_S)
            broker.revoke("front")
            refused(stolen, "our certificate was revoked")
            page.connection.publish(FRONT["roster"], b"after")
            refused(stolen, "our certificate was revoked")
            assert [message.payload for message in still_in.heard] == [b"before"]
        with Client(broker.client(Role.DOOR, "back"), "back") as other:
            assert other.connection.wait(PATIENCE_S)


def test_only_a_restart_ends_what_a_revoked_door_has_open(tmp_path: Path) -> None:
    """What docs/security.md says of a reload: it mutes, and a new door of the same name would give the word back."""
    with TlsMosquitto(tmp_path, doors=["front"]) as broker:
        stolen = broker.client(Role.DOOR, "front")
        with Client(stolen, "front", [FRONT["roster"]]) as still_in, Client(broker.settings, "page") as page:
            assert still_in.connection.wait(PATIENCE_S)
            assert page.connection.wait(PATIENCE_S)
            broker.revoke("front")
            page.connection.publish(FRONT["roster"], b"unheard")
            broker.doors.append("front")
            refresh_broker(broker.place.folder, broker.authority, broker.site, broker.doors)
            broker.reload()
            page.connection.publish(FRONT["roster"], b"heard")
            assert until(lambda: [message.payload for message in still_in.heard] == [b"heard"], PATIENCE_S)
            broker.stop()
            broker.start()
            assert until(lambda: "our certificate was revoked" in still_in.connection.why_down, PATIENCE_S)
            assert not still_in.connection.connected


def test_the_shipped_files_load_as_they_are(tmp_path: Path) -> None:
    """The templates themselves, with nothing but the certificates beside them."""
    broker = TlsMosquitto(tmp_path)
    lock = resources.files("firmware_config") / "lock"
    folder = broker.place.folder
    text = (lock / "mosquitto.conf").read_text().replace("listener 8883", f"listener {broker.port}")
    (folder / "mosquitto.conf").write_text(text + ("user root\n" if "user root" in broker.config.read_text() else ""))
    (folder / "acl").write_text((lock / "acl").read_text())
    with subprocess.Popen(
        [mosquitto_program(), "-c", "mosquitto.conf"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            with Client(broker.client(Role.DOOR, "front"), "front") as client:
                assert client.connection.wait(PATIENCE_S)
        finally:
            process.terminate()
            said = process.communicate(timeout=10)[0].decode()
    assert "Error" not in said
    assert f"max_packet_size {LARGE + 4096}" in text.splitlines()


def test_plain_brokers_work_as_before(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as plain, Client(plain.settings, "anybody") as client:
        assert client.connection.wait(PATIENCE_S)
