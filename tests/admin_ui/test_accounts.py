"""Who may log in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from admin_ui.accounts import PasswordCheck, accounts, generate_password, set_password
from admin_ui.store import Store, open_store
from firmware_config.errors import BadInput
from tests.postgres import rows_of


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = open_store(store_url, tmp_path)
    yield opened
    opened.close()


def test_right_password_passes_and_every_other_does_not(store: Store) -> None:
    set_password(store, "boss", "correct horse", by="test")
    check = PasswordCheck(store)
    assert check("boss", "correct horse")
    for account, password in (("boss", "Correct horse"), ("boss", ""), ("nobody", "correct horse"), ("", "")):
        assert not check(account, password)


def test_changed_password_ends_the_old_one(store: Store) -> None:
    set_password(store, "boss", "correct horse", by="test")
    set_password(store, "boss", "battery staple", by="test")
    check = PasswordCheck(store)
    assert not check("boss", "correct horse")
    assert check("boss", "battery staple")
    assert accounts(store) == ["boss"]


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("boss", "short", "10 to 256 characters, this has 5"),
        ("", "long enough to take", "needs a name"),
        ("a\nb", "long enough", "printable"),
    ],
)
def test_what_cannot_be_an_account_is_refused(store: Store, name: str, password: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        set_password(store, name, password, by="test")
    assert accounts(store) == []


def test_password_is_kept_as_argon2id_only(store: Store, tmp_path: Path, store_url: str) -> None:
    set_password(store, "boss", "correct horse", by="test")
    files = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    data = rows_of(store_url) if store_url else files
    assert b"$argon2id$" in data
    assert b"correct horse" not in data


def test_made_passwords_are_long_and_never_the_same() -> None:
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert min(len(password) for password in made) >= 16
