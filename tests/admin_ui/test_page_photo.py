"""The browser's record of an upload leads to a file that was uploaded, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin_ui.page.photo import NO_PHOTO, PHOTO_GONE, photo_bytes
from firmware_config.errors import BadInput


def test_an_upload_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    assert photo_bytes({"path": str(tmp_path / "a.jpg")}, tmp_path) == b"photo"


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.jpg", "nothing.jpg", "", "\0", "\ud800", "x" * 5000])
def test_a_path_that_leads_to_no_upload_is_a_photo_that_is_gone(tmp_path: Path, path: str) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (tmp_path / "a.jpg").write_bytes(b"not uploaded")
    for whole in (path, f"{uploads}/{path}"):
        with pytest.raises(BadInput) as refused:
            photo_bytes({"path": whole}, uploads)
        assert str(refused.value) == PHOTO_GONE


@pytest.mark.parametrize("record", [None, {}, {"path": 5}, {"url": "a.jpg"}])
def test_no_record_is_no_photo(tmp_path: Path, record: dict[str, object] | None) -> None:
    with pytest.raises(BadInput) as refused:
        photo_bytes(record, tmp_path)
    assert str(refused.value) == NO_PHOTO
