"""latchkey-device from a shell: exit codes, sentences instead of tracebacks, the lock as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import detector_file
from device.cli import main
from firmware_config.broker import Connection, Incoming
from firmware_config.files import write_atomic
from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import Challenge, Topics, decode, encode
from firmware_config.pairing import write_pairing
from tests.brokers import Mosquitto
from tests.waiting import until

TOPICS = Topics("home", "front")


def test_wrong_settings_are_all_said_at_once_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "door.toml"
    path.write_text('baord = "workstation"\n[camera]\nfps = "quick"\nwidht = 3\n', encoding="utf-8")
    assert main(["run", "--settings", str(path)]) == 2
    said = capsys.readouterr().err
    assert "baord: there is no such setting. Did you mean 'board'?" in said
    assert "camera.fps:" in said
    assert "camera.widht: there is no such setting. Did you mean 'width'?" in said


def test_missing_settings_are_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--settings", str(tmp_path / "none.toml")]) == 2
    assert "not there" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["run"], ["audit", "verify"], ["profile"]])
def test_without_settings_it_says_where_they_come_from(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.toml"
    assert main([*words, "--settings", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{path} has 1 problem(s):\n  The file is not there. `systemd/install.sh device` writes")
    assert "systemd/examples/door.toml" in said


def test_check_without_settings_does_not_ask_to_mend_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--settings", str(tmp_path / "none.toml"), "--json"]) == 2
    (finding,) = json.loads(capsys.readouterr().out)
    assert "systemd/examples/door.toml" in finding["sentence"]
    assert finding["advice"] == ""


def test_a_cache_that_takes_no_detector_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    def fetched() -> Path:
        write_atomic(tmp_path / "file" / "yunet.onnx", b"")
        raise AssertionError("a file has no files in it")

    monkeypatch.setattr(detector_file, "detector_model", fetched)
    assert main(["fetch"]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"The face detector cannot be kept: {tmp_path / 'file'}: ")
    assert said.endswith(" LATCHKEY_CACHE names a folder for it.")


def test_an_unpaired_door_says_how_to_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "door.toml"
    path.write_text('pairing = "pairing"\nstate = "state"\n', encoding="utf-8")
    assert main(["run", "--settings", str(path)]) == 1
    assert "latchkey-admin door add" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["open"], ["lock", "--pairing", "x"], ["replay", "--frames", "x", "--roster", "y", "--fps", "0"]]
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_replay_without_a_roster_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--frames", str(tmp_path), "--roster", str(tmp_path / "none.json")]) == 1
    assert "none.json cannot be read" in capsys.readouterr().err


def test_replay_of_a_sealed_roster_asks_for_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sealed = tmp_path / "roster.sealed"
    sealed.write_bytes(SecretKey.generate().seal(TOPICS["roster"], b"{}"))
    assert main(["replay", "--frames", str(tmp_path), "--roster", str(sealed)]) == 1
    assert "--settings" in capsys.readouterr().err


def test_the_lock_needs_no_camera_library() -> None:
    check = (
        "import device.actuator, device.relay, device.cli, sys; assert not {'cv2', 'onnxruntime'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.mark.broker
def test_the_simulated_lock_as_a_process_opens_and_stops_at_sigterm(tmp_path: Path, broker: Mosquitto) -> None:
    key = SecretKey.generate()
    write_pairing(tmp_path / "pairing", TOPICS, broker.settings, key)
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "lock", "--simulate", "--pairing", str(tmp_path / "pairing")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
    heard: list[Incoming] = []
    door = Connection(
        broker.settings,
        "door",
        subscriptions=[(TOPICS["lock/challenge"], 1)],
        on_message=heard.append,
        on_connected=lambda: None,
    )
    door.start()
    try:
        assert until(lambda: any(not message.retained for message in heard), timeout_s=30)
        challenge = decode(Challenge, heard[-1].payload, "lock/challenge").challenge
        command = sign_command(key, TOPICS.door_id, "unlock", challenge, 200)
        assert door.publish(TOPICS["lock/command"], encode(command), qos=0)
        assert process.stdout is not None
        assert process.stdout.readline() == "The lock opens.\n"
        process.send_signal(signal.SIGTERM)
        # How quickly, tests/systemd measures; here a busy machine may take its time.
        assert process.wait(20) == 0
    finally:
        door.stop()
        process.kill()
        process.communicate()


def test_check_as_json_has_a_part_an_answer_and_an_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "door.toml"
    path.write_text("[camera]\nsource = 7\n", encoding="utf-8")
    assert main(["check", "--settings", str(path), "--json"]) == 2
    findings = json.loads(capsys.readouterr().out)
    assert [finding["part"] for finding in findings] == ["settings"]
    assert not findings[0]["ok"]
    assert "camera.source" in findings[0]["sentence"]
