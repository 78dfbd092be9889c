"""Settings tell all that is wrong at once, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_config.schema import SettingsRefused
from firmware_config.settings import board_names, load_admin, load_door


def written(folder: Path, text: str) -> Path:
    path = folder / "door.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, load: object = load_door) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        load(path)  # type: ignore[operator]
    assert str(path) in str(caught.value)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_lock_pins_are_three_different_ones(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_text('[lock]\nkind = "gpio"\ncontact_pin = 27\nexit_pin = 22\nfail = "safe"\n', encoding="utf-8")
    lock = load_door(path).lock
    assert (lock.contact_pin, lock.exit_pin, lock.fail, lock.held_open_s) == (27, 22, "safe", 30.0)
    path.write_text("[lock]\ncontact_pin = 17\n", encoding="utf-8")
    with pytest.raises(SettingsRefused, match="three different pins"):
        load_door(path)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    settings = load_door(written(tmp_path, ""))
    assert settings.camera.source == "0"
    assert settings.lock.kind == "mqtt"
    assert settings.state == Path("/var/lib/latchkey")


@pytest.mark.parametrize("board", board_names())
def test_every_boards_defaults_are_valid_and_give_way(tmp_path: Path, board: str) -> None:
    settings = load_door(written(tmp_path, f'board = "{board}"\n[camera]\nfps = 7.5\n'))
    assert settings.board == board
    assert settings.camera.fps == 7.5
    assert settings.camera.width == 640


def test_every_error_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        written(
            tmp_path,
            """
            stat = "/var"
            [camera]
            sorce = "0"
            width = "wide"
            fps = 0
            [lock]
            kind = "magnet"
            [runtim]
            threads = 1
            """,
        )
    )
    assert len(found) == 6
    by_key = {problem.split(":")[0]: problem for problem in found}
    assert "Did you mean 'state'?" in by_key["stat"]
    assert "Did you mean 'source'?" in by_key["camera.sorce"]
    assert "Did you mean 'runtime'?" in by_key["runtim"]
    assert "'wide'" in by_key["camera.width"]
    assert "greater than 0" in by_key["camera.fps"]
    assert "'mqtt' or 'gpio'" in by_key["lock.kind"]


def test_an_unknown_board_is_told_with_the_known_ones_and_the_other_errors(tmp_path: Path) -> None:
    found = problems(written(tmp_path, 'board = "raspbery"\n[camera]\nfps = -1\n'))
    assert len(found) == 2
    assert "raspberry-pi-5" in found[0]
    assert found[1].startswith("camera.fps")


@pytest.mark.parametrize(
    ("text", "said"),
    [("[camera", "This is not TOML"), ("a = 1\na = 2", "This is not TOML"), ("board = 5", "no defaults for 5")],
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems(written(tmp_path, text))[0]


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == ["The file is not there."]
    assert "cannot be read" in problems(tmp_path)[0]
    path = tmp_path / "latin.toml"
    path.write_bytes('state = "é"'.encode("latin-1"))
    assert "not UTF-8" in problems(path)[0]


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = load_door(written(tmp_path, 'state = "data"\nmodels = "my.latchkey"\npairing = "/etc/pairing"\n'))
    assert settings.state == tmp_path / "data"
    assert settings.models == tmp_path / "my.latchkey"
    assert settings.pairing == Path("/etc/pairing")


def test_the_pages_settings_need_a_site(tmp_path: Path) -> None:
    assert problems(written(tmp_path, ""), load_admin) == ["site: this setting is needed."]
    settings = load_admin(
        written(tmp_path, 'site = "office"\n[broker]\nurl = "mqtts://broker:8884"\nca_file = "ca.crt"\n')
    )
    assert (settings.broker.host, settings.broker.port, settings.broker.tls) == ("broker", 8884, True)
    assert settings.broker.ca_file == tmp_path / "ca.crt"
    assert load_admin(written(tmp_path, 'site = "o"\n[broker]\nurl = "mqtts://b"\n')).broker.port == 8883


@pytest.mark.parametrize(
    "url",
    [
        "broker:1883",
        "http://broker",
        "mqtt://",
        "mqtt://broker:port",
        "mqtt://broker:99999",
        "mqtt://broker/a",
        "mqtt://b?x=1",
    ],
)
def test_a_broker_url_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    found = problems(written(tmp_path, f'site = "office"\n[broker]\nurl = "{url}"\n'), load_admin)
    assert len(found) == 1
    assert found[0].startswith("broker.url: ")


@pytest.mark.parametrize("host", ["broker..lan", ".lan", f"{'a' * 64}.lan", "a\\u0000b", "xn--\\u00f6.lan"])
def test_a_host_that_no_resolver_takes_is_told_by_its_name(tmp_path: Path, host: str) -> None:
    (found,) = problems(written(tmp_path, f'site = "o"\n[broker]\nurl = "mqtt://{host}:1883"\n'), load_admin)
    assert found.startswith("broker.url: ")
    assert "is no name of a machine" in found
    assert host.split("\\", maxsplit=1)[0] in found.split(" is no name")[0]


@pytest.mark.parametrize(
    "host", ["broker", "broker.lan.", "a_b.lan", f"{'a' * 63}.lan", "10.0.0.1", "[::1]", "böker.lan"]
)
def test_a_host_that_may_be_somewhere_is_taken(tmp_path: Path, host: str) -> None:
    settings = load_admin(written(tmp_path, f'site = "o"\n[broker]\nurl = "mqtts://{host}:8883"\n'))
    assert settings.broker.host == host.strip("[]")


def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = written(tmp_path, 'site = "office"\n[broker]\nurl = "mqtt://door:hunter2@broker"\n')
    (found,) = problems(path, load_admin)
    assert "password_file" in found
    assert "hunter2" not in found
    for secret in ("hunt/er2", "hunt er2", "hunt@er2"):
        (found,) = problems(written(tmp_path, f'site = "o"\n[broker]\nurl = "mqtt://door:{secret}@b"\n'), load_admin)
        assert "hunt" not in found
        assert "er2" not in found
    (unknown,) = problems(written(tmp_path, 'site = "o"\n[broker]\npassword = "hunter2"\n'), load_admin)
    assert "hunter2" not in unknown
    assert "password_file" in unknown


@pytest.mark.parametrize(
    "text",
    [
        '[[camera]]\nsource = "rtsp://admin:Zq/hunter2+x==@10.0.0.5/s"',
        'camera = "http://admin:p@hunter2@10.0.0.5/s"',
        "camera = 'gst:rtspsrc location=rtsp://10.0.0.5 user-id=ann user-pw=\"my hunter2\" ! decodebin'",
        '[camera]\nsource = ["rtsp://10.0.0.5/user=ann&password=hunter2"]',
        'camera = [{ password = "hunter2" }]',
    ],
)
def test_a_cameras_password_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    (found,) = problems(written(tmp_path, text))
    assert found.startswith("camera")
    assert "***" in found
    assert "hunter2" not in found
