"""ESPHome itself takes the lock's configuration: `esphome config`, and the C++ it writes from it.

ESPHome pins its libraries, so it lives in an environment of its own, made once in .venv-esphome.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lock_firmware import FIRMWARE, missing

VERSION = "2026.6.5"
ENVIRONMENT = Path(__file__).parents[2] / ".venv-esphome"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the first run installs 250 MB
    pytest.mark.skipif(sys.version_info < (3, 11), reason="ESPHome 2026 needs Python 3.11"),
]


@pytest.fixture(scope="module")
def esphome() -> Path:
    """The program. Skips, or fails where CI=true, when it cannot be installed."""
    program = ENVIRONMENT / "bin" / "esphome"
    ready = ENVIRONMENT / f"ready-{VERSION}"
    if not ready.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True, timeout=120)
        install = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", f"esphome=={VERSION}"]
        installed = subprocess.run(install, capture_output=True, text=True, check=False, timeout=480)
        if installed.returncode != 0:
            missing(f"this test installs ESPHome {VERSION} from PyPI, and pip could not: {installed.stderr[-300:]}")
        ready.touch()
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lock's folder as it is after pairing."""
    for file in [*FIRMWARE.glob("*.h"), FIRMWARE / "esphome.yaml"]:
        shutil.copy(file, tmp_path)
    shutil.copy(FIRMWARE / "secrets.example.yaml", tmp_path / "secrets.yaml")
    return tmp_path


def run(esphome: Path, folder: Path, *arguments: str, **chosen: str) -> subprocess.CompletedProcess[str]:
    """chosen: substitutions given on the command line."""
    options = [word for name, value in chosen.items() for word in ("-s", name, value)]
    command = [esphome, *options, *arguments, "esphome.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def inverted(configured: str, name: str) -> str:
    """Whether a pin is inverted, true or false, in what `esphome config` prints."""
    block = configured.split(f"id: {name}\n", 1)[1]
    found = re.search(r"inverted: (\w+)", block)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("fails", "relay", "strike", "read_back"),
    [
        ("secure", "high", "false", "true"),
        ("secure", "low", "true", "true"),
        ("safe", "high", "true", "false"),
        ("safe", "low", "false", "false"),
    ],
)
def test_esphome_takes_it_fail_secure_and_fail_safe(
    esphome: Path, folder: Path, fails: str, relay: str, strike: str, read_back: str
) -> None:
    done = run(esphome, folder, "config", lock_fails=fails, relay_on=relay)
    assert done.returncode == 0, done.stderr
    assert inverted(done.stdout, "strike") == strike
    assert inverted(done.stdout, "strike_lets_go") == read_back


@pytest.mark.parametrize(
    "chosen", [{"lock_fails": "sekure"}, {"relay_on": "up"}, {"relay_pin": "34"}, {"exit_pin": "99"}]
)
def test_esphome_refuses_a_slip_in_the_settings(esphome: Path, folder: Path, chosen: dict[str, str]) -> None:
    done = run(esphome, folder, "config", **chosen)
    assert done.returncode != 0
    assert "Failed config" in done.stdout


def test_what_esphome_writes_ties_the_lock_to_its_door(esphome: Path, folder: Path) -> None:
    done = run(esphome, folder, "compile", "--only-generate")
    assert done.returncode == 0, done.stderr
    built = folder / ".esphome" / "build" / "latchkey-lock"
    code = "\n".join(
        line
        for line in (built / "src" / "main.cpp").read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("//")
    )
    for wanted in (
        '#include "lock_device.h"',
        f'"{"0" * 64}", "home/front",',
        'MQTTMessageTrigger("latchkey/home/front/lock/command")',
        "latchkey::the_lock->connected();",
        "latchkey::the_lock->obey(x);",
        'set_client_id("latchkey-lock-home-front")',
        "set_clean_session(true)",
        "set_skip_cert_cn_check(false)",
        "set_ca_certificate(",
        "set_cl_certificate(",
        "set_cl_key(",
        "disable_discovery()",
        "disable_log_message()",
        "StartupTrigger(700.0f)",
    ):
        assert wanted in code, wanted
    assert code.count("set_reboot_timeout(0)") == 2, "neither Wi-Fi nor broker may restart the lock"
    options = next(built.glob("sdkconfig.latchkey-lock")).read_text(encoding="utf-8")
    assert "CONFIG_MBEDTLS_SSL_PROTO_TLS1_3=y" in options
    assert "CONFIG_MBEDTLS_SSL_KEEP_PEER_CERTIFICATE=y" in options


def test_the_example_has_every_secret_that_is_asked_for_and_no_other() -> None:
    asked = set(re.findall(r"!secret (\w+)", (FIRMWARE / "esphome.yaml").read_text(encoding="utf-8")))
    example = (FIRMWARE / "secrets.example.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+):", example, re.MULTILINE)) == asked
