"""What an account may do: three roles, and the one place where each action of the office is given to one of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from admin_ui.given import text
from firmware_config.errors import BadInput

if TYPE_CHECKING:
    from admin_ui.service import Office


class AccountRole(str, Enum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def covers(self, other: AccountRole) -> bool:
        """True where this role may do what `other` may."""
        order = list(AccountRole)
        return order.index(self) >= order.index(other)


ROLE_SENTENCES: Final[Mapping[AccountRole, str]] = {
    AccountRole.VIEWER: "sees people, doors and events",
    AccountRole.OPERATOR: "also enrols people and unlocks doors",
    AccountRole.ADMINISTRATOR: "does everything",
}


class NotAllowed(BadInput):
    """The account's role does not include this. Nothing was changed."""


_VIEWER: Final = (
    *("people", "find_people", "person", "portrait", "photo_rule", "consent_text", "doors", "door", "wait_applied"),
    *("events", "find_events", "event_why", "export_events", "verify_audit"),
    *("threshold", "explain_tau", "evidence", "expected", "replay", "models", "model_in_force", "web_news"),
    *("trial", "wait_model", "wanted_model"),
    # Of one's own account, never of another's.
    *("change_password", "begin_totp", "confirm_totp", "end_totp", "own_account"),
)
_OPERATOR: Final = (
    *("examine", "glance", "compare_photo", "enrol", "add_photo", "unlock", "lock_down", "look_through", "best_face"),
    *("read_batch", "waiting_batch", "enrol_batch", "drop_batch"),
)
_ADMINISTRATOR: Final = (
    *("set_doors", "edit_person", "suspend", "remove", "export_person", "keep_photos", "set_consent_text"),
    *(
        "set_tau",
        "undo_tau",
        "release",
        "fetch_pairing",
        "waiting_pairings",
        "follow_gallery",
        "add_door",
        "revoke_door",
        "renew_door",
    ),
    *("try_model", "try_file", "ship_rest", "take_back"),
    *("read_model", "ship_model", "ship_file", "ship_again", "who_comes_again", "prune_events", "accept_audit", "acts"),
    *("accounts", "add_account", "set_role", "reset_password", "reset_totp", "remove_account"),
    *("let_home_assistant_unlock", "may_home_assistant_unlock"),
)
RIGHTS: Final[Mapping[str, AccountRole]] = {
    **dict.fromkeys(_VIEWER, AccountRole.VIEWER),
    **dict.fromkeys(_OPERATOR, AccountRole.OPERATOR),
    **dict.fromkeys(_ADMINISTRATOR, AccountRole.ADMINISTRATOR),
}
"""Method of the office -> the least role that may call it. What is not in here nobody may from the page."""


def seat(office: Office, account: str) -> Office:
    """The office as this account may use it: every call is checked against RIGHTS with the role of that moment, and a
    call in somebody else's name is refused. Its methods raise NotAllowed besides what they raise anyway."""
    return cast("Office", _Seat(office, account))


class _Seat:
    """No subclass of the office: a method that somebody adds is closed until RIGHTS names it."""

    def __init__(self, office: Office, account: str) -> None:
        self._office = office
        self._account = account

    def __getattr__(self, name: str) -> Callable[..., Any]:
        wanted = RIGHTS.get(name)
        if wanted is None:
            raise AttributeError(f"{name} is not for the page.")
        method: Callable[..., Any] = getattr(self._office, name)
        signature = inspect.signature(method)

        def checked(*values: Any, **named: Any) -> Any:
            role = self._office.role_of(self._account)
            if role is None or not role.covers(wanted):
                raise NotAllowed(
                    f"This needs the role {wanted.value}; {self._account} is "
                    f"{role.value if role else 'no account any more'}. Nothing was changed; ask an administrator."
                )
            given = signature.bind(*values, **named).arguments
            for key, value in given.items():
                if signature.parameters[key].annotation in ("str", str):
                    text(value, "What was given")
            if "by" in signature.parameters and given.get("by") != self._account:
                raise NotAllowed("An account acts in its own name alone. Nothing was changed.")
            return method(*values, **named)

        return checked
