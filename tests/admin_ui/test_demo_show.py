"""The demo as a person runs it: at a terminal, with real programs; one key ends all of it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin_ui.demo.processes import LOOPBACK, free_port, listens, own_program

START_S = 150.0
"""A busy machine with two cores; a free one needs 15 s."""
END_S = 40.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Terminal:
    """A demo at a terminal of its own; `seen` is all that it has written."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        command = [own_program("latchkey-admin"), "demo", "--port", str(free_port()), *arguments]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TMPDIR": str(folder)}
        )
        os.close(slave)
        self.seen = ""

    def read_until(self, pattern: str, timeout_s: float) -> re.Match[str]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = re.search(pattern, self.seen)
            if found:
                return found
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:  # Linux says EIO when the other side has closed the terminal
                    break
        raise AssertionError(f"{pattern!r} was not written within {timeout_s} s:\n{self.seen}")

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)


def programs_of(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended since the listing
        if str(folder) in line:
            found.append(line)
    return found


@pytest.fixture
def assets(att: object, detector: object) -> None:
    """What the demo fetches is cached before it starts."""


@pytest.fixture
def terminal(tmp_path: Path, assets: None) -> Iterator[Terminal]:
    demo = Terminal(tmp_path, "--camera", "demo:?owners=31&strangers=1&gap=1.2&pause=0.3")
    yield demo
    demo.close()


def test_the_demo_says_what_to_do_shows_a_stranger_and_ends_at_a_key(terminal: Terminal, tmp_path: Path) -> None:
    address = terminal.read_until(rf"http://{re.escape(LOOPBACK)}:(\d+)", START_S)
    terminal.read_until(r"Log in as  admin   with the password  \S{16}", START_S)
    photos = terminal.read_until(r"from a photo in (\S+)", 10).group(1)
    assert (Path(photos) / "person-31.png").is_file()
    terminal.read_until(r"\d\d:\d\d:\d\d  The person of person-\d\d\.png: refused\.", START_S)
    terminal.press(b"q")
    terminal.read_until("nothing is left running", END_S)
    assert terminal.process.wait(10) == 0
    assert programs_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert not listens(int(address.group(1)))


def test_ctrl_c_while_starting_ends_everything(terminal: Terminal, tmp_path: Path) -> None:
    terminal.read_until("Starting the page", START_S)
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(END_S) == 0
    assert programs_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
