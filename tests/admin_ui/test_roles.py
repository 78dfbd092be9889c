"""The whole test of each role: every action of the office, allowed or refused by the office and not by the page."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from admin_ui.page.api import Endpoints
from admin_ui.roles import RIGHTS, AccountRole, NotAllowed, seat
from admin_ui.service import Office

NOT_FOR_THE_PAGE = {
    # The machine's own, and the shell's.
    *("start", "stop", "session_key", "link_sentence", "overtake", "write_broker", "write_client", "refresh_broker"),
    *("certificate_news", "audit_heads", "metrics_token", "counts"),
    # What the login itself asks, before there is an account, and what a seat is built on.
    *("check_password", "wants_code", "check_code", "role_of"),
}
ROLES = list(AccountRole)


class Recorded:
    """An office of whose methods none does anything, but that knows roles and signatures."""

    def __init__(self, role: AccountRole | None) -> None:
        self._role = role
        self.called: list[str] = []

    def role_of(self, account: str) -> AccountRole | None:
        return self._role

    def __getattr__(self, name: str) -> Any:
        real = getattr(Office, name)

        def does_nothing(*values: Any, **named: Any) -> None:
            self.called.append(name)

        does_nothing.__signature__ = _without_self(real)  # type: ignore[attr-defined]
        return does_nothing


def _without_self(method: Any) -> inspect.Signature:
    signature = inspect.signature(method)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def call(office: Any, name: str, by: str = "olga") -> Any:
    """The method with something for every argument that it has to have."""
    needed = [one for one in _without_self(getattr(Office, name)).parameters.values() if one.default is one.empty]
    given = {one.name: by if one.name == "by" else "x" for one in needed if one.kind is not one.VAR_KEYWORD}
    return getattr(seat(office, "olga"), name)(**given)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_each_role_may_do_exactly_what_is_its_own(name: str, role: AccountRole) -> None:
    office = Recorded(role)
    if ROLES.index(role) >= ROLES.index(RIGHTS[name]):
        call(office, name)
        assert office.called == [name]
    else:
        with pytest.raises(NotAllowed, match=f"needs the role {RIGHTS[name].value}; olga is {role.value}"):
            call(office, name)
        assert office.called == []


@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_an_account_that_was_removed_may_do_nothing(name: str) -> None:
    office = Recorded(None)
    with pytest.raises(NotAllowed, match="no account any more"):
        call(office, name)
    assert office.called == []


@pytest.mark.parametrize(
    "name", [name for name in sorted(RIGHTS) if "by" in _without_self(getattr(Office, name)).parameters]
)
def test_nobody_acts_in_anothers_name(name: str) -> None:
    office = Recorded(AccountRole.ADMINISTRATOR)
    with pytest.raises(NotAllowed, match="its own name alone"):
        call(office, name, by="boss")
    assert office.called == []


def test_every_method_of_the_office_is_given_to_a_role_or_kept_from_the_page() -> None:
    public = {name for name, _ in inspect.getmembers(Office, inspect.isfunction) if not name.startswith("_")}
    assert public == set(RIGHTS) | NOT_FOR_THE_PAGE
    assert not set(RIGHTS) & NOT_FOR_THE_PAGE


@pytest.mark.parametrize("name", sorted(NOT_FOR_THE_PAGE))
def test_what_is_the_shells_is_closed_to_administrators_too(name: str) -> None:
    with pytest.raises(AttributeError, match="not for the page"):
        getattr(seat(Recorded(AccountRole.ADMINISTRATOR), "olga"), name)  # type: ignore[arg-type]


class Asker:
    username = "olga"


@pytest.fixture
def endpoints(office: Office, tmp_path: Any) -> Endpoints:
    """Olga is an operator."""
    office.add_account("olga", "operator", "boss")
    return Endpoints(office, tmp_path)


def test_programs_are_held_to_the_role_of_their_account(endpoints: Endpoints, office: Office, ada: str) -> None:
    assert endpoints.people(Asker())["ok"]  # type: ignore[arg-type]
    refused = endpoints.remove(ada, Asker())  # type: ignore[arg-type]
    assert (refused["ok"], refused["error"]) == (False, "NotAllowed")
    assert "needs the role administrator; olga is operator" in refused["sentence"]
    assert [person.id for person in office.people()] == [ada]
    for answer in (
        endpoints.set_tau("front", 0.3, Asker()),  # type: ignore[arg-type]
        endpoints.people(None),  # type: ignore[arg-type]
    ):
        assert (answer["ok"], answer["error"]) == (False, "NotAllowed")
