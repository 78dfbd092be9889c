"""A broker that says what none says, names that no resolver takes: the connection is told of it and comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadState
from firmware_config.settings import BrokerSettings
from tests.connections import PATIENCE_S
from tests.waiting import until

ACCEPTED = b"\x20\x02\x00\x00"
LATIN_TOPIC = b"\x30\x05\x00\x01\xffhi"
GOOD_NEWS = b"\x30\x06\x00\x01ayes"


class Talker:
    """Takes connections one after the other and says to each what the test wants. It never answers."""

    def __init__(self) -> None:
        self._port = socket.create_server(("127.0.0.1", 0))
        self.guests: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._port.accept()
            except OSError:
                return
            guest.recv(4096)
            guest.sendall(ACCEPTED)
            self.guests.append(guest)

    @property
    def settings(self) -> BrokerSettings:
        return BrokerSettings(url=f"mqtt://127.0.0.1:{self._port.getsockname()[1]}")

    def close(self) -> None:
        self._port.shutdown(socket.SHUT_RDWR)
        for each in (self._port, *self.guests):
            each.close()


@pytest.fixture
def talker() -> Iterator[Talker]:
    made = Talker()
    yield made
    made.close()


@pytest.fixture
def heard() -> list[Incoming]:
    return []


@pytest.fixture
def door(talker: Talker, heard: list[Incoming]) -> Iterator[Connection]:
    """Connected, without subscriptions."""
    made = Connection(talker.settings, "door", subscriptions=[], on_message=heard.append, on_connected=lambda: None)
    made.start()
    assert made.wait(PATIENCE_S)
    yield made
    made.stop()


def test_a_topic_that_is_no_text_is_one_message_lost(
    talker: Talker, door: Connection, heard: list[Incoming], caplog: pytest.LogCaptureFixture
) -> None:
    talker.guests[0].sendall(LATIN_TOPIC + GOOD_NEWS)
    assert until(lambda: heard == [Incoming("a", b"yes", retained=False)], PATIENCE_S)
    assert "could not be handled" in caplog.text
    assert door.connected
    assert len(talker.guests) == 1


def test_an_error_that_nobody_foresaw_breaks_the_connection_and_it_comes_back(
    talker: Talker, door: Connection, heard: list[Incoming], monkeypatch: pytest.MonkeyPatch
) -> None:
    down: list[str] = []

    def fall(*_: object) -> None:
        raise ZeroDivisionError("nobody foresaw it")

    def note(why: str) -> None:
        down.append(f"{why} ({door.connected})")

    with monkeypatch.context() as patched:
        patched.setattr(door, "_down", note)
        patched.setattr(door._client, "_packet_read", fall)
        talker.guests[0].sendall(GOOD_NEWS)
        assert until(lambda: down != [], PATIENCE_S)
    assert "ZeroDivisionError (nobody foresaw it) (False)" in down[0], "told, and no longer called connected"
    assert until(lambda: len(talker.guests) > 1 and door.connected, PATIENCE_S)
    assert door.connections == 2
    talker.guests[-1].sendall(GOOD_NEWS)
    assert until(lambda: heard == [Incoming("a", b"yes", retained=False)], PATIENCE_S)


def test_a_name_that_cannot_be_asked_for_is_told_and_the_end_is_clean() -> None:
    # As if the settings had let it pass: Python says so by an error that is none of a socket.
    broker = BrokerSettings().model_copy(update={"url": "mqtt://broker..lan"})
    made = Connection(broker, "door", subscriptions=[], on_message=print, on_connected=lambda: None)
    made.start()
    try:
        assert until(lambda: "fell over Unicode" in made.why_down, PATIENCE_S), made.why_down
        assert not made.connected
    finally:
        made.stop()


def test_a_password_file_that_is_no_text_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mqtt.password").write_bytes("schlüssel\n".encode("latin-1"))
    settings = BrokerSettings(username="door", password_file=tmp_path / "mqtt.password")
    with pytest.raises(BadState, match=r"mqtt\.password cannot be read"):
        Connection(settings, "door", subscriptions=[], on_message=print, on_connected=lambda: None)
