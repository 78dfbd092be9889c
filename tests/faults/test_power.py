"""The disk of the row `power` must lose what it may lose and nothing else, and the row must notice."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.bench import Findings, Skipped
from tests.faults.power import cut_off
from tests.faults.power_disk import PAGE, SECTOR, Disk
from tests.faults.power_door import DoorSite
from tests.faults.power_log import Call, What, build_shim

OLD, NEW = b"o" * 3 * PAGE, b"n" * 3 * PAGE
FILE, OTHER = Path("file"), Path("other")


@pytest.fixture
def begin(tmp_path: Path) -> Path:
    folder = tmp_path / "begin"
    folder.mkdir()
    (folder / FILE).write_bytes(OLD)
    return folder


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    try:
        return build_shim(tmp_path)
    except Skipped as skipped:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(skipped))


def left(disk: Disk, into: Path, draws: int = 60) -> set[tuple[tuple[str, bytes], ...]]:
    """What is found after power cuts."""
    found = set()
    for seed in range(draws):
        disk.lose_power(random.Random(seed), into)
        found.add(tuple((path.name, path.read_bytes()) for path in sorted(into.iterdir())))
    return found


def replace(path: Path, begin: Path, *, file_sync: bool = True, folder_sync: bool = True) -> list[Call]:
    """The calls of firmware_config.files.write_atomic."""
    new, root = 10**9, begin.stat().st_ino
    calls = [
        Call(What.CREATE, OTHER, Path(), new, 0, b""),
        Call(What.WRITE, OTHER, Path(), new, 0, NEW),
        Call(What.SYNC, OTHER, Path(), new, 0, b"") if file_sync else None,
        Call(What.RENAME, OTHER, path, new, 0, b""),
        Call(What.SYNC, Path(), Path(), root, 0, b"") if folder_sync else None,
    ]
    return [call for call in calls if call is not None]


def test_a_file_that_was_replaced_with_both_syncs_is_the_new_one(begin: Path, tmp_path: Path) -> None:
    disk = Disk(begin)
    disk.play(replace(FILE, begin))
    assert left(disk, tmp_path / "left") == {(("file", NEW),)}


def test_without_the_folders_sync_it_is_the_old_one_or_the_new_one(begin: Path, tmp_path: Path) -> None:
    disk = Disk(begin)
    disk.play(replace(FILE, begin, folder_sync=False))
    names = left(disk, tmp_path / "left")
    assert {dict(found)["file"] for found in names} == {OLD, NEW}


def test_without_the_files_sync_it_is_empty_half_or_full_of_holes(begin: Path, tmp_path: Path) -> None:
    disk = Disk(begin)
    disk.play(replace(FILE, begin, file_sync=False))
    contents = {dict(found)["file"] for found in left(disk, tmp_path / "left")}
    assert {b"", NEW} < contents
    assert any(0 < len(content) < len(NEW) for content in contents)
    assert any(len(content) == len(NEW) and b"\0" in content and b"n" in content for content in contents)


def test_a_write_in_place_is_torn_between_sectors_and_never_within_one(begin: Path, tmp_path: Path) -> None:
    disk = Disk(begin)
    inode = (begin / FILE).stat().st_ino
    disk.play([Call(What.WRITE, FILE, Path(), inode, 100, b"n" * 2000)])
    contents = {dict(found)["file"] for found in left(disk, tmp_path / "left")}
    assert len(contents) > 4
    for content in contents:
        assert len(content) == len(OLD)
        inside = content[100:2100]
        cuts = [at + 100 for at in range(1, 2000) if inside[at] != inside[at - 1]]
        assert all(cut % SECTOR == 0 for cut in cuts)


def test_a_folder_whose_parent_was_not_synced_may_be_gone_with_all_that_is_in_it(begin: Path, tmp_path: Path) -> None:
    disk = Disk(begin)
    disk.play(
        [
            Call(What.MKDIR, Path("made"), Path(), 7, 0, b""),
            Call(What.CREATE, Path("made/inner"), Path(), 8, 0, b""),
            Call(What.SYNC, Path("made/inner"), Path(), 8, 0, b""),
            Call(What.SYNC, Path("made"), Path(), 7, 0, b""),
        ]
    )
    there = set()
    for seed in range(20):
        disk.lose_power(random.Random(seed), tmp_path / "left")
        there.add((tmp_path / "left" / "made" / "inner").exists())
    assert there == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize(
    "make_disk",
    [
        pytest.param(partial(Disk, file_sync=False), id="fsync of a file does nothing"),
        pytest.param(partial(Disk, folder_sync=False), id="fsync of a folder does nothing"),
    ],
)
def test_a_door_on_a_disk_that_ignores_fsync_fails_the_row(
    tmp_path: Path, shim: Path, make_disk: Callable[[Path], Disk]
) -> None:
    site, draw, findings = DoorSite(tmp_path / "door"), random.Random(1), Findings()
    while not findings.wrong and findings.done < 12:
        cut_off(site, shim, draw, 4, findings, make_disk)
    assert findings.wrong, f"{findings.done} power cuts on such a disk were all survived"
