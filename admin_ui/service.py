"""The office: everything that the page and the command line do, in one object. Both are wiring around it."""

from __future__ import annotations

from admin_ui.admission import Admission
from admin_ui.batches import Batches
from admin_ui.chronicle import Chronicle
from admin_ui.doorkeeping import Doorkeeping
from admin_ui.evidence import EvidenceRoom
from admin_ui.personnel import Personnel
from admin_ui.reception import Reception
from admin_ui.registry import Registry
from admin_ui.trials import Trials


class Office(Personnel, Registry, Batches, Chronicle, EvidenceRoom, Doorkeeping, Admission, Reception, Trials):
    """All methods are safe to call from any thread. All raise BadInput (what was handed in is wrong), BadState
    (what is kept is not usable) or LostLink (the door or broker cannot be reached; views.DoorOffline); the text
    of each is a whole sentence to show to the person, and nothing was changed.

    `by` is the account that acts; it goes into the record of acts.
    """
