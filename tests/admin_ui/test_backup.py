"""A site comes back from one file, whoever was erased meanwhile does not, and what is no backup changes nothing."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from admin_ui import cli
from admin_ui.backup import restore, write_backup
from admin_ui.doorkeeping import LEAP
from admin_ui.service import Office
from firmware_config.errors import BadInput, BadState
from firmware_config.roster import Roster
from firmware_config.settings import AdminSettings

Photo = Callable[..., bytes]


@pytest.fixture
def store_url() -> str:
    """SQLite: a database server has tools of its own for its part."""
    return ""


def _backup(settings: AdminSettings) -> bytes:
    out = io.BytesIO()
    write_backup(settings, out)
    return out.getvalue()


@pytest.fixture
def admin_toml(tmp_path: Path, settings: AdminSettings) -> Path:
    path = tmp_path / "admin.toml"
    path.write_text(f'site = "home"\nstate = "{settings.state}"\n', encoding="utf-8")
    return path


def test_everybody_of_that_day_is_back_and_the_record_is_whole(
    office: Office, settings: AdminSettings, make_office: Callable[..., Office], photo: Photo
) -> None:
    office.enrol("Ada", photo(1), ["front"], "boss")
    data = _backup(settings)
    office.enrol("Bob", photo(2), ["front"], "boss")
    office.stop()
    made, before = restore(settings, io.BytesIO(data))
    assert (made.site, made.with_store) == ("home", True)
    back = make_office()
    assert [person.name for person in back.people()] == ["Ada"]
    with back.store.read() as session:
        assert back.witness.verify(session).count > 0
    assert before is not None
    assert (before / "store.db").exists()  # what was there is kept, not overwritten


def test_whoever_was_erased_since_stays_erased(
    office: Office, settings: AdminSettings, make_office: Callable[..., Office], photo: Photo
) -> None:
    ada = office.enrol("Ada", photo(1), ["front"], "boss").person
    office.enrol("Bob", photo(2), ["front"], "boss")
    data = _backup(settings)
    office.remove(ada.id, "boss")
    office.stop()
    restore(settings, io.BytesIO(data))
    assert [person.name for person in make_office().people()] == ["Bob"]


def test_a_backup_has_nothing_of_whoever_was_erased_before(
    office: Office, settings: AdminSettings, photo: Photo
) -> None:
    ada = office.enrol("Ada Unmistakable", photo(1), ["front"], "boss").person
    assert b"Unmistakable" in gzip.decompress(_backup(settings))
    office.remove(ada.id, "boss")
    assert b"Unmistakable" not in gzip.decompress(_backup(settings))


def _with_an_upload(data: bytes) -> bytes:
    """As an older version's: a photo that somebody was just sending is in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member))
        member = tarfile.TarInfo("uploads/8080/ada.jpg")
        member.size = 4
        new.addfile(member, io.BytesIO(b"face"))
    return out.getvalue()


def test_photos_that_are_being_sent_are_in_no_backup(office: Office, settings: AdminSettings) -> None:
    sent = settings.state / "uploads" / "8080" / "ada.jpg"
    sent.parent.mkdir(parents=True)
    sent.write_bytes(b"face")
    data = _backup(settings)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert not [name for name in names if name.startswith("uploads")]
    assert "store.db" in names
    assert any(name.startswith("keys/") for name in names)
    office.stop()
    restore(settings, io.BytesIO(_with_an_upload(data)))
    assert not (settings.state / "uploads").exists()


def test_the_doors_take_the_restored_list(
    office: Office,
    settings: AdminSettings,
    admin_toml: Path,
    photo: Photo,
    roster_of: Callable[[str], Roster],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    office.enrol("Ada", photo(1), ["front"], "boss")
    file = tmp_path / "home.tar.gz"
    assert cli.main(["backup", str(file), "--settings", str(admin_toml)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for number in (2, 3, 4):  # lists that the door has run since
        office.enrol(f"Guest {number}", photo(number), ["front"], "boss")
    newest = roster_of("front").generation
    office.stop()
    capsys.readouterr()
    assert cli.main(["restore", str(file), "--settings", str(admin_toml)]) == 0
    said = capsys.readouterr().out
    assert "lists of 1 doors" in said
    assert ".before-" in said
    restored = roster_of("front")
    assert newest < restored.generation <= newest + LEAP
    assert [person.name for person in restored.people] == ["Ada"]


def test_a_backup_is_whole_while_the_page_writes(
    office: Office, settings: AdminSettings, make_office: Callable[..., Office]
) -> None:
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            office.add_door(f"door-{(number := number + 1)}", "boss")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backups = [_backup(settings) for _ in range(3)]
    finally:
        done.set()
        writer.join()
    office.stop()
    for data in backups:
        restore(settings, io.BytesIO(data))
        back = make_office()
        with back.store.read() as session:
            assert back.witness.verify(session).count > 0
        back.stop()


def _other_site(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            raw = content.read() if content else b""
            raw = raw.replace(b'"home"', b'"barn"') if member.name == "backup.json" else raw
            new.addfile(member, io.BytesIO(raw) if content else None)
    return out.getvalue()


def _escaping(_data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("../escaped")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "no whole backup"),
        (lambda data: b"not a tar", "no whole backup"),
        (lambda data: data[: len(data) // 2], "no whole backup"),
        (lambda data: gzip.compress(b"\0" * 10240), "does not say of which site"),
        (_other_site, "site 'barn'"),
        (_escaping, "no place in a backup"),
    ],
)
def test_what_is_no_backup_of_this_site_changes_nothing(
    office: Office, settings: AdminSettings, photo: Photo, damage: Callable[[bytes], bytes], says: str
) -> None:
    office.enrol("Ada", photo(1), ["front"], "boss")
    data = damage(_backup(settings))
    with pytest.raises(BadInput, match=says):
        restore(settings, io.BytesIO(data))
    assert [person.name for person in office.people()] == ["Ada"]
    assert [path.name for path in settings.state.parent.iterdir() if path.name.startswith(".")] == []
    assert not (settings.state.parent / "escaped").exists()


def test_an_old_backup_is_not_written_over(
    office: Office, admin_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept.tar.gz"
    file.write_bytes(b"older")
    assert cli.main(["backup", str(file), "--settings", str(admin_toml)]) == 1
    assert "there already" in capsys.readouterr().err
    assert file.read_bytes() == b"older"


def test_without_a_site_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BadState, match="no site"):
        write_backup(AdminSettings(site="home", state=tmp_path / "none"), io.BytesIO())
