"""Files change whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware_config.files import drop_half_written, make_folder, write_atomic


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "key"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    write_atomic(path, b"public", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
def test_a_failure_before_the_replacement_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "roster"
    write_atomic(path, b"old")

    def fail(*args: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, step, fail)
        with pytest.raises(OSError, match="Input/output"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_is_on_the_disk_before_anything_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("firmware_config.files.sync_folder", synced.append)
    write_atomic(tmp_path / "models" / "new" / "encoder", b"whole")
    assert synced == [tmp_path, tmp_path / "models", tmp_path / "models" / "new"]
    make_folder(tmp_path / "keys", mode=0o700)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_what_a_power_cut_left_half_written_goes_and_nothing_else_does(tmp_path: Path) -> None:
    for name in (".roster.sealed.abcd_123", ".roster.sealed.old", ".marks.json.abcd1234", "roster.sealed"):
        (tmp_path / name).touch()
    drop_half_written(tmp_path, "roster.sealed", older_than_s=60)
    assert (tmp_path / ".roster.sealed.abcd_123").exists(), "somebody else may be writing it"
    drop_half_written(tmp_path, "roster.sealed")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".marks.json.abcd1234",
        ".roster.sealed.old",
        "roster.sealed",
    ]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"somebody else's")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, b"ours")
    assert target.read_bytes() == b"somebody else's"
    assert not link.is_symlink()
