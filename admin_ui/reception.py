"""What the office does about accounts: which there are, what they may, and their one-time codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from admin_ui import accounts as book
from admin_ui import totp
from admin_ui.acts import act_facts, record_act
from admin_ui.models import AccountRow, ActRow
from admin_ui.premises import Premises
from admin_ui.roles import AccountRole
from admin_ui.sessions import hashed
from firmware_config.errors import BadInput


@dataclass(frozen=True)
class AccountView:
    """role: of roles.AccountRole. codes: one-time codes are asked for at its login."""

    name: str
    role: AccountRole
    codes: bool
    created: datetime


@dataclass(frozen=True)
class ActView:
    """One act of the record. at: aware, UTC."""

    seq: int
    at: datetime
    by: str
    what: str
    subject: str


@dataclass(frozen=True)
class CodeSecret:
    """What an authenticator app has to be told, once. address: otpauth://."""

    typed: str
    address: str


class Reception(Premises):
    """Accounts. service.Office says what all methods have in common."""

    def accounts(self) -> list[AccountView]:
        """By name."""
        with self.store.read() as session:
            return [_view(row) for row in session.scalars(select(AccountRow).order_by(AccountRow.name))]

    def own_account(self, by: str) -> AccountView:
        """Raises BadInput where it was removed meanwhile."""
        with self.store.read() as session:
            return _view(book.find_account(session, by))

    def role_of(self, account: str) -> AccountRole | None:
        """None: there is no such account."""
        with self.store.read() as session:
            role = session.scalar(select(AccountRow.role).where(AccountRow.name == account))
        return AccountRole(role) if role is not None else None

    def add_account(self, name: str, role: str, by: str) -> str:
        """-> its first password, to be handed over and told nowhere else. Raises BadInput."""
        password = book.generate_password()
        book.set_password(self.store, name, password, by, _role(role), new_only=True)
        return password

    def set_role(self, name: str, role: str, by: str) -> None:
        """From the account's next click on. Raises BadInput for the last administrator."""
        wanted = _role(role)
        with self.store.write() as session:
            row = book.find_account(session, name)
            before = row.role
            book.set_role(session, row, wanted)
            record_act(session, by, "set_role", f"{name}: {before} -> {wanted.value}")

    def reset_password(self, name: str, by: str) -> str:
        """-> a new password; the account's sessions end. Raises BadInput."""
        with self.store.read() as session:
            book.find_account(session, name)
        password = book.generate_password()
        book.set_password(self.store, name, password, by)
        self.sessions.forget()
        return password

    def change_password(self, old: str, new: str, by: str, token: str = "") -> None:
        """One's own. token: of the session that goes on; all others end. Raises BadInput."""
        if not self._check(by, old):
            raise BadInput("The old password is not right. Nothing was changed.")
        fresh = book.hash_password(new)
        with self.store.write() as session:
            book.find_account(session, by).hash = fresh
            book.end_sessions(session, by, hashed(token))
            record_act(session, by, "change_password", by)
        self.sessions.forget()

    def remove_account(self, name: str, by: str) -> None:
        """Its sessions end; what it did stays in the record. Raises BadInput for one's own, or the last one."""
        if name == by:
            raise BadInput("Nobody removes their own account. Ask another administrator. Nothing was changed.")
        with self.store.write() as session:
            row = book.find_account(session, name)
            book.keep_an_administrator(session, row)
            book.end_sessions(session, name)
            session.delete(row)
            record_act(session, by, "remove_account", name)
        self.sessions.forget()

    # --- one-time codes ---

    def begin_totp(self, by: str) -> CodeSecret:
        """A new secret for an authenticator app; codes are asked for once confirm_totp has seen one."""
        secret = totp.new_secret()
        with self.store.write() as session:
            row = book.find_account(session, by)
            row.totp_pending = self._keyring.store.seal(_topic(by), secret)
        return CodeSecret(totp.typed(secret), totp.address(secret, by, self.site))

    def confirm_totp(self, code: str, by: str) -> None:
        """From the next login on a code is asked for. Raises BadInput for a wrong one."""
        with self.store.write() as session:
            row = book.find_account(session, by)
            if row.totp_pending is None:
                raise BadInput("There is no new secret to confirm. Begin once more.")
            step = totp.step_of(self._keyring.store.open(_topic(by), row.totp_pending), code, time.time(), after=0)
            if step is None:
                raise BadInput("That is not the code of now. Look at the app, and at the clock of the telephone.")
            row.totp, row.totp_pending, row.totp_step = row.totp_pending, None, step
            record_act(session, by, "totp_on", by)

    def end_totp(self, password: str, by: str) -> None:
        """Ask this account for no codes any more. Raises BadInput for a wrong password."""
        if not self._check(by, password):
            raise BadInput("The password is not right. Nothing was changed.")
        book.drop_codes(self.store, by, by)

    def reset_totp(self, name: str, by: str) -> None:
        """For somebody who has lost the telephone. Raises BadInput."""
        book.drop_codes(self.store, name, by)

    def wants_code(self, account: str) -> bool:
        """True where a password alone does not log in."""
        with self.store.read() as session:
            row = session.get(AccountRow, account)
        return row is not None and row.totp is not None

    def check_code(self, account: str, code: str) -> bool:
        """Each code is good once, whichever process it comes to."""
        with self.store.write() as session:
            row = session.get(AccountRow, account, with_for_update=True)
            if row is None or row.totp is None:
                return False
            step = totp.step_of(self._keyring.store.open(_topic(account), row.totp), code, time.time(), row.totp_step)
            if step is not None:
                row.totp_step = step
        return step is not None

    # --- the record ---

    def acts(self, limit: int = 100, by_account: str = "") -> list[ActView]:
        """The newest first. by_account: "" for all."""
        query = select(ActRow).order_by(ActRow.seq.desc()).limit(max(1, min(limit, 1000)))
        if by_account:
            query = query.where(ActRow.by == by_account)
        with self.store.read() as session:
            return [
                ActView(row.seq, row.at, row.by, row.what, str(act_facts(row)["subject"]))
                for row in session.scalars(query)
            ]


def _view(row: AccountRow) -> AccountView:
    return AccountView(row.name, AccountRole(row.role), row.totp is not None, row.created)


def _role(text: str) -> AccountRole:
    try:
        return AccountRole(text)
    except ValueError:
        known = ", ".join(role.value for role in AccountRole)
        raise BadInput(f"There is no role {text[:40]!r}; the roles are: {known}.") from None


def _topic(account: str) -> str:
    return f"store/totp/{account}"
