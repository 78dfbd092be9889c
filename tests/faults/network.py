"""The wires between broker, door, lock and office: real ones that can be cut and slowed, or plain loopback.

`Wires` puts the broker, the door and the lock into network namespaces of their own, each joined to the broker's by
a pair of virtual interfaces, and this process into one more: nothing of the machine's own network is touched, and
all of it is gone when the processes are. Packets are dropped with nftables and slowed with a token bucket.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.brokers import free_port
from tests.faults.bench import Skipped

CLONE_NEWNET = 0x40000000
"""unshare(2)."""

BROKER = "broker"
PARTIES = ("door", "lock", "office", "probe")
"""The probe's wire is never hurt: it measures."""

TABLE = """
table inet faults {
  set cut { type ifname; }
  chain in { type filter hook input priority 0; iifname @cut drop; }
  chain out { type filter hook output priority 0; oifname @cut drop; }
}
"""


class Network(Protocol):
    """Where the broker is for whom."""

    port: int

    def address(self, party: str) -> str:
        """The broker's address for a party."""

    def inside(self, party: str, command: list[str]) -> list[str]:
        """The command that runs `command` at a party's place."""


class Loopback:
    """Everybody on 127.0.0.1: nothing to hurt, and no privilege needed."""

    def __init__(self) -> None:
        self.port = free_port()

    def address(self, party: str) -> str:
        return "127.0.0.1"

    def inside(self, party: str, command: list[str]) -> list[str]:
        return command


class Wires:
    """Namespaces; a context. Make it before any thread: this process moves into a namespace of its own."""

    port = 8883

    def __init__(self) -> None:
        """Raises Skipped where there is no root, or no tool for it."""
        if os.geteuid() != 0:
            raise Skipped("dropping packets needs root: run it with sudo")
        for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")):
            if shutil.which(program) is None:
                raise Skipped(f"this needs {program}: apt-get install {package}")
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise Skipped(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
        self._holders = {place: _hold() for place in (BROKER, "door", "lock")}

    def __enter__(self) -> Wires:
        _run("ip", "link", "set", "lo", "up")
        for place in self._holders:
            _run(*self.inside(place, ["ip", "link", "set", "lo", "up"]))
        for number, party in enumerate(PARTIES):
            self._join(number, party)
        _run(*self.inside(BROKER, ["nft", "-f", "-"]), given=TABLE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for holder in self._holders.values():
            holder.kill()
            holder.wait()

    def address(self, party: str) -> str:
        return f"10.77.{PARTIES.index(party)}.1"

    def inside(self, party: str, command: list[str]) -> list[str]:
        holder = self._holders.get(party)
        return ["nsenter", f"--net=/proc/{holder.pid}/ns/net", *command] if holder else command

    def cut(self, parties: Iterable[str]) -> None:
        """From now on every packet of these is dropped, both ways, without a word to either end."""
        names = ", ".join(f"b-{party}" for party in parties)
        _run(*self.inside(BROKER, ["nft", "add", "element", "inet", "faults", "cut", f"{{ {names} }}"]))

    def heal(self) -> None:
        """Packets pass again, at full speed."""
        _run(*self.inside(BROKER, ["nft", "flush", "set", "inet", "faults", "cut"]))
        for party in PARTIES:
            for place, device in self._ends(party):
                _run(*self.inside(place, ["tc", "qdisc", "del", "dev", device, "root"]), strict=False)

    def slow(self, parties: Iterable[str], kbit: int) -> None:
        """So many kilobits a second, both ways, with up to three seconds' worth of packets queued: bufferbloat."""
        bucket = ["root", "tbf", "rate", f"{kbit}kbit", "burst", "1600", "latency", "3s"]
        for party in parties:
            for place, device in self._ends(party):
                _run(*self.inside(place, ["tc", "qdisc", "replace", "dev", device, *bucket]))

    def _ends(self, party: str) -> list[tuple[str, str]]:
        return [(BROKER, f"b-{party}"), (party, f"p-{party}")]

    def _join(self, number: int, party: str) -> None:
        holder = self._holders.get(party)
        home = str(holder.pid if holder else os.getpid())
        ends = self._ends(party)
        peer = ["type", "veth", "peer", "name", f"p-{party}", "netns", home]
        _run(*self.inside(BROKER, ["ip", "link", "add", f"b-{party}", *peer]))
        for (place, device), last in zip(ends, (1, 2), strict=True):
            _run(*self.inside(place, ["ip", "address", "add", f"10.77.{number}.{last}/30", "dev", device]))
            _run(*self.inside(place, ["ip", "link", "set", device, "up"]))


def _hold() -> subprocess.Popen[bytes]:
    """A process in a network namespace of its own, which ends when this one does: its input ends then."""
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    ours = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{holder.pid}/ns/net").readlink() == ours:
        if time.monotonic() > deadline:
            raise Skipped("unshare --net does not work here")
        time.sleep(0.01)
    return holder


def _run(*command: str, given: str = "", strict: bool = True) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=20)
    if strict and done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
