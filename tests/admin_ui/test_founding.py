"""`init` that failed is run again with better options; after one that went well, other options are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_ui import cli
from firmware_config.settings import load_admin


@pytest.mark.parametrize("wrong", ["state", "password"])
def test_after_a_failure_other_options_are_taken(
    tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toml, password, file = tmp_path / "admin.toml", tmp_path / "password", tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    password.write_text("short\n" if wrong == "password" else "long enough to keep\n", encoding="utf-8")
    first = file / "state" if wrong == "state" else tmp_path / "first"
    common = ["init", "--settings", str(toml), "--password-file", str(password)]
    assert cli.main([*common, "--state", str(first), "--port", "7001"]) == 1
    assert not toml.exists()

    password.write_text("long enough to keep\n", encoding="utf-8")
    assert cli.main([*common, "--state", str(tmp_path / "second"), "--port", "7002"]) == 0
    settings = load_admin(toml)
    assert (settings.state, settings.page.port) == (tmp_path / "second", 7002)
    assert "Traceback" not in capsys.readouterr().err


def test_options_that_the_file_does_not_have_are_refused_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml, state = tmp_path / "admin.toml", tmp_path / "state"
    same = ["--state", str(state), "--broker", "mqtt://b:1", "--port", "7001"]
    assert cli.main(["init", "--settings", str(toml), *same]) == 0
    before = toml.read_bytes()
    assert cli.main(["init", "--settings", str(toml), *same]) == 0
    assert cli.main(["init", "--settings", str(toml)]) == 0
    capsys.readouterr()

    other = ["--state", str(tmp_path / "other"), "--broker", "mqtt://c:1", "--port", "7002"]
    assert cli.main(["init", "--settings", str(toml), *other]) == 1
    assert capsys.readouterr().err == (
        f'{toml} is there already and says state = "{state}", broker.url = "mqtt://b:1", page.port = 7001; '
        "--state and --broker and --port were not taken. Change it there, or remove the file.\n"
    )
    assert cli.main(["init", "--settings", str(toml), "--port", "7002"]) == 1
    assert "says page.port = 7001; --port was not taken." in capsys.readouterr().err
    assert toml.read_bytes() == before
    assert not (tmp_path / "other").exists()


def test_a_site_by_a_wrong_name_is_told_how_names_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = tmp_path / "admin.toml"
    assert cli.main(["init", "--settings", str(toml), "--site", "Büro"]) == 2
    said = capsys.readouterr().err
    assert "'Büro' cannot name a site or door: use a-z" in said
    assert "admin.toml" not in said
    assert not toml.exists()
