"""Which doors there are: they are made, given new certificates, and revoked."""

from __future__ import annotations

import io
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Final

from sqlalchemy import select

from admin_ui import tune
from admin_ui.acts import record_act
from admin_ui.authority import Role
from admin_ui.brokerage import BrokerPlace, refresh_broker, remember, remembered, write_broker
from admin_ui.carrying import carry
from admin_ui.ending import ending_at_site
from admin_ui.models import ActRow, DoorRow
from admin_ui.premises import Premises
from admin_ui.store import find_door, new_door, refuse_taken, utc_now
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.messages import Topics
from firmware_config.pairing import PAIRING
from firmware_config.settings import BrokerSettings

log = logging.getLogger("latchkey.page.admission")

RELOAD: Final = "Have Mosquitto read it: `systemctl reload mosquitto`."
RESTART: Final = (
    "Restart Mosquitto now: `systemctl restart mosquitto`. A reload lets the door in no more, but leaves a connection "
    "open that it has already."
)
REVOKED: Final = "revoke_door"


class Admission(Premises):
    """Doors come and go. service.Office says what all methods have in common."""

    def add_door(
        self,
        name: str,
        by: str,
        out: Path | None = None,
        broker: BrokerSettings | None = None,
        lock_broker: BrokerSettings | None = None,
    ) -> Path:
        """Make a door: keys, certificates, first roster, and the folder to carry to it (out, or one in the state
        folder), with `door` and `lock` in it -> that folder.

        broker, lock_broker: how door and lock reach the broker; none: by the name that `broker write` was given,
        otherwise the page's address without its user. What a power cut left of an earlier attempt is made worthless
        first: its keys are no door's, its certificates are revoked. Raises BadInput for a bad or taken name."""
        folder = out or self._pairing_folder(name)
        broker = broker or self._broker_of_doors()
        with self._changing:
            self._begin_anew(name, folder)
            _check_free(folder)
            sight = self._sight.current()
            self._keyring.make_door(name)
            with self.store.write() as session:
                row = new_door(session, name, sight.eyes.encoder_id)
                self._desk.roll(session, [row], tune.first_policy(sight.calibration))
                self._carry(folder, name, broker, lock_broker)
                record_act(session, by, "add_door", name)
            self._desk.send([name])
        return folder

    def renew_door(
        self,
        name: str,
        by: str,
        out: Path | None = None,
        broker: BrokerSettings | None = None,
        lock_broker: BrokerSettings | None = None,
    ) -> Path:
        """New certificates for a door and its lock, with the keys that they have -> the folder to carry to them.

        The old certificates stay good until they end: the door works until the new ones are there. Raises BadInput.
        """
        folder = out or self._pairing_folder(f"{name}.renewed")
        with self._changing:
            _check_free(folder)
            with self.store.write() as session:
                find_door(session, name)
                self._carry(folder, name, broker or self._broker_of_doors(), lock_broker)
                record_act(session, by, "renew_door", name)
        return folder

    def fetch_pairing(self, name: str, by: str) -> bytes:
        """The pairing folder of a door that add_door or renew_door made, as a ZIP, once: then it is destroyed here, for
        whoever has it is the door. Raises BadInput where there is none (any more)."""
        with self._changing:
            Topics(self.site, name)  # raises for what is no name: it becomes a path below
            folders = [self._pairing_folder(name), self._pairing_folder(f"{name}.renewed")]
            folder = next((one for one in reversed(folders) if one.is_dir()), None)
            if folder is None:
                raise BadInput(
                    f"The pairing folder of {name} was fetched already, or {name} is no door. Renew its certificates "
                    "to get another one."
                )
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        archive.write(path, path.relative_to(folder))
            with self.store.write() as session:
                record_act(session, by, "fetch_pairing", name)
            shutil.rmtree(folder)
        return stream.getvalue()

    def waiting_pairings(self) -> list[str]:
        """Doors whose pairing folder was not fetched yet, sorted."""
        folder = self._pairing_folder("x").parent
        names = {path.name.removesuffix(".renewed") for path in folder.glob("*") if path.is_dir()}
        return sorted(names & set(self._door_names()))

    def revoke_door(self, name: str, by: str) -> tuple[str, ...]:
        """Make a door and its lock worthless: certificates revoked, its lines in the broker's ACL gone, keys and
        pairing folders destroyed, what the broker retains of it cleared -> sentences: what was done, and what is
        left to do.

        Doing it again does what could not be done the first time. Raises BadInput where there never was such a door.
        """
        with self._changing:
            with self.store.read() as session:
                known = session.get(DoorRow, name) is not None
                known = known or session.scalar(select(ActRow).where(ActRow.what == REVOKED, ActRow.subject == name))
            if not known and not self._keyring.has_door(name):
                with self.store.read() as session:
                    find_door(session, name)  # raises, and names the doors that there are
            taken_back = 0
            if self._keyring.has_authority:
                authority = self._keyring.authority(self.site)
                taken_back = sum(authority.revoke(role, name) for role in (Role.DOOR, Role.LOCK))
            with self.store.write() as session:
                row = session.get(DoorRow, name)
                if row is not None:
                    session.delete(row)
                    record_act(session, by, REVOKED, name)
            self._keyring.forget_door(name)
            for folder in (self._pairing_folder(name), self._pairing_folder(f"{name}.renewed")):
                shutil.rmtree(folder, ignore_errors=True)
            told = self.refresh_broker(RESTART)
            cleared = self.link.clear(name)
        done = f"{name} is revoked: {taken_back} certificates taken back, its keys destroyed."
        left = f"The broker cannot be reached, so it still keeps what it retained of {name}. Revoke it again later."
        return (done, *told, *(() if cleared else (left,)))

    def write_broker(self, place: BrokerPlace, by: str) -> None:
        """A ready folder for Mosquitto, and remember where it is. Raises BadInput, BadState, OSError."""
        with self._changing:
            authority = self._keyring.authority(self.site)
            write_broker(place, authority, self.site, self._door_names())
            remember(self.settings.state, place)
            with self.store.write() as session:
                record_act(session, by, "write_broker", f"{place.folder} ({', '.join(place.hosts)})")

    def write_client(self, role: Role, folder: Path, by: str) -> None:
        """A certificate for the page or for Home Assistant, with ca.crt. Raises BadInput, BadState, OSError."""
        with self._changing:
            authority = self._keyring.authority(self.site)
            authority.give(role, folder)
            with self.store.write() as session:
                record_act(session, by, "write_client", f"{role.value}: {folder}")

    def refresh_broker(self, then: str = RELOAD) -> tuple[str, ...]:
        """Bring acl and revoked.crl of the remembered folder up to date -> sentences: what is left to do, `then` for
        the broker."""
        place = remembered(self.settings.state)
        if place is None:
            return ()
        try:
            refresh_broker(place.folder, self._keyring.authority(self.site), self.site, self._door_names())
        except (LatchkeyError, OSError) as error:
            return (f"The broker's folder {place.folder} was not changed: {error}. Run `latchkey-admin broker write`.",)
        return (f"The broker's folder {place.folder} is changed. {then}",)

    def certificate_news(self) -> tuple[str, ...]:
        """A sentence for each of the site's certificates that ends soon, or has ended, and for that of the page; a
        door's are its problems."""
        told = ending_at_site(self._keyring.authority(self.site)) if self._keyring.has_authority else []
        return (*told, *self.web_news())

    def web_news(self) -> tuple[str, ...]:
        """A sentence where the certificate that browsers see ends soon, or has ended."""
        told = self.web_certificate.news(utc_now()) if self.web_certificate is not None else ""
        return (told,) if told else ()

    def _begin_anew(self, name: str, folder: Path) -> None:
        """Keys of a door that the store does not know: adding it, or revoking it, was cut off. In this order, so that a
        power cut in here leaves something to find for the next attempt. Raises BadInput for a name that is taken."""
        with self.store.read() as session:
            refuse_taken(session, name)
        if not self._keyring.has_door(name):
            return
        if self._keyring.gave(name, folder / "door"):
            (folder / "door" / PAIRING).unlink(missing_ok=True)
            for part in ("lock", "door"):
                shutil.rmtree(folder / part, ignore_errors=True)
        if self._keyring.has_authority:
            authority = self._keyring.authority(self.site)
            for role in (Role.DOOR, Role.LOCK):
                authority.revoke(role, name)
        self._keyring.forget_door(name)
        log.warning("%s was half made or half revoked; what there was of it is worthless, and it is made anew.", name)

    def _carry(self, folder: Path, name: str, broker: BrokerSettings, lock_broker: BrokerSettings | None) -> None:
        authority = self._keyring.authority(self.site) if self._keyring.has_authority else None
        keys = self._keyring.door(name)
        carry(
            folder, Topics(self.site, name), keys, self._keyring.site.public, (broker, lock_broker or broker), authority
        )

    def _broker_of_doors(self) -> BrokerSettings:
        # The page's user and its certificate are its own.
        own = {"username": "", "password_file": None, "cert_file": None, "key_file": None}
        place = remembered(self.settings.state)
        return self.settings.broker.model_copy(update={**own, "url": place.url} if place is not None else own)

    def _door_names(self) -> list[str]:
        with self.store.read() as session:
            return list(session.scalars(select(DoorRow.name).order_by(DoorRow.name)))

    def _pairing_folder(self, name: str) -> Path:
        return self.settings.state / "pairings" / name


def _check_free(folder: Path) -> None:
    if (folder / "door" / PAIRING).exists():
        raise BadInput(f"{folder} holds a pairing already. Choose another folder, or move it away.")
