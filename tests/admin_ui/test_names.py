"""Names as people write them, wherever their accents and joiners come from."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select

import admin_ui.store
from admin_ui.chronicle import EventQuery
from admin_ui.models import EventRow, PersonRow
from admin_ui.people import clean_name
from admin_ui.service import Office
from admin_ui.store import name_key, open_store
from admin_ui.views import PeopleQuery
from firmware_config.errors import BadInput
from tests.admin_ui.happenings import Happenings

JOSE = "José Núñez"
APART = unicodedata.normalize("NFD", JOSE)
ALIREZA = "علی\u200cرضا"  # noqa: RUF001 - it is Arabic script
"""A Persian name that is one word with a gap, which is what U+200C makes."""


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (APART, JOSE),
        (f"  {APART}\n", JOSE),
        (ALIREZA, ALIREZA),
        ("क्\u200dष", "क्\u200dष"),
        ("Ada\u200d\u200c\u200d Lovelace", "Ada\u200d Lovelace"),
        ("\u200cAda \u200d Lovelace", "Ada Lovelace"),
    ],
)
def test_a_name_is_kept_as_it_is_typed(written: str, kept: str) -> None:
    assert clean_name(written) == kept


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("\u202eevil", r"not printable \(U\+202E\)\. Type it anew"),
        ("A\u00adB", r"not printable \(U\+00AD\)"),
        ("a\x00b", r"not printable \(U\+0000\)"),
        ("\u200c\u200d", "name is missing"),
        ("x" * 121, r"^A name has at most 120 characters; shorten it\.$"),
    ],
)
def test_a_name_that_cannot_be_kept_says_why(written: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        clean_name(written)


@pytest.mark.parametrize(
    "names",
    [(JOSE, APART, APART.upper()), (ALIREZA, ALIREZA.replace("\u200c", "")), ("Ada", "A\u200dda"), ("ΐ", "ΐ".upper())],
)
def test_names_that_read_alike_are_one(names: tuple[str, ...]) -> None:
    assert len({name_key(name) for name in names}) == 1


def test_somebody_enrolled_by_a_mac_is_found_named_once_and_erased(office: Office, photo: Callable[..., bytes]) -> None:
    jose = office.enrol(APART, photo(1), [], "boss").person
    assert jose is not None
    Happenings(office).tell(person_id=jose.id)
    for asked in ("José", unicodedata.normalize("NFD", "núñ")):
        assert [one.name for one in office.find_people(PeopleQuery(text=asked))[0]] == [JOSE]
    assert office.find_events(EventQuery(person=APART))[1] == 1
    with pytest.raises(BadInput, match="already somebody named José Núñez"):
        office.enrol(JOSE, photo(2), [], "boss")
    assert "is removed" in office.remove(jose.id, "boss", JOSE).sentence


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_store_with_accents_apart_gets_them_composed_and_nobody_is_lost(store_url: str, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(admin_ui.store.__file__).with_name("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        person = "INSERT INTO people (id, name, name_key, created) VALUES (?, ?, ?, ?)"
        for number, name in enumerate((JOSE, APART, "Ada", unicodedata.normalize("NFD", "Zoë"))):
            at = f"2026-01-0{number + 1} 12:00:00.000000"
            connection.exec_driver_sql(person, (str(number), name, name.casefold(), at))
        event = (
            "INSERT INTO events (door, id, at, outcome, reason, person_id, person, audit_seq, audit_hash, detail) "
            "VALUES ('front', ?, '2026-01-05 12:00:00.000000', 'granted', 'granted', ?, ?, 0, '', '{}')"
        )
        for id_, person_id, name in (
            ("a", "3", unicodedata.normalize("NFD", "Zoë")),
            ("b", "3", "Miss Z"),
            ("c", "2", "Ada"),
        ):
            connection.exec_driver_sql(event, (id_, person_id, name))
    engine.dispose()

    store = open_store("", tmp_path)
    with store.read() as session:
        people = session.execute(select(PersonRow.name, PersonRow.name_key).order_by(PersonRow.id)).all()
        events = session.execute(select(EventRow.person).order_by(EventRow.id)).scalars().all()
    store.close()
    assert [name for name, _ in people] == [JOSE, f"{JOSE} (2)", "Ada", "Zoë"]
    assert all(key == name_key(name) for name, key in people)
    assert events == ["Zoë", "Miss Z", "Ada"]
