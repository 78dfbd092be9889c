"""What is carried to a lock says of which door it is, whatever the door is called."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from admin_ui.authority import Authority
from admin_ui.carrying import SECRETS, carry
from admin_ui.keyring import DoorKeys
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.settings import BrokerSettings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"), "office")


@pytest.mark.parametrize("name", ["front", "0101", "007", "12_30", "1e3", "0x1f", "no", "on", "y", "null"])
def test_a_name_that_yaml_has_a_use_for_stays_a_name(tmp_path: Path, authority: Authority, name: str) -> None:
    broker = BrokerSettings(url="mqtts://broker.example")
    keys = DoorKeys(SecretKey.generate(), SecretKey.generate())
    carry(tmp_path, Topics(name, name), keys, SigningKey.generate().public, (broker, broker), authority)
    # PyYAML reads YAML 1.1, as ESPHome does with it.
    secrets = yaml.safe_load((tmp_path / "lock" / SECRETS).read_text(encoding="utf-8"))
    assert (secrets["site"], secrets["door"]) == (name, name)
