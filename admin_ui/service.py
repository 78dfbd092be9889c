"""The office: everything that the page and the command line do, in one object. Both are wiring around it."""

from __future__ import annotations

from admin_ui import people, shelf, tune
from admin_ui.acts import record_act
from admin_ui.admission import Admission
from admin_ui.batches import Batches
from admin_ui.chronicle import Chronicle
from admin_ui.doorkeeping import Doorkeeping
from admin_ui.evidence import EvidenceRoom
from admin_ui.personnel import Personnel
from admin_ui.reception import Reception
from admin_ui.registry import Registry
from admin_ui.views import Change, ComesAgain
from firmware_config.roster import Policy


class Office(Personnel, Registry, Batches, Chronicle, EvidenceRoom, Doorkeeping, Admission, Reception):
    """All methods are safe to call from any thread. All raise BadInput (what was handed in is wrong), BadState
    (what is kept is not usable) or LostLink (the door or broker cannot be reached; views.DoorOffline); the text
    of each is a whole sentence to show to the person, and nothing was changed.

    `by` is the account that acts; it goes into the record of acts.
    """

    def ship_model(self, data: bytes, by: str, *, rollback: bool = False, leave_out: bool = False) -> Change:
        """Verify a bundle (release key or site key), make the templates for it of everybody whose photo is kept, sign
        it with the site key, send it and then the rosters; thresholds keep their false match rates.

        rollback: let it be older than the one in force. leave_out: go on although some have to be enrolled again.
        Raises BundleRefused (a BadInput), ComesAgain (one too)."""
        bundle = self._shelf.read(data)
        name = f"{bundle.manifest.name} {bundle.manifest.version}"
        with self._changing:
            before = self._sight.current()
            eyes = before.eyes.with_encoder(bundle.onnx, bundle.quality)
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=rollback)
            with self.store.read() as session:
                again = people.without_crop(session, eyes.encoder_id)
            if again and not leave_out:
                raise ComesAgain(again)
            self._shelf.keep(data)
            made = people.add_all_templates(self.store, eyes, self._keyring.store)
            with self.store.write() as session:
                # Whoever was enrolled from a shell meanwhile.
                made += people.add_templates(session, eyes, self._keyring.store)
                shelf.put_in_force(session, bundle.manifest)
                rows = people.doors_named(session, ())
                for row in rows:
                    row.encoder_id = eyes.encoder_id
                    policy = Policy.model_validate(row.policy)
                    same = tune.same_fmr(policy, before.calibration, bundle.calibration)
                    self._desk.roll(session, [row], same, bundle.calibration)
                facts = f"{made} templates, {len(again)} people to be enrolled again"
                record_act(session, by, "ship_model", f"{name} ({eyes.encoder_id[:12]}), {facts}")
            news = self._desk.send([row.name for row in rows], model=True)
        left = f" To be enrolled again: {', '.join(again)}." if again else " Nobody has to be enrolled again."
        return Change(f"The encoder {name} is sent; {made} templates were made for it.{left}", news)

    def who_comes_again(self, encoder_id: str) -> list[str]:
        """Names of those whose photo is not kept: for another encoder they have to be enrolled again."""
        with self.store.read() as session:
            return people.without_crop(session, encoder_id)
