"""Tab Accounts: one's own password and codes; for an administrator everybody's accounts, and what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from admin_ui import totp
from admin_ui.page import markup, markup_accounts
from admin_ui.page.api import account_of
from admin_ui.page.blocks import QUIET
from admin_ui.page.theme import html
from admin_ui.roles import ROLE_SENTENCES, AccountRole, seat
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

ACTS_SHOWN: Final = 100


class AccountsWork:
    """What the tab's buttons do. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> own, codes on, codes off, administration, list, account, record."""
        account = account_of(request)
        try:
            own = seat(self._office, account).own_account(account)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 6
        administers = own.role is AccountRole.ADMINISTRATOR
        shown = (gr.update(visible=not own.codes), gr.update(visible=own.codes), gr.update(visible=administers))
        rest = self._listed(account) if administers else ("", gr.skip(), "")
        return markup_accounts.own(own), *shown, *rest

    def _listed(self, account: str) -> tuple[str, Any, str]:
        """-> list, account, record."""
        office = seat(self._office, account)
        everybody = office.accounts()
        names = [one.name for one in everybody]
        record = markup_accounts.acts(office.acts(ACTS_SHOWN))
        return markup_accounts.listed(everybody), gr.update(choices=names), record

    def change_password(self, old: str, new: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, old, new."""
        account = account_of(request)
        try:
            token = request.request.scope.get("state", {}).get("token", "") if request.request else ""
            seat(self._office, account).change_password(old, new, account, str(token))
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip(), gr.skip()
        return markup.note("Your password is changed. Every other session of yours has ended.", "good"), "", ""

    def begin_codes(self, request: gr.Request) -> tuple[Any, ...]:
        """-> picture, confirming, status."""
        account = account_of(request)
        try:
            secret = seat(self._office, account).begin_totp(account)
        except LatchkeyError as error:
            return gr.skip(), gr.skip(), markup.note(str(error), "bad")
        return markup_accounts.secret(secret, totp.qr_code(secret.address)), gr.update(visible=True), ""

    def confirm_codes(self, code: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, picture, confirming, code, then as fill."""
        account = account_of(request)
        try:
            seat(self._office, account).confirm_totp(code, account)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 3, *[gr.skip()] * 7
        told = markup.note("From the next login on, your account asks for a code.", "good")
        return told, "", gr.update(visible=False), "", *self.fill(request)

    def end_codes(self, password: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, password, then as fill."""
        account = account_of(request)
        try:
            seat(self._office, account).end_totp(password, account)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip(), *[gr.skip()] * 7
        return markup.note("Your account asks for no codes any more.", "warn"), "", *self.fill(request)

    def add(self, name: str, role: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, name, list, account, record."""
        account = account_of(request)
        try:
            password = seat(self._office, account).add_account(name, role, account)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 4
        return markup_accounts.password(name.strip(), password), "", *self._listed(account)

    def act(self, what: str, name: str | None, role: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, list, account, record. what: role, password, codes or remove."""
        account = account_of(request)
        office = seat(self._office, account)
        if not name:
            return markup.note("No account is chosen. Choose one in the list first.", "warn"), *[gr.skip()] * 3
        try:
            if what == "password":
                told = markup_accounts.password(name, office.reset_password(name, account))
            elif what == "role":
                office.set_role(name, role, account)
                told = markup.note(f"{name} is {role} from now on: {ROLE_SENTENCES[AccountRole(role)]}.", "good")
            elif what == "codes":
                office.reset_totp(name, account)
                told = markup.note(f"{name} logs in without a code now, until they set one up anew.", "good")
            else:
                office.remove_account(name, account)
                told = markup.note(f"{name} is removed; their sessions have ended.", "good")
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 3
        return told, *self._listed(account)


def accounts_tab(office: Office) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = AccountsWork(office)
    roles = [(f"{role.value}: {sentence}", role.value) for role, sentence in ROLE_SENTENCES.items()]
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=5, min_width=280, elem_classes="lk-panel"):
            own = html(elem_id="lk-own-account")
            old = gr.Textbox(label="Password of now", type="password", max_lines=1, elem_id="lk-old-password")
            new = gr.Textbox(label="New password", type="password", max_lines=1, elem_id="lk-new-password")
            change = gr.Button("Change the password", elem_id="lk-change-password")
            changed = html(elem_id="lk-password-status")
            html("<h2>One-time codes</h2>")
            with gr.Column(visible=False, elem_classes="lk-bare") as codes_off_now:
                html(
                    "<p class='lk-quiet'>With an authenticator app on your telephone, a password that somebody has "
                    "seen is not enough to log in.</p>"
                )
                begin = gr.Button("Set up codes", elem_id="lk-begin-codes")
                picture = html(elem_id="lk-codes-secret")
                with gr.Column(visible=False, elem_classes="lk-bare") as confirming:
                    code = gr.Textbox(label="Code that the app shows", max_lines=1, max_length=12, elem_id="lk-code")
                    confirm = gr.Button("Confirm", variant="primary", elem_id="lk-confirm-code")
            with gr.Column(visible=False, elem_classes="lk-bare") as codes_on_now:
                html("<p class='lk-quiet'>Your account asks for a code at each login.</p>")
                again = gr.Textbox(label="Your password", type="password", max_lines=1, elem_id="lk-end-password")
                end = gr.Button("Ask for no codes any more", elem_id="lk-end-codes")
            coded = html(elem_id="lk-codes-status")
        with gr.Column(scale=6, min_width=280, elem_classes="lk-stack", visible=False) as administration:
            with gr.Column(elem_classes="lk-panel"):
                html("<h2>Accounts</h2>")
                listed = html(elem_id="lk-accounts")
                chosen = gr.Dropdown(label="Account", choices=[], value=None, elem_id="lk-account-choice")
                role = gr.Radio(label="Role", choices=roles, value=AccountRole.VIEWER.value, elem_id="lk-account-role")
                with gr.Row(elem_classes="lk-inline lk-wrap"):
                    buttons = {
                        "role": gr.Button("Give this role", min_width=120, elem_id="lk-set-role"),
                        "password": gr.Button("New password", min_width=120, elem_id="lk-reset-password"),
                        "codes": gr.Button("Codes off", min_width=120, elem_id="lk-reset-codes"),
                        "remove": gr.Button("Remove", variant="stop", min_width=120, elem_id="lk-remove-account"),
                    }
                html("<h3>Somebody new</h3>")
                name = gr.Textbox(label="Name of the account", max_lines=1, max_length=64, elem_id="lk-new-account")
                add = gr.Button("Make an account with the role above", elem_id="lk-add-account")
                status = html(elem_id="lk-accounts-status")
            with gr.Column(elem_classes="lk-panel"):
                html("<h2>Record of acts</h2><p class='lk-quiet'>Everything that was done here, newest first.</p>")
                record = html(elem_id="lk-acts")

    outputs = [own, codes_off_now, codes_on_now, administration, listed, chosen, record]
    change.click(work.change_password, [old, new], [changed, old, new], **QUIET)
    begin.click(work.begin_codes, None, [picture, confirming, coded], **QUIET)
    told = [coded, picture, confirming, code, *outputs]
    gr.on([confirm.click, code.submit], work.confirm_codes, code, told, **QUIET)
    end.click(work.end_codes, again, [coded, again, *outputs], **QUIET)
    gr.on([add.click, name.submit], work.add, [name, role], [status, name, listed, chosen, record], **QUIET)
    for what, button in buttons.items():
        button.click(work.act, [gr.State(what), chosen, role], [status, listed, chosen, record], **QUIET)
    return outputs, work.fill
