"""Whether Home Assistant may unlock a door is the administrator's word, and it reaches the door in its roster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from admin_ui import cli
from admin_ui.commands import shared
from admin_ui.models import ActRow
from admin_ui.sentences import at_the_door
from admin_ui.service import Office
from device.discovery import EVENT_TYPES
from firmware_config.errors import BadInput
from firmware_config.roster import Roster
from firmware_config.settings import AdminSettings

Capture = pytest.CaptureFixture[str]


def test_it_may_not_until_somebody_says_so_and_the_roster_carries_it(
    office: Office, roster_of: Callable[[str], Roster]
) -> None:
    before = roster_of("front")
    assert not before.policy.allow_home_assistant_unlock
    change = office.let_home_assistant_unlock("front", True, "boss")
    after = roster_of("front")
    assert after.policy == before.policy.model_copy(update={"allow_home_assistant_unlock": True})
    assert after.generation == before.generation + 1 == change.news[0].generation
    assert office.may_home_assistant_unlock("front")
    office.let_home_assistant_unlock("front", False, "boss")
    assert not roster_of("front").policy.allow_home_assistant_unlock
    with office.store.read() as session:
        acts = [(act.by, act.subject) for act in session.query(ActRow).filter(ActRow.what == "home_assistant")]
    assert acts == [
        ("boss", "Home Assistant may unlock front."),
        ("boss", "Home Assistant may not unlock front."),
    ]


def test_a_door_that_is_not_there_is_said(office: Office) -> None:
    with pytest.raises(BadInput, match="no door"):
        office.let_home_assistant_unlock("back", True, "boss")


@pytest.mark.parametrize("reason", [*EVENT_TYPES[2:-1], "stale_command"])
def test_every_event_that_home_assistant_knows_has_a_sentence_on_the_page(reason: str) -> None:
    assert at_the_door(reason) != f"{reason.replace('_', ' ').capitalize()}."


def test_the_command_line_says_and_changes_it(
    office: Office, settings: AdminSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    office.stop()
    monkeypatch.setattr(shared, "CONNECT_S", 0.1)
    monkeypatch.setattr(shared, "APPLIED_S", 0.1)
    path = tmp_path / "admin.toml"
    lines = ['site = "home"', f'state = "{settings.state}"', f'store = "{settings.store}"']
    path.write_text("\n".join([*lines, "[broker]", f'url = "{settings.broker.url}"', ""]))
    said = []
    for may in ([], ["on"], [], ["off"], []):
        assert cli.main(["door", "home-assistant", "front", *may, "--settings", str(path)]) == 0
        said.append(capsys.readouterr().out.splitlines()[0])
    assert said == [
        "off",
        "Home Assistant may unlock front.",
        "on",
        "Home Assistant may not unlock front.",
        "off",
    ]
