"""A network camera that sends MJPEG over HTTP, and may be unplugged, stalled, frozen, covered, mad or replaced."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from device.demo_camera import DemoScene, parse_demo
from firmware_config.att import att_faces
from firmware_config.face import ImageArray
from tests.brokers import free_port

FPS = 15
PERIOD_S = 1 / FPS
PICTURES = 12
"""Of each view, all different: a camera's noise."""

SEND_BUFFER = 32 * 1024
"""Bytes: about one picture, as a camera with little memory has."""

BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nConnection: close\r\n\r\n"

NOBODY, OWNER, STRANGER, BLACK = "nobody", "owner", "stranger", "black"


def _jpeg(image: ImageArray) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def draw_views(owner: int, stranger: int) -> dict[str, list[ImageArray]]:
    """View -> pictures uint8[480, 640, 3] BGR: somebody at the door, nobody, a covered lens."""
    views: dict[str, list[ImageArray]] = {}
    for view, person in ((OWNER, owner), (STRANGER, stranger)):
        plan = parse_demo(f"demo:?owners={person}&strangers=&photos=1&seed=11")
        scene = DemoScene(plan, att_faces())
        views[view] = [scene.at(plan.approach + 0.05 * n)[0] for n in range(PICTURES)]
    wall = DemoScene(parse_demo("demo:?owners=1&strangers=&photos=1&walkups=1"), att_faces())
    views[NOBODY] = [wall.at(1000.0 + n)[0] for n in range(PICTURES)]
    dark = np.random.default_rng(1)
    views[BLACK] = [dark.integers(0, 3, (480, 640, 3), dtype=np.uint8) for _ in range(PICTURES)]
    return views


class NetworkCamera:
    """A context. `view`: what is before it. last_fresh: when the last picture that was not sent before went out.

    stalled: keeps its connections and sends nothing. frozen: sends the last picture again and again. garbage: sends
    bytes that are no pictures. scale: its resolution, as a part of 640x480.
    """

    def __init__(self, views: dict[str, list[ImageArray]], seed: int) -> None:
        self._views = views
        self._mad = random.Random(seed)
        self.port = free_port()
        self.view = NOBODY
        self.stalled = self.frozen = self.garbage = False
        self.scale = 1.0
        self.last_fresh = 0.0
        self.sent: dict[str, int] = {}
        self._cache: dict[tuple[str, int, float], bytes] = {}
        self._number = 0
        self._current = b""
        self._stop = threading.Event()
        self._clients: list[socket.socket] = []
        self._guard = threading.Lock()
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def __enter__(self) -> NetworkCamera:
        self.plug()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.unplug()

    def plug(self) -> None:
        """It answers (again)."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def unplug(self) -> None:
        """It is gone: connections break, nobody answers."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._guard:
            for client in self._clients:
                client.close()
            self._clients.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                client.recv(4096)
                client.sendall(HEAD)
                client.settimeout(1.0)
            except OSError:
                return
            with self._guard:
                self._clients.append(client)

    def _beat(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            due = max(due + PERIOD_S, time.monotonic() - PERIOD_S)
            time.sleep(max(0.0, due - time.monotonic()))
            if not self.stalled:
                self._send(self._picture())

    def _picture(self) -> bytes:
        if self.garbage:
            return self._mad.randbytes(self._mad.randrange(200, 30_000))
        if not self.frozen or not self._current:
            self._number += 1
            self._current = self._encoded(self.view, self._number % PICTURES, self.scale)
            self.last_fresh = time.monotonic()
            self.sent[self.view] = self.sent.get(self.view, 0) + 1
        return self._current

    def _encoded(self, view: str, number: int, scale: float) -> bytes:
        key = (view, number, scale)
        if key not in self._cache:
            image = self._views[view][number]
            self._cache[key] = _jpeg(np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8))
        return self._cache[key]

    def _send(self, picture: bytes) -> None:
        message = BOUNDARY % len(picture) + picture + b"\r\n"
        with self._guard:
            # As cameras do: whoever does not keep up misses pictures; a queue of them would be seen late.
            _, keeping_up, _ = select.select([], self._clients, [], 0)
            for client in keeping_up:
                try:
                    client.sendall(message)
                except OSError:
                    client.close()
                    self._clients.remove(client)


def renumber(folder: Path, name: str) -> Path:
    """The kernel's link in /dev/v4l/by-id, drawn in a folder: it points to whatever number the camera got now."""
    link = folder / "by-id"
    fresh = folder / "by-id.new"
    fresh.symlink_to(folder / name)
    fresh.replace(link)
    return link
