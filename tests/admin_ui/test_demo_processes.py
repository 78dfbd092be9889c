"""The demo leaves nothing behind: its programs end with it, also when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from admin_ui.demo.broker import start_broker
from admin_ui.demo.processes import LOOPBACK, Processes, free_port, listens, next_free_port
from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadState
from firmware_config.settings import BrokerSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def is_gone(pid: int) -> bool:
    """True when there is no such process, or only its remains."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def eventually(what: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.02)
    return what()


def test_programs_end_when_the_block_is_left(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        pids = [processes.start(name, SLEEP).process.pid for name in ("one", "two")]
        processes.check()
    assert all(is_gone(pid) for pid in pids)


def test_programs_end_when_the_demo_fails(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail() -> None:
        with Processes(tmp_path) as processes:
            pids.append(processes.start("one", SLEEP).process.pid)
            raise BadState("The door is gone.")

    with pytest.raises(BadState):
        fail()
    assert is_gone(pids[0])


def test_programs_end_when_the_demo_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from admin_ui.demo.processes import Processes\n"
        f"with Processes(Path({str(tmp_path)!r})) as processes:\n"
        f"    print(processes.start('one', {SLEEP!r}).process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        pid = int(demo.stdout.readline())
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait(10)
    assert eventually(lambda: is_gone(pid))


def test_a_program_that_ignores_the_signal_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin_ui.demo.processes.STOP_S", 0.3)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    with Processes(tmp_path) as processes:
        running = processes.start("deaf", [sys.executable, "-c", deaf])
        processes.wait_for("deaf", lambda: "deaf" in running.log.read_text(encoding="utf-8"), 10)
    assert is_gone(running.process.pid)


def test_a_program_that_ends_by_itself_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("door", [sys.executable, "-c", "import sys; sys.exit('no camera here')"])
        with pytest.raises(BadState, match=r"(?s)The door has ended \(exit code 1\).*no camera here"):
            processes.wait_for("The door", lambda: False, 20)


def test_a_command_that_fails_is_reported_with_its_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes, pytest.raises(BadState, match=r"init failed .*\nwrong file"):
        processes.run("init", [sys.executable, "-c", "import sys; sys.exit('wrong file')"], 20)


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
        assert next_free_port(port) > port


@pytest.mark.parametrize("embedded", [False, True], ids=["installed", "amqtt"])
def test_the_broker_carries_retained_messages_and_ends(tmp_path: Path, embedded: bool) -> None:
    heard: list[Incoming] = []
    with Processes(tmp_path / "logs") as processes:
        port, name = start_broker(processes, tmp_path, embedded=embedded)
        assert name.split()[0] in (("amqtt",) if embedded else ("mosquitto", "amqtt"))
        speaker, listener = (
            Connection(
                BrokerSettings(url=f"mqtt://{LOOPBACK}:{port}"),
                client_id,
                subscriptions=topics,
                on_message=heard.append,
                on_connected=lambda: None,
            )
            for client_id, topics in (("speaker", []), ("listener", [("latchkey/#", 1)]))
        )
        try:
            speaker.start()
            assert speaker.wait(10)
            assert speaker.publish("latchkey/demo/front/model", bytes(3_000_000), retain=True)
            speaker.stop()  # when the broker has it: who listens before that hears it as new
            listener.start()
            assert eventually(lambda: any(message.retained for message in heard))
        finally:
            speaker.stop()
            listener.stop()
    assert not listens(port)
    assert len(heard[0].payload) == 3_000_000
