"""The office: everything that the page and the command line do, in one object. Both are wiring around it."""

from __future__ import annotations

from admin_ui import people, shelf, tune
from admin_ui.acts import record_act
from admin_ui.admission import Admission
from admin_ui.doorkeeping import Doorkeeping
from admin_ui.personnel import Personnel
from admin_ui.views import Change
from firmware_config.roster import Policy


class Office(Personnel, Doorkeeping, Admission):
    """All methods are safe to call from any thread. All raise BadInput (what was handed in is wrong), BadState
    (what is kept is not usable) or LostLink (the door or broker cannot be reached; views.DoorOffline); the text
    of each is a whole sentence to show to the person, and nothing was changed.

    `by` is the account that acts; it goes into the record of acts.
    """

    def ship_model(self, data: bytes, by: str, *, rollback: bool = False) -> Change:
        """Verify a bundle (release key or site key), make everybody's templates for it, sign it with the site key,
        send it and then the rosters: nobody is enrolled again, thresholds keep their false match rates.

        rollback: let it be older than the one in force. Raises BundleRefused (a BadInput)."""
        bundle = self._shelf.read(data)
        name = f"{bundle.manifest.name} {bundle.manifest.version}"
        with self._changing:
            before = self._sight.current()
            eyes = before.eyes.with_encoder(bundle.onnx, bundle.quality)
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=rollback)
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
                record_act(session, by, "ship_model", f"{name} ({eyes.encoder_id[:12]}), {made} templates")
            news = self._desk.send([row.name for row in rows], model=True)
        return Change(f"The encoder {name} is sent; {made} templates were made for it.", news)
