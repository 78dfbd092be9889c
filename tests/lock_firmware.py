"""The lock's firmware on this machine: its own C++, built with g++ and mbedtls, chip and ESPHome doubled by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
HOST = HERE / "lock_host"
FIRMWARE = HERE.parent / "firmware_config" / "lock"
MBEDTLS = Path("/usr/include/mbedtls/md.h")
FLAGS = ["-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
FLAGS += ["-fno-sanitize-recover=all"]  # a read past the end, an overflow: the process dies, and the test with it


def missing(sentence: str) -> NoReturn:
    """Skips for a user, fails where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def build(folder: Path) -> Path:
    """The program. Skips, or fails where CI=true, without compiler or library."""
    if shutil.which("g++") is None or not MBEDTLS.exists():
        missing("this test builds the lock's C++: apt-get install g++ libmbedtls-dev")
    program = folder / "lock"
    sources = ["-I", str(HOST), "-I", str(FIRMWARE), str(HOST / "host.cpp"), "-lmbedcrypto", "-o", str(program)]
    built = subprocess.run(["g++", *FLAGS, *sources], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


@dataclass(frozen=True)
class Said:
    """One message to the broker."""

    leaf: str
    qos: int
    retained: bool
    payload: str


class Firmware:
    """One DoorLock from its start. Time stands still but for `at`."""

    def __init__(self, program: Path, key_hex: str, door: str) -> None:
        """door: "site/door"."""
        self.prefix = f"latchkey/{door}/lock/"
        self.strike = False
        """True: it lets go."""
        self.challenge = ""
        """As last published."""
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the lock; a pipe would fill up
        self._process = subprocess.Popen(
            [program, key_hex, door],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def order(self, line: str) -> list[Said]:
        """What is said to the broker in answer to one order; host.cpp has the list of orders."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        said = []
        while (answer := self._process.stdout.readline().rstrip("\n")) != "done":
            assert answer, self.log()
            kind, rest = answer.split(" ", 1)
            if kind == "strike":
                self.strike = rest == "1"
                continue
            topic, qos, retain, payload = rest.split(" ", 3)
            assert topic.startswith(self.prefix)
            said.append(Said(topic.removeprefix(self.prefix), int(qos), retain == "1", payload))
            if said[-1].leaf == "challenge":
                self.challenge = json.loads(payload)["challenge"]
        return said

    def at(self, ms: int) -> None:
        self.order(f"at {ms}")

    def connect(self) -> list[Said]:
        """ESPHome's on_connect, and the first turn of its loop after it."""
        return self.order("up") + self.loop()

    def loop(self, *, lets_go: bool = False, leaf_open: bool = False) -> list[Said]:
        return self.order(f"loop {lets_go:d} {leaf_open:d}")

    def obey(self, payload: bytes) -> list[Said]:
        """A payload on lock/command."""
        return self.order(f"obey {payload.hex() or '-'}")

    def log(self) -> str:
        """What it has logged so far, and what a sanitizer said of its end."""
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0, self.log()  # the sanitizers look for leaks first
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Firmware:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
