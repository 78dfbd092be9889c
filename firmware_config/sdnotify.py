"""Tell systemd how a service does: sd_notify(3) over $NOTIFY_SOCKET.

Outside systemd, or without Type=notify, every call does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

log = logging.getLogger(__name__)

STATUS_MAX: Final = 200
"""Characters of a status line; `systemctl status` shows one line."""


class Notifier:
    """One service's way to systemd. Thread-safe: each call is one datagram."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        """environ: os.environ, or another mapping in tests."""
        values = os.environ if environ is None else environ
        self._address = values.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(values.get("WATCHDOG_USEC", ""), values.get("WATCHDOG_PID", ""))
        """Seconds within which systemd wants to hear `alive`, or None. Call at half of it or more often."""

    def ready(self, status: str = "") -> None:
        """Start-up is over: units ordered after this one may start."""
        self._send("READY=1", *_status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(*_status(status))

    def alive(self) -> None:
        """Keep the watchdog quiet. Call it from the loop that has to be alive, never from a thread beside it."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def reloading(self, monotonic_us: int) -> None:
        """A SIGHUP is being worked on; monotonic_us: time.monotonic_ns() // 1000. Say `ready` when it is done."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_us}")

    def stopping(self, status: str = "") -> None:
        """A clean stop has begun."""
        self._send("STOPPING=1", *_status(status))

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        # A leading @ stands for the NUL of an abstract socket (sd_notify(3)).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                # A full queue must not hold up the loop; the next call comes soon.
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            # Whoever supervises us is gone or slow; the door goes on without.
            log.debug("systemd was not told %s: %s", lines, error)


def _status(status: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(status.split())[:STATUS_MAX]}",) if status else ()


def _watchdog_s(microseconds: str, pid: str) -> float | None:
    """$WATCHDOG_PID says whom the watchdog is for; a child that inherited the environment is not meant."""
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
