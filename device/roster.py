"""What the door runs: one encoder and the roster made with it, taken together or refused together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from device.model import Active, MakeEncoder, MakeHalf, Model, fits, pair, tested
from device.outcome import Outcome, refusal_code, switch_facts
from device.shelf import MODEL, ROSTER, STAGED, Marks, Shelf
from firmware_config.bundle import BundleRefused, Manifest, check_version, read_bundle
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SecretKey, VerifyKey
from firmware_config.messages import Applied, Topics
from firmware_config.roster import Roster, RosterRefused, open_roster

__all__ = ["Active", "Holdings", "Outcome"]

log = logging.getLogger("latchkey.roster")


class Holdings:
    """Takes documents that are good and keeps what runs. One thread; `active` may be read from any.

    Rules:
    - a document is checked whole, then written, then takes effect by one assignment; refused, it changes nothing;
    - a roster's generation rises. The very same roster again is no refusal; a door that lost its roster takes the
      highest generation that it had once more;
    - a bundle comes signed by the site; on disk the release key is good too. No lower version than the door has
      run, unless a roster (running, or waiting for this bundle) names it in rollback_to;
    - encoder and roster switch together: a bundle with another encoder is staged until a roster for it comes; a
      roster for neither is refused, remembered, and tried again when a bundle is taken, because retained messages
      come in any order. With no roster there is nothing to switch together: the bundle is used at once;
    - a bundle that proves that it may be compared with the running roster's templates is used at once too, and the
      roster stays, at the proof's thresholds (docs/compatible.md). The encoder that made the roster goes before one
      that is compatible with it. Such a bundle again without the proof parts them: nobody is let in;
    - whatever on disk does not verify is not used: `problems` says so, and the door refuses everybody until the
      broker delivers it again.
    After python-tuf's trusted metadata set.
    """

    def __init__(
        self,
        state_dir: Path,
        topics: Topics,
        site_key: VerifyKey,
        door_key: SecretKey,
        release_keys: Sequence[VerifyKey],
        default_bundle: Path,
        make_encoder: MakeEncoder,
        make_half: MakeHalf = lambda _: None,
    ) -> None:
        """Raises BadState when no encoder is usable, or marks.json is damaged."""
        self.problems: list[str] = []
        self._topics, self._site_key, self._door_key = topics, site_key, door_key
        self._release_keys, self._default = tuple(release_keys), default_bundle
        self._tested = partial(tested, make_encoder=make_encoder, make_half=make_half)
        self._last, self._last_topic = Outcome(), ""
        self._unsettled = ""
        self._waiting_roster: tuple[Roster, bytes] | None = None
        self._waiting_bundle: tuple[Manifest, bytes] | None = None
        try:
            self._shelf = Shelf(state_dir)
        except OSError as error:
            raise BadState(f"The state folder {state_dir} cannot be used: {error}.") from error
        self._marks = self._shelf.marks()
        self._staged = self._from_disk(self._shelf.staged, STAGED)
        self.active = self._load()
        self._settle()

    @property
    def staged(self) -> Manifest | None:
        """The bundle that waits for its roster."""
        return self._staged.manifest if self._staged else None

    @property
    def generation(self) -> int:
        """Of the running roster, 0 for none."""
        return self.active.roster.generation if self.active.roster else 0

    def applied(self) -> Applied:
        """What to publish: what runs, and the last document's refusal."""
        roster = self.active.roster
        return Applied(
            generation=self.generation,
            encoder_id=self.active.manifest.encoder_id,
            model_version=self.active.manifest.version,
            people=len(roster.people) if roster else 0,
            roster_encoder=self.active.older,
            refused=self._last.refused,
            refused_why=self._last.why,
            refused_topic=self._last_topic if self._last.refused else "",
        )

    def offer_roster(self, sealed: bytes) -> Outcome:
        """A roster as it came. Refusals: bad_seal, bad_signature, bad_message, foreign_door, older_generation,
        encoder_mismatch, not_saved."""
        return self._answer("roster", lambda: self._take_roster(sealed))

    def offer_bundle(self, data: bytes) -> Outcome:
        """A bundle as it came. Refusals: too_large, not_a_bundle, bad_signature, bad_contents, older_version,
        self_test_failed, not_saved."""
        return self._answer("model", lambda: self._take_bundle(data))

    def _answer(self, topic: str, take: Callable[[], bool]) -> Outcome:
        before = self.active
        try:
            changed = take()
            outcome = Outcome(changed=changed, facts=switch_facts(before, self.active) if changed else {})
        except (BadInput, OSError) as error:
            outcome = Outcome(refusal_code(error), str(error))
            log.warning("The %s is refused (%s): %s", topic, outcome.refused, outcome.why)
        self._last, self._last_topic = outcome, topic
        return outcome

    def _take_roster(self, sealed: bytes) -> bool:
        roster = open_roster(sealed, self._topics, self._site_key, self._door_key)
        if roster == self.active.as_sent:
            return False
        # Without a running roster the highest generation may come once more: that is how a damaged disk heals.
        taken = self._marks.generation - (self.active.roster is None)
        if roster.generation <= taken:
            why = f"The roster has generation {roster.generation}, the door has taken {self._marks.generation}."
            raise RosterRefused("older_generation", why)
        model = self._model_for(roster, sealed)
        fresh = pair(model, roster)
        if model is self.active.model and not self._shelf.has_model():
            # The package's own bundle: an upgrade would replace it under the roster that was made with it.
            self._shelf.keep_model(self._default.read_bytes())
        self._shelf.keep_roster(sealed)
        self.active = fresh
        self.problems.clear()
        self._waiting_roster = None
        self._settle()
        self._retry_bundle(roster)
        return True

    def _model_for(self, roster: Roster, sealed: bytes) -> Model:
        if roster.encoder_id == self.active.manifest.encoder_id:
            return self.active.model
        waiting = self._waiting_bundle
        if waiting and waiting[0].encoder_id == roster.encoder_id == roster.rollback_to:
            staged = self._tested(read_bundle(waiting[1], [self._site_key]))
            self._shelf.keep_staged(waiting[1])
            self._staged, self._waiting_bundle = staged, None
        if self._staged is not None and roster.encoder_id == self._staged.manifest.encoder_id:
            self._check_version(self._staged.manifest, roster)
            return self._staged
        if not fits(self.active.bundle, roster):
            self._waiting_roster = (roster, sealed)
        return self.active.model  # `pair` refuses what does not fit

    def _take_bundle(self, data: bytes) -> bool:
        known = [self.active.bundle.digest, self._staged.bundle.digest if self._staged else ""]
        if sha256(data).hexdigest() in known:
            return self._retry_roster()
        bundle = read_bundle(data, [self._site_key])
        waiting = self._waiting_roster[0] if self._waiting_roster else None
        try:
            self._check_version(bundle.manifest, self.active.roster, waiting)
        except BundleRefused:
            self._waiting_bundle = (bundle.manifest, data)
            raise
        model = self._tested(bundle)
        roster = self.active.as_sent
        again = model.manifest.encoder_id == self.active.manifest.encoder_id
        at_once = roster is None or again or fits(model.bundle, roster)
        if at_once:
            self._shelf.keep_model(data)
            if roster is None:
                self.active = Active(model)
            else:
                # Without the declaration that held them together they part, as they would at the next start.
                self.active = pair(model, roster) if fits(model.bundle, roster) else self._load()
            self._settle()
        else:
            self._shelf.keep_staged(data)
            self._staged = model
        return self._retry_roster() or at_once

    def _retry_roster(self) -> bool:
        waiting, self._waiting_roster = self._waiting_roster, None
        try:
            return waiting is not None and self._take_roster(waiting[1])
        except BadInput as error:
            # The bundle was taken all the same, and its answer says so; what waits on is told apart by problems.
            log.info("The waiting roster does not fit yet: %s", error)
            return False
        except OSError:
            self._waiting_roster = waiting
            raise

    def _retry_bundle(self, roster: Roster) -> None:
        waiting = self._waiting_bundle
        if waiting is None or waiting[0].encoder_id != roster.rollback_to:
            return
        self._waiting_bundle = None
        try:
            self._take_bundle(waiting[1])
        except (BadInput, OSError) as error:
            self.problems.append(f"The bundle that the roster goes back to is refused: {error}")

    def _check_version(self, manifest: Manifest, *rosters: Roster | None) -> None:
        permitted = {roster.rollback_to for roster in rosters if roster} | {self._marks.permitted}
        encoder = manifest.encoder_id
        check_version(manifest, self._marks.version, encoder if encoder in permitted else "")

    def finish(self) -> None:
        """What the disk did not take after a switch, once more."""
        if self._unsettled:
            self._settle()

    def _settle(self) -> None:
        """After a switch: what follows from the roster on disk. A failure here is finished later, or at a start."""
        unsettled, self._unsettled = self._unsettled, ""
        if unsettled in self.problems:
            self.problems.remove(unsettled)
        manifest, roster = self.active.manifest, self.active.roster
        before = self._marks
        older = bool(before.version) and _version(manifest.version) < _version(before.version)
        permitted = before.permitted if roster is None else manifest.encoder_id if older else ""
        self._marks = Marks(
            generation=max(before.generation, self.generation),
            version=before.version if older else manifest.version,
            permitted=permitted,
        )
        try:
            if self._staged is self.active.model:
                self._shelf.promote()
                self._staged = None
            if self._staged is not None:
                self._drop_forbidden(self._staged)
            if self._marks != before or unsettled:
                self._shelf.keep_marks(self._marks)
        except OSError as error:
            self._unsettled = f"The state folder {self._shelf.folder} cannot be written: {error}."
            self.problems.append(self._unsettled)

    def _drop_forbidden(self, staged: Model) -> None:
        try:
            self._check_version(staged.manifest, self.active.roster)
        except BundleRefused as error:
            self._staged = None
            self._shelf.drop_staged()
            log.warning("The staged bundle is dropped: %s", error)

    def _load(self) -> Active:
        roster, sealed = self._roster_from_disk()
        model = self._from_disk(self._shelf.model, MODEL)
        staged = self._staged
        waited = staged is not None and roster is not None and staged.manifest.encoder_id == roster.encoder_id
        if staged is not None and waited and (model is None or model.manifest.encoder_id != staged.manifest.encoder_id):
            model = staged  # a switch that a power cut interrupted
        model = model or self._default_model()
        if roster is None:
            return Active(model)
        if not fits(model.bundle, roster):
            self._waiting_roster = (roster, sealed)
        try:
            active = pair(model, roster)
            self._check_version(model.manifest, roster)
        except (RosterRefused, BundleRefused) as error:
            self.problems.append(f"Nobody is let in until the broker delivers a fitting pair: {error}")
            return Active(model)
        return active

    def _roster_from_disk(self) -> tuple[Roster | None, bytes]:
        try:
            sealed = self._shelf.roster()
            if sealed is None:
                return None, b""
            floor = self._marks.generation - 1
            return open_roster(sealed, self._topics, self._site_key, self._door_key, newer_than=floor), sealed
        except (BadInput, BadState) as error:
            self.problems.append(f"{ROSTER} is not used, nobody is let in until the broker delivers it: {error}")
            return None, b""

    def _from_disk(self, read: Callable[[], bytes | None], name: str) -> Model | None:
        try:
            data = read()
            keys = [self._site_key, *self._release_keys]
            return None if data is None else self._tested(read_bundle(data, keys))
        except (BadInput, BadState) as error:
            self.problems.append(f"{name} is not used: {error}")
            return None

    def _default_model(self) -> Model:
        try:
            bundle = read_bundle(self._default.read_bytes(), [self._site_key, *self._release_keys])
            return self._tested(bundle)
        except (BadInput, OSError) as error:
            raise BadState(f"No encoder can be used: {self._default}: {error}. Install the package again.") from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
