"""From the store to a door: its roster is built, signed and sealed, and its generation rises. No network here."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from admin_ui.ahead import versions_run
from admin_ui.keyring import Keyring
from admin_ui.models import DoorRow, MembershipRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.tune import for_gallery
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput
from firmware_config.keys import SecretKey
from firmware_config.messages import LARGE
from firmware_config.roster import Person, Policy, Roster, seal_roster


def vector_topic(person_id: str) -> str:
    """What a template is sealed to, so that none can be moved to another person's row."""
    return f"store/template/{person_id}"


def crop_topic(person_id: str) -> str:
    """What a crop is sealed to."""
    return f"store/crop/{person_id}"


def roster_people(session: Session, door: str, encoder_id: str, store_key: SecretKey) -> list[Person]:
    """Those of one door who are not suspended, with their templates under one encoder, by id. Raises SealRefused."""
    query = (
        select(PersonRow)
        .join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        .join(PortraitRow, PortraitRow.person_id == PersonRow.id)
        .join(TemplateRow, TemplateRow.portrait_id == PortraitRow.id)
        .where(MembershipRow.door_name == door, TemplateRow.encoder_id == encoder_id, PersonRow.suspended.is_(False))
        .options(contains_eager(PersonRow.portraits).contains_eager(PortraitRow.templates))
        .order_by(PersonRow.id, TemplateRow.id)
        # The same session has just added some of them: read what is in the store, not what it remembers.
        .execution_options(populate_existing=True)
    )
    return [
        Person(
            id=row.id,
            name=row.name,
            templates=[
                store_key.open(vector_topic(row.id), template.vector)
                for portrait in row.portraits
                for template in portrait.templates
            ],
            valid_from=row.valid_from,
            valid_until=row.valid_until,
        )
        for row in session.scalars(query).unique()
    ]


def gone_back(session: Session, encoder_id: str) -> bool:
    """True where this site has run a higher version than that of this encoder: its rosters then allow the way back,
    for as long as it is in force, so that a door that was off learns of it too."""

    def key(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split("."))

    versions = {encoder: key(version) for encoder, version in versions_run(session).items()}
    return encoder_id in versions and versions[encoder_id] < max(versions.values())


def roll(
    session: Session,
    door: DoorRow,
    site: str,
    keyring: Keyring,
    *,
    calibration: Callable[[], Calibration],
    policy: Policy | None = None,
) -> None:
    """A new roster for a door, in the caller's transaction: the generation rises by one.

    calibration: of the encoder that the roster is for. policy: none keeps the one that it has, with the threshold for
    as many people as there are now, where it follows them. The people are those with templates under door.encoder_id.
    Raises BadState, SealRefused, BadInput (too many people).
    """
    rule = policy or Policy.model_validate(door.policy)
    people = roster_people(session, door.name, door.encoder_id, keyring.store)
    if rule.fpir is not None:
        rule = for_gallery(rule, calibration(), sum(len(person.templates) for person in people))
    door.policy = rule.model_dump(mode="json")
    door.generation += 1
    session.flush()
    roster = Roster(
        site=site,
        door=door.name,
        generation=door.generation,
        encoder_id=door.encoder_id,
        policy=rule,
        rollback_to=door.encoder_id if gone_back(session, door.encoder_id) else "",
        people=people,
    )
    door.roster = seal_roster(roster, keyring.site, keyring.door(door.name).door)
    if len(door.roster) > LARGE:
        raise BadInput(f"The list of {door.name} would have {len(door.roster)} bytes; a door reads {LARGE}.")
