"""Whatever a file that is uploaded holds: a sentence comes back, and nobody is enrolled and nothing shipped by it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Final

import pytest

from admin_ui.accounts import set_password
from admin_ui.page.app import create_app
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from tests.admin_ui.open_page import OpenPage, archive, upload
from tests.admin_ui.told import HOSTILE, faults

pytestmark = pytest.mark.slow

JUNK: Final[dict[str, bytes]] = {
    "empty": b"",
    "text": b"this is no picture",
    "markup": b"<script>alert(1)</script>",
    "zip's end": b"PK\x05\x06" + bytes(18),
    "zip's head": b"PK\x03\x04" + bytes(100),
    "picture's head": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "zeros": bytes(100_000),
}
COLUMNS: Final = ("file", "name", "doors", "from", "until", "consent")
TEXTS: Final = {what: value for what, value in HOSTILE.items() if isinstance(value, str)}
NAMES: Final = (
    "<script>alert(1)</script>.png",
    "\u202egnp.exe",
    "x" * 200 + ".png",
    "../../etc/passwd",
    "a\nb.png",
)


@pytest.fixture
def store_url() -> str:
    """SQLite: what is in a file does not depend on the store."""
    return ""


@pytest.fixture
def admin(office: Office, ada: str) -> None:
    set_password(office.store, "admin", "correct horse battery", "test", AccountRole.ADMINISTRATOR)


@pytest.fixture
def page(office: Office, admin: None, nothing_changes: None) -> OpenPage:
    """An administrator's browser; people, lists and the record of acts are at the end what they were."""
    opened = OpenPage(create_app(office))
    opened.loaded()
    return opened


def damaged(data: bytes) -> Iterator[bytes]:
    """Cut short, and with a byte that is another one, in several places."""
    for share in (0.1, 0.5, 0.9, 0.999):
        at = int(share * len(data))
        yield data[:at]
        yield data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def told(page: OpenPage, deed: str, field: str, name: str, data: bytes) -> list[str]:
    answer = page.press(deed, **{field: upload(name, data)})
    assert answer.refusals, (deed, data[:40])
    return faults(answer, programs=False)


@pytest.mark.parametrize("what", JUNK)
def test_what_is_no_photo_no_batch_and_no_bundle_is_said_to_be_none(page: OpenPage, what: str) -> None:
    assert told(page, "BatchWork.read", "lk_batch", "staff.zip", JUNK[what]) == []
    assert told(page, "ModelsWork.read", "lk_bundle", "other.latchkey", JUNK[what]) == []
    looked = page.press("EnrolWork.look", lk_photo=upload("a.png", JUNK[what]))
    assert faults(looked, programs=False) == []
    assert "Not good enough yet" in "".join(looked.texts), looked.texts


def test_what_was_damaged_on_the_way_is_said_to_be(
    page: OpenPage, photo: Callable[..., bytes], make_bundle: Callable[..., bytes], office: Office
) -> None:
    batch = archive({"people.csv": b"file,name\na.png,Bo\n", "a.png": photo(3)})
    bundle = make_bundle(office._keyring.site, version="0.2.0", seed=2)
    wrong = []
    for data in damaged(batch):
        answer = page.press("BatchWork.read", lk_batch=upload("staff.zip", data))
        assert answer.refusals or "refused" in "".join(answer.texts)
        wrong += faults(answer, programs=False)
    for data in damaged(bundle):
        wrong += told(page, "ModelsWork.read", "lk_bundle", "other.latchkey", data)
    assert wrong == []


@pytest.mark.parametrize("column", COLUMNS)
def test_whatever_stands_in_a_table_is_told_row_by_row(
    page: OpenPage, photo: Callable[..., bytes], column: str
) -> None:
    good = {"file": "a.png", "name": "Bo", "doors": "front", "from": "2026-01-01", "until": "", "consent": "yes"}
    for what, value in TEXTS.items():
        row = good | {column: value.encode("utf-8", "replace").decode()}
        table = ",".join(COLUMNS) + "\n" + ",".join(f'"{row[one]}"' for one in COLUMNS) + "\n"
        answer = page.press(
            "BatchWork.read", lk_batch=upload("staff.zip", archive({"p.csv": table.encode(), "a.png": photo(3)}))
        )
        assert faults(answer, programs=False) == [], what
        assert (
            answer.refusals
            or "1 good, 0 refused" in "".join(answer.texts)
            or "0 good, 1 refused" in "".join(answer.texts)
        )
    page.press("BatchWork.drop")


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_file_is_a_name_and_nothing_else(page: OpenPage, photo: Callable[..., bytes], name: str) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        zipped.writestr(name, photo(3))
        zipped.writestr("b.png", photo(4))
    answer = page.press("BatchWork.read", lk_batch={**upload("staff.zip", stream.getvalue()), "orig_name": name})
    assert faults(answer, programs=False) == []
    assert "refused" in "".join(answer.texts) or answer.refusals
    page.press("BatchWork.drop")


@pytest.mark.parametrize("width", [10_000, 65_000])
def test_a_picture_that_claims_to_be_huge_is_not_unpacked(
    page: OpenPage, huge_png: Callable[[int, int], bytes], width: int
) -> None:
    looked = page.press("EnrolWork.look", lk_photo=upload("a.png", huge_png(width, width)))
    assert faults(looked, programs=False) == []
    assert "megapixels" in "".join(looked.texts), looked.texts
    enrolled: Any = page.press(
        "EnrolWork.enrol", lk_name="Bo", lk_doors=[], lk_photo=upload("a.png", huge_png(width, width)), lk_consent=True
    )
    assert "megapixels" in "".join(enrolled.refusals), enrolled.refusals
