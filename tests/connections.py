"""Connections to a broker, for tests: as many as a test wants, all stopped at its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from firmware_config.broker import Connection, Incoming
from firmware_config.settings import BrokerSettings

PATIENCE_S: Final = 10.0
BACK_WITHIN_S: Final = 5.0
"""After whatever was wrong has ended."""
Connect = Callable[..., Connection]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of numbers, no paths


@pytest.fixture
def connect() -> Iterator[Connect]:
    """connect(broker, name, topics=(), on_message=None): a started connection, stopped at the end."""
    made: list[Connection] = []

    def start(
        broker: BrokerSettings, name: str, topics: tuple[str, ...] = (), on_message: Callable[[Incoming], None] = print
    ) -> Connection:
        subscriptions = [(topic, 1) for topic in topics]
        made.append(
            Connection(broker, name, subscriptions=subscriptions, on_message=on_message, on_connected=lambda: None)
        )
        made[-1].start()
        return made[-1]

    yield start
    for connection in made:
        connection.stop()
