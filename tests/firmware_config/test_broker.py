"""The connection to the broker: it comes back by itself, loses nothing that it was handed, and says what is wrong."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_config.broker import Connection, Incoming
from firmware_config.settings import BrokerSettings
from tests.brokers import DeafeningMosquitto, Mosquitto, TlsMosquitto
from tests.connections import BACK_WITHIN_S, PATIENCE_S, Connect, open_files
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture(params=["plain", "tls"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) if request.param == "plain" else TlsMosquitto(tmp_path) as running:
        yield running


def test_a_broker_keeps_nothing_for_whoever_is_away(tmp_path: Path, connect: Connect) -> None:
    heard: list[bytes] = []
    passed: list[bytes] = []
    with Mosquitto(tmp_path) as broker:
        page = connect(broker.settings, "page")
        witness = connect(broker.settings, "witness", ("said",), lambda message: passed.append(message.payload))
        assert witness.wait(PATIENCE_S)
        for word in (b"while here", b"when back"):
            door = connect(broker.settings, "door", ("said",), lambda message: heard.append(message.payload))
            assert door.wait(PATIENCE_S)
            assert page.wait(PATIENCE_S)

            def both_hear(word: bytes = word) -> bool:
                return page.publish("said", word) and word in heard and word in passed

            assert until(both_hear, PATIENCE_S)
            door.stop()
            passed.clear()
            # Handed to the page's network thread, no more: only the witness tells that it reached the broker.
            assert page.publish("said", b"while away")
            assert until(lambda: b"while away" in passed, PATIENCE_S)
    assert b"while away" not in heard


@pytest.mark.slow
def test_whoever_was_waited_for_hears_what_is_said_next(tmp_path: Path, connect: Connect) -> None:
    heard: list[bytes] = []

    def told() -> None:
        time.sleep(0.5)  # the subscriptions leave only after it

    with Mosquitto(tmp_path) as broker:
        page = connect(broker.settings, "page")
        assert page.wait(PATIENCE_S)
        lock = Connection(
            broker.settings,
            "lock",
            subscriptions=[("said", 0)],
            on_message=lambda message: heard.append(message.payload),
            on_connected=told,
        )
        lock.start()
        try:
            assert lock.wait(PATIENCE_S)
            assert lock.why_down == ""
            assert page.publish("said", b"open")
            assert until(lambda: heard == [b"open"], PATIENCE_S)
        finally:
            lock.stop()
        assert not lock.wait(0.0)


def test_what_a_broker_does_not_let_us_hear_is_said(
    tmp_path: Path, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    with DeafeningMosquitto(tmp_path, heard="said") as broker:
        topics = ("whispered", "said", "b/1", "b/2", "b/3")
        door = connect(broker.settings, "door", topics, lambda message: heard.append(message.payload))
        assert door.wait(PATIENCE_S)
        sentence = "The broker does not let us hear b/1, b/2, b/3 and 1 more; look at its access list."
        assert door.unheard == sentence
        assert sentence in caplog.text
        assert until(lambda: door.publish("said", b"word") and heard != [], PATIENCE_S)
        later = connect(broker.settings, "later", ("said",))
        assert later.wait(PATIENCE_S)
        assert later.unheard == ""
        later.subscribe("thought")
        assert until(lambda: "hear thought;" in later.unheard, PATIENCE_S)


def test_no_word_waits_until_the_one_before_it_is_acknowledged(broker: Mosquitto, connect: Connect) -> None:
    """Nagle would keep a lock's next challenge back for 40 ms, on either side of the broker."""
    connection = connect(broker.settings, "lock")
    assert connection.wait(PATIENCE_S)
    opened = connection._client.socket()
    assert opened is not None
    assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert "\nset_tcp_nodelay true\n" in broker.config.read_text(encoding="utf-8")


def test_what_is_handed_over_is_in_the_socket_before_the_network_thread_has_its_turn(connect: Connect) -> None:
    accepted, others_wait_s = b"\x20\x02\x00\x00", 30.0
    before = sys.getswitchinterval()
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(PATIENCE_S)
        door = connect(BrokerSettings(url=f"mqtt://127.0.0.1:{broker.getsockname()[1]}"), "door")
        answering, _ = broker.accept()
        with answering:
            answering.settimeout(PATIENCE_S)
            assert answering.recv(4096)
            answering.sendall(accepted)
            assert door.wait(PATIENCE_S)
            answering.setblocking(False)
            sys.setswitchinterval(others_wait_s)
            try:
                handed = door.hand_over("lock/command", b"open")
                said = answering.recv(4096)
            finally:
                sys.setswitchinterval(before)
            assert handed
            assert said.endswith(b"lock/commandopen")
        assert until(lambda: not door.connected, PATIENCE_S)
        assert not door.hand_over("lock/command", b"open"), "nor is it kept for later"


def test_whoever_hands_over_does_not_wait_for_a_callback(broker: Mosquitto, connect: Connect) -> None:
    heard: list[bytes] = []
    reading, may_go_on = threading.Event(), threading.Event()

    def read_slowly(_message: Incoming) -> None:
        reading.set()
        assert may_go_on.wait(PATIENCE_S)

    busy = connect(broker.settings, "busy", ("latchkey/home/front/health",), read_slowly)
    other = connect(
        broker.settings, "other", ("latchkey/home/front/lock/state",), lambda message: heard.append(message.payload)
    )
    assert busy.wait(PATIENCE_S)
    assert other.wait(PATIENCE_S)
    assert other.publish("latchkey/home/front/health", b"well")
    assert reading.wait(PATIENCE_S)
    begun = time.monotonic()
    assert busy.hand_over("latchkey/home/front/lock/state", b"open")
    assert time.monotonic() - begun < 1
    may_go_on.set()
    assert until(lambda: heard == [b"open"], PATIENCE_S)


def test_back_soon_after_a_restarted_broker(broker: Mosquitto, connect: Connect) -> None:
    connection = connect(broker.settings, "door")
    assert connection.wait(PATIENCE_S)
    broker.stop()
    assert until(lambda: not connection.connected, PATIENCE_S)
    time.sleep(4.0)  # attempts are at their rarest by then
    broker.start()
    assert connection.wait(BACK_WITHIN_S)


@pytest.mark.slow
def test_a_broker_that_says_nothing_is_left_and_found_again(broker: Mosquitto, connect: Connect) -> None:
    connection = connect(broker.settings, "door")
    assert connection.wait(PATIENCE_S)
    assert broker._process is not None
    broker._process.send_signal(signal.SIGSTOP)
    try:
        # Its kernel still answers, so only MQTT's own keepalive finds out: two of its periods, and one loop.
        assert until(lambda: not connection.connected, 2 * broker.settings.keepalive_s + 2.0)
        time.sleep(3.0)
    finally:
        broker._process.send_signal(signal.SIGCONT)
    assert connection.wait(BACK_WITHIN_S)


def test_what_is_said_right_before_a_stop_arrives(tmp_path: Path, connect: Connect) -> None:
    with TlsMosquitto(tmp_path) as broker:
        leaves = ("availability", "health", "applied", "challenge", "lock/state", "lock/contact")
        topics = [f"latchkey/home/{door}/{leaf}" for door in ("front", "back", "side") for leaf in leaves]
        hears = tuple(f"latchkey/home/+/{leaf}" for leaf in leaves)
        # It hears itself: answers that lie unread when it hangs up are what lost the rest.
        page = connect(broker.settings, "page", hears)
        assert page.wait(PATIENCE_S)
        assert all(page.publish(topic, bytes(20_000), retain=True) for topic in topics)
        page.stop()
        heard: list[str] = []
        listener = connect(broker.settings, "listener", hears, lambda message: heard.append(message.topic))
        assert listener.wait(PATIENCE_S)
        assert until(lambda: sorted(heard) == sorted(topics), PATIENCE_S)


def test_who_stops_while_it_is_connecting_hangs_up(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    """Left open, the broker would take it for connected until Python clears up, and then tell its will."""
    called, may_go_on, real = threading.Event(), threading.Event(), socket.create_connection

    def slow(*given: Any, **more: Any) -> socket.socket:
        called.set()
        assert may_go_on.wait(PATIENCE_S)
        return real(*given, **more)

    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(PATIENCE_S)
        monkeypatch.setattr(socket, "create_connection", slow)
        connection = connect(BrokerSettings(url=f"mqtt://127.0.0.1:{broker.getsockname()[1]}"), "page")
        assert called.wait(PATIENCE_S)
        stopping = threading.Thread(target=connection.stop)
        stopping.start()
        stopping.join(0.2)
        assert stopping.is_alive(), "it waits for the connection that is being made"
        may_go_on.set()
        answering, _ = broker.accept()
        with answering:
            answering.settimeout(PATIENCE_S)
            said = b"".join(iter(lambda: answering.recv(4096), b""))
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
    connect_type, disconnect = 0x10, b"\xe0\x00"
    assert said[0] == connect_type
    assert said.endswith(disconnect)


def test_a_stop_leaves_no_socket_open(broker: Mosquitto, connect: Connect) -> None:
    """Not its connection, and not the pair that wakes the network thread."""
    before = open_files()
    connection = connect(broker.settings, "page")
    assert connection.wait(PATIENCE_S)
    assert open_files() > before
    connection.stop()
    assert open_files() <= before
