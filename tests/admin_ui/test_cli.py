"""latchkey-admin, as a person at a shell meets it."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from admin_ui import cli
from admin_ui.accounts import PasswordCheck
from admin_ui.commands import shared
from admin_ui.journal import see_head
from admin_ui.service import Office
from admin_ui.store import open_store
from firmware_config.settings import AdminSettings, load_admin
from tests.brokers import free_port
from tests.waiting import until

Photo = Callable[..., bytes]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store_url() -> str:
    """SQLite: what a shell does is the same for both."""
    return ""


@pytest.fixture
def admin_toml(tmp_path: Path, settings: AdminSettings, make_office: Callable[..., Office]) -> Path:
    """A site that has its encoder already: the toy one."""
    make_office().stop()
    path = tmp_path / "admin.toml"
    lines = ['site = "home"', f'state = "{settings.state}"', "[page]", f"port = {free_port()}"]
    lines += ["[broker]", f'url = "{settings.broker.url}"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(admin_toml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run(*arguments) -> exit code, stdout, stderr; with a broker that does not answer, and no patience."""
    monkeypatch.setattr(shared, "CONNECT_S", 0.1)
    monkeypatch.setattr(shared, "APPLIED_S", 0.1)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main([*arguments, "--settings", str(admin_toml)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_init_makes_a_site_once_and_shows_the_password_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "etc" / "admin.toml"
    arguments = [
        "init",
        "--settings",
        str(path),
        "--site",
        "office",
        "--state",
        str(tmp_path / "state"),
        "--port",
        "7999",
    ]
    assert cli.main(arguments) == 0
    first = capsys.readouterr().out
    settings = load_admin(path)
    assert (settings.site, settings.page.port) == ("office", 7999)
    folder = settings.state / "keys"
    keys = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    names = {file.name for file in keys}
    assert names >= {"site.key", "store.key", "session.key", "ca.key", "ca.crt", "mqtt.key", "mqtt.crt"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in keys if file.suffix == ".key")
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())

    password = first.split("password ")[1].split()[0]
    store = open_store(settings.store, settings.state)
    assert PasswordCheck(store)("admin", password)
    store.close()

    assert cli.main(arguments) == 0
    assert password not in capsys.readouterr().out
    assert keys == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("broker", "needed"), [("mqtts://localhost:8883", True), ("mqtt://localhost:1883", False)])
def test_init_says_that_a_broker_with_tls_is_still_to_be_set_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broker: str, needed: bool
) -> None:
    path = tmp_path / "admin.toml"
    assert cli.main(["init", "--settings", str(path), "--state", str(tmp_path / "state"), "--broker", broker]) == 0
    assert ("broker write" in capsys.readouterr().out) is needed


def test_init_refuses_a_name_that_is_no_topic_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "admin.toml"
    assert cli.main(["init", "--settings", str(path), "--site", "My Office"]) == 2
    assert "site" in capsys.readouterr().err
    assert not path.exists()


def test_wrong_settings_are_all_named_and_the_code_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "admin.toml"
    path.write_text('site = "home"\nstaet = "x"\n[page]\nport = "many"\n', encoding="utf-8")
    assert cli.main(["people", "--settings", str(path)]) == 2
    error = capsys.readouterr().err
    assert "did you mean" in error.lower()
    assert "page.port" in error


def test_a_site_that_was_never_founded_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "admin.toml"
    path.write_text(f'site = "home"\nstate = "{tmp_path / "empty"}"\n', encoding="utf-8")
    assert cli.main(["people", "--settings", str(path)]) == 1
    assert "latchkey-admin init" in capsys.readouterr().err


def test_enrol_list_and_remove_from_a_shell(run: Run, photo: Photo, tmp_path: Path) -> None:
    file = tmp_path / "ada.png"
    file.write_bytes(photo(1))
    code, out, _ = run("door", "add", "front", "--out", str(tmp_path / "carry"))
    assert code == 0
    assert (tmp_path / "carry" / "door" / "pairing.toml").exists()
    assert str(tmp_path / "carry" / "door") in out

    code, out, _ = run("enrol", "Ada", str(file))
    assert code == 0
    assert "Ada is enrolled." in out
    assert "as soon as the link is back" in out

    assert "Ada  (front)" in run("people")[1]
    assert "front: offline" in run("door", "list")[1]
    assert run("people", "remove", "Ada")[0] == 0
    assert "Ada" not in run("people", "list")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("enrol", "Ada", "{folder}/nosuch.png"), "No such file"),
        (("enrol", "Ada", "{folder}/admin.toml"), "not an image"),
        (("people", "remove", "Nobody"), "Nobody named 'Nobody' is enrolled"),
        (("door", "unlock", "side"), "no door named 'side'"),
        (("door", "add", "../x"), "cannot name a site or door"),
        (("model", "ship", "{folder}/admin.toml"), "not a whole bundle file"),
        (("door", "tau", "front", "0.4", "--fpir", "1e-4"), "not both"),
        (("events", "prune", "--older-than", "0"), "from 1 to 36500, not 0"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_code_1(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, _, error = run(*(argument.format(folder=tmp_path) for argument in arguments))
    assert code == 1
    assert says in error
    assert "Traceback" not in error


def test_password_from_a_file(run: Run, tmp_path: Path, settings: AdminSettings) -> None:
    file = tmp_path / "password"
    file.write_text("a long password\n", encoding="utf-8")
    assert run("password", "eve", "--password-file", str(file))[0] == 0
    store = open_store("", settings.state)
    assert PasswordCheck(store)("eve", "a long password")
    store.close()
    file.write_text("short\n", encoding="utf-8")
    code, _, error = run("password", "eve", "--password-file", str(file))
    assert code == 1
    assert "10 to 256 characters" in error


@pytest.mark.slow
def test_serve_answers_and_ends_cleanly_on_sigterm(admin_toml: Path) -> None:
    page = load_admin(admin_toml).page
    command = [sys.executable, "-m", "admin_ui.cli", "serve", "--settings", str(admin_toml)]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:

        def healthy() -> bool:
            assert process.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/healthz", timeout=1) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        try:
            assert until(healthy, timeout_s=90, step_s=0.2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            if process.poll() is None:
                process.kill()
            output = process.stdout.read().decode() if process.stdout else ""
        assert "The page is at http://127.0.0.1" in output
        assert "Traceback" not in output, output


def test_old_events_are_pruned(run: Run) -> None:
    code, out, _ = run("events", "prune", "--older-than", "90")
    assert (code, out) == (0, "0 events older than 90 days are deleted; the record of acts says so.\n")


def test_the_record_of_acts_is_verified_and_exported(run: Run, admin_toml: Path, tmp_path: Path) -> None:
    run("door", "add", "front", "--out", str(tmp_path / "carry"))
    code, out, _ = run("audit", "verify")
    assert code == 0
    assert "The record of acts is whole: 1 acts" in out
    assert "The audit of front: nothing heard yet." in out
    assert run("audit", "export", str(tmp_path / "acts.jsonl"))[0] == 0
    assert '"what": "add_door", "subject": "front"' in (tmp_path / "acts.jsonl").read_text(encoding="utf-8")

    store = open_store("", load_admin(admin_toml).state)
    see_head(store, "front", 9, "aa")
    see_head(store, "front", 8, "bb", again=True)
    store.close()
    code, out, _ = run("audit", "verify")
    assert code == 1
    assert "latchkey-device audit verify --head 9:aa" in out
    assert run("audit", "accept", "front")[0] == 0
    assert run("audit", "verify")[0] == 0

    store = open_store("", load_admin(admin_toml).state)
    with store.write() as session:
        session.execute(text("DELETE FROM acts WHERE seq = 1"))
    store.close()
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "Act 1 of the record is missing" in err
