"""How much of what the door's thread does is done inside of OpenCV and the networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import cv2
from paho.mqtt.client import Client

from device.detect import Detector, Face
from device.halves import Halves
from device.runtime import Network

COMMAND: Final = b"lock/command"
"""In what is written to the broker."""
OF_OPENCV: Final = ("resize", "split", "warpAffine", "cvtColor", "Laplacian", "meanStdDev", "blur", "mean")

CLOCKS: Final = {"wall": time.perf_counter, "cpu": time.thread_time}
"""Seconds."""


class Inside:
    """What the door's thread spends in OpenCV's functions and in the networks, milliseconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds."""
        self._clock = clock
        self.opencv = 0.0
        self.networks = 0.0
        self.runs: list[float] = []
        """Each run of a network, in order."""
        self.close = False
        """The detector was shown a part of the latest picture."""
        for name in OF_OPENCV:
            setattr(cv2, name, self._timed(getattr(cv2, name)))
        run = Network.run

        def noted(network: Network, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
            begin = clock()
            found = run(network, outputs, feeds)
            took = (clock() - begin) * 1000
            self.networks += took
            self.runs.append(took)
            return found

        Network.run = noted  # type: ignore[method-assign]
        search = Detector.search

        def told(detector: Detector, halves: Halves, long_side: int | None = None) -> list[Face]:
            self.close = False
            return search(detector, halves, long_side)

        Detector.search = told  # type: ignore[method-assign]
        self.sent = 0.0
        """When the latest command to the lock was in the socket, milliseconds by its clock."""
        send = Client._sock_send  # noqa: SLF001 - the moment is no other's

        def written(client: Client, data: bytes) -> int:
            count = send(client, data)
            if COMMAND in data:
                self.sent = self.now()
            return count

        Client._sock_send = written  # type: ignore[method-assign]  # noqa: SLF001

    def now(self) -> float:
        """Milliseconds by its clock."""
        return self._clock() * 1000

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        clock = self._clock

        def run(*arguments: Any, **named: Any) -> Any:
            begin = clock()
            found = function(*arguments, **named)
            self.opencv += (clock() - begin) * 1000
            return found

        return run
