"""What the commands share: exit codes, an office for the time of a command, and how a change is told."""

from __future__ import annotations

import argparse
import contextlib
import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from admin_ui.owner import refuse_root
from firmware_config.errors import BadInput
from firmware_config.files import is_missing
from firmware_config.schema import SettingsRefused
from firmware_config.settings import AdminSettings, load_admin

if TYPE_CHECKING:
    from admin_ui.service import Office
    from admin_ui.views import Change

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse gives its type no other name

OK: Final = 0
FAILED: Final = 1
BAD_ARGUMENTS: Final = 2
CONNECT_S: Final = 3.0
"""How long a command waits for the broker before it does without."""
APPLIED_S: Final = 5.0
"""How long a command waits for the door to say that it runs what was sent."""

# Each command loads what it needs: `init` must not wait for OpenCV, nor `people` for the page.


def site_settings(options: argparse.Namespace, *, root: bool = False) -> AdminSettings:
    """admin.toml. root: may work on somebody else's site, and sees to whose its files are. Raises SettingsRefused,
    BadInput."""
    try:
        settings = load_admin(options.settings)
    except SettingsRefused as refused:
        if not is_missing(options.settings):
            raise
        advice = "Run `latchkey-admin init` first, or name another file with --settings."
        raise SettingsRefused(options.settings, [f"{problem} {advice}" for problem in refused.problems]) from None
    if not root:
        refuse_root(settings.state, options.words)
    return settings


@contextlib.contextmanager
def office_at(options: argparse.Namespace, *, connect: bool, root: bool = False) -> Iterator[Office]:
    """connect: also wait a moment for the broker. root: as for site_settings. Raises SettingsRefused, BadInput,
    BadState."""
    from admin_ui.service import Office  # noqa: PLC0415

    office = Office(site_settings(options, root=root))
    try:
        if connect:
            office.start()
            office.link.wait_connected(CONNECT_S)
        yield office
    finally:
        office.stop()


def whoever() -> str:
    """Who acts, for the record."""
    return f"{getpass.getuser()} (shell)"


def read_password(path: Path | None) -> str:
    """The first line of a file, or what somebody types. Raises BadInput, OSError."""
    if path is None:
        try:
            return getpass.getpass("New password: ")
        except EOFError:
            raise BadInput("No password was typed. Name a file that has it with --password-file.") from None
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines:
        raise BadInput(f"{path} is empty. Write the password into its first line.")
    return lines[0]


def report(office: Office, change: Change) -> int:
    """Say what was changed and what each door made of it -> exit code."""
    print(change.sentence)
    for news in change.news:
        if not news.sent:
            print(f"  {news.sentence}")
            continue
        view = office.wait_applied(news.door, news.generation, APPLIED_S if office.door(news.door).online else 0.5)
        if view.applied_generation >= news.generation:
            print(f"  {view.name} runs list {view.applied_generation}.")
        else:
            print(f"  {view.name} has not taken list {news.generation} yet. {' '.join(view.problems)}")
    return OK
