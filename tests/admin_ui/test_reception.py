"""Accounts: what their owner and an administrator may do to them, and what stands in the record."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from admin_ui import totp
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from firmware_config.errors import BadInput


@pytest.fixture
def site(office: Office) -> Office:
    """With one administrator, `boss`."""
    assert office.add_account("boss", "administrator", "init")
    return office


def code_of(typed: str, at: float) -> str:
    return TOTP(totp.untyped(typed), 6, SHA1(), 30, enforce_key_length=False).generate(int(at)).decode()


def with_codes(office: Office, account: str) -> tuple[str, float]:
    """-> the secret, and when its code was used."""
    secret, now = office.begin_totp(account).typed, time.time()
    office.confirm_totp(code_of(secret, now), account)
    return secret, now


def test_a_new_account_has_a_role_and_a_password_that_is_told_once(site: Office) -> None:
    password = site.add_account("olga", "operator", "boss")
    assert site.check_password("olga", password)
    assert site.role_of("olga") is AccountRole.OPERATOR
    with pytest.raises(BadInput, match="an account olga already"):
        site.add_account("olga", "viewer", "boss")
    with pytest.raises(BadInput, match="the roles are: viewer, operator, administrator"):
        site.add_account("eve", "king", "boss")
    assert [one.name for one in site.accounts()] == ["boss", "olga"]


def test_a_changed_role_holds_from_the_next_click_on(site: Office) -> None:
    site.add_account("olga", "operator", "boss")
    site.set_role("olga", "viewer", "boss")
    assert site.role_of("olga") is AccountRole.VIEWER


def test_the_last_administrator_stays_one(site: Office) -> None:
    with pytest.raises(BadInput, match="only administrator"):
        site.set_role("boss", "viewer", "boss")
    with pytest.raises(BadInput, match="removes their own account"):
        site.remove_account("boss", "boss")
    with pytest.raises(BadInput, match="only administrator"):
        site.remove_account("boss", "root (shell)")
    site.add_account("olga", "administrator", "boss")
    site.remove_account("boss", "olga")
    assert site.role_of("boss") is None


def test_a_removed_account_is_logged_out(site: Office) -> None:
    site.add_account("olga", "viewer", "boss")
    token = site.sessions.open("olga", "here")
    assert site.sessions.account(token) == "olga"
    site.remove_account("olga", "boss")
    assert site.sessions.account(token) is None


def test_ones_own_password_needs_the_old_one_and_ends_the_other_sessions(site: Office) -> None:
    password = site.add_account("olga", "viewer", "boss")
    here, elsewhere = site.sessions.open("olga", "here"), site.sessions.open("olga", "elsewhere")
    with pytest.raises(BadInput, match="old password is not right"):
        site.change_password("wrong", "a longer new one", "olga", here)
    with pytest.raises(BadInput, match="needs 10 to 256"):
        site.change_password(password, "short", "olga", here)
    site.change_password(password, "a longer new one", "olga", here)
    assert site.check_password("olga", "a longer new one")
    assert site.sessions.account(here) == "olga"
    assert site.sessions.account(elsewhere) is None


def test_codes_are_asked_for_once_one_was_confirmed(site: Office) -> None:
    secret = site.begin_totp("boss").typed
    assert not site.wants_code("boss")
    with pytest.raises(BadInput, match="not the code of now"):
        site.confirm_totp("000000", "boss")
    now = time.time()
    site.confirm_totp(code_of(secret, now), "boss")
    assert site.wants_code("boss")
    assert not site.check_code("boss", code_of(secret, now)), "what confirmed it is used"
    assert site.check_code("boss", code_of(secret, now + totp.STEP_S))
    assert not site.check_code("boss", code_of(secret, now + totp.STEP_S)), "a code is good once"
    with pytest.raises(BadInput, match="no new secret"):
        site.confirm_totp(code_of(secret, now), "boss")


def test_codes_end_with_the_password_or_by_an_administrator(site: Office) -> None:
    password = site.add_account("olga", "viewer", "boss")
    with_codes(site, "olga")
    with pytest.raises(BadInput, match="password is not right"):
        site.end_totp("wrong", "olga")
    site.end_totp(password, "olga")
    assert not site.wants_code("olga")
    with_codes(site, "olga")
    site.reset_totp("olga", "boss")
    assert not site.wants_code("olga")
    assert not site.check_code("olga", "000000")


def test_everything_about_accounts_stands_in_the_record(site: Office) -> None:
    password = site.add_account("olga", "viewer", "boss")
    site.set_role("olga", "operator", "boss")
    site.change_password(password, "a longer new one", "olga")
    with_codes(site, "olga")
    site.reset_totp("olga", "boss")
    site.reset_password("olga", "boss")
    site.remove_account("olga", "boss")
    assert [(act.by, act.what) for act in reversed(site.acts(6))] == [
        ("boss", "set_role"),
        ("olga", "change_password"),
        ("olga", "totp_on"),
        ("boss", "totp_off"),
        ("boss", "set_password"),
        ("boss", "remove_account"),
    ]
    assert [act.what for act in site.acts(10, by_account="olga")] == ["totp_on", "change_password"]
