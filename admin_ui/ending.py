"""Certificates that end soon, in sentences: a door's own stand with its problems, the rest at the command line."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from admin_ui.authority import Authority, Role
from firmware_config.broker_tls import WARN_BEFORE

SITE_ROLES: Final = {
    Role.BROKER: "broker write",
    Role.PAGE: "broker client page",
    Role.HOME_ASSISTANT: "broker client home-assistant",
}
"""Of whom a site has one, whose certificate bears the role's name, and how it is renewed."""


def ending_at_door(authority: Authority, door: str) -> list[str]:
    """A sentence for each of the door's and its lock's certificates that ends soon, or has ended. Raises BadState."""
    return [news for role in (Role.DOOR, Role.LOCK) if (news := _ending(authority, role, door, f"door renew {door}"))]


def ending_at_site(authority: Authority) -> list[str]:
    """The same for broker, page and Home Assistant. Raises BadState."""
    return [news for role, renew in SITE_ROLES.items() if (news := _ending(authority, role, role.value, renew))]


def _ending(authority: Authority, role: Role, name: str, renew: str) -> str:
    ends, now = authority.expires(role, name), datetime.now(timezone.utc)
    if ends is None or ends - now > WARN_BEFORE:
        return ""
    whose = f"{role.value} {name}" if name != role.value else f"the {role.value}"
    day = f"{ends:%Y-%m-%d}"
    told = f"The certificate of {whose} ends on {day}." if ends > now else f"The certificate of {whose} ended on {day}."
    return f"{told} Renew it: `latchkey-admin {renew}`."
