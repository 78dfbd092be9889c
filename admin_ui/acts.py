"""Who did what in the office: a hash chain in the store, and outside of it a witness of where it ends.

A changed, moved or removed act breaks the chain. Acts cut off the end do not, so the newest head is also kept in a
file beside the keys, under a MAC: whoever can write to the database alone cannot make the two agree.
People are named by their random id only: an erased person is nobody here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui.models import ActRow
from admin_ui.owner import denied
from firmware_config.chain import Head, canonical, link_hash
from firmware_config.errors import BadState, DiskFault, os_sentence
from firmware_config.files import OTHERS_WRITE_S, drop_half_written, write_atomic
from firmware_config.keys import SecretKey

log = logging.getLogger("latchkey.page.acts")

HEAD_FILE: Final = "acts.head"
HEAD_CONTEXT: Final = b"latchkey-acts-1|"
"""Before what the MAC covers, so that no other use of the store's key gives the same."""

ACT_HEAD: Final = "act_head"
"""Key in Session.info: the head that this transaction made."""


def record_act(session: Session, by: str, what: str, subject: str) -> None:
    """In the same transaction as the act itself, so that neither stands without the other.

    subject: names doors, accounts, bundles and ids of people; never the name of a person who is enrolled.
    """
    last = session.scalar(select(ActRow).order_by(ActRow.seq.desc()).limit(1))
    head = Head(last.seq, last.hash) if last is not None else Head()
    row = ActRow(seq=head.count + 1, at=datetime.now(timezone.utc), by=by, what=what, subject=subject, prev=head.hash)
    row.hash = act_hash(row)
    session.add(row)
    session.flush()
    session.info[ACT_HEAD] = Head(row.seq, row.hash)


def act_hash(row: ActRow) -> str:
    """The row's link; `prev` is in it."""
    return link_hash(row.prev, act_facts(row))


def act_facts(row: ActRow) -> dict[str, Any]:
    """What the hash covers, and what an export shows."""
    at = row.at.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return {"seq": row.seq, "at": at, "by": row.by, "what": row.what, "subject": row.subject}


def read_acts(session: Session) -> Iterator[dict[str, Any]]:
    """All acts in order as plain values, each checked on the way. Raises BadState at the first broken link."""
    head = Head()
    query = select(ActRow).order_by(ActRow.seq).execution_options(yield_per=1000)
    with contextlib.closing(session.scalars(query)) as rows:
        for row in rows:
            place = f"Act {head.count + 1} of the record"
            if row.seq != head.count + 1 or row.prev != head.hash:
                raise BadState(f"{place} is missing, or one was put in. Keep the store as evidence; restore a backup.")
            if row.hash != act_hash(row):
                raise BadState(
                    f"{place} was changed after it was written. Keep the store as evidence; restore a backup."
                )
            head = Head(row.seq, row.hash)
            yield {**act_facts(row), "prev": row.prev, "hash": row.hash}


class Witness:
    """The head of the acts, kept in a file of the state folder."""

    def __init__(self, state: Path, key: SecretKey) -> None:
        """key: the store's."""
        drop_half_written(state, HEAD_FILE, OTHERS_WRITE_S)
        self._path = state / HEAD_FILE
        self._key = key

    def see(self, written: Mapping[Any, Any]) -> None:
        """After a transaction: keep the head that it made, unless a later one is kept already: the command line writes
        beside the page, and whoever commits first may come here last. written: its Session.info. Raises OSError."""
        head = written.get(ACT_HEAD)
        if not isinstance(head, Head):
            return
        with self._alone():
            try:
                seen = self.last_seen()
            except BadState as error:
                # The act itself is kept. What is not ours stays as it is, as evidence; `audit verify` tells of it too.
                log.error("%s", error)  # noqa: TRY400 - the sentence is the fact
                return
            if head.count > seen.count:
                facts = {"seq": head.count, "hash": head.hash}
                write_atomic(self._path, canonical({**facts, "mac": self._key.mac(HEAD_CONTEXT + canonical(facts))}))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Among all threads and processes on this state folder."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def last_seen(self) -> Head:
        """Head() before anything was recorded. Raises BadState for a file that is not ours, DiskFault for one that
        cannot be read just now."""
        try:
            saved = json.loads(self._path.read_bytes())
            head = Head(int(saved["seq"]), str(saved["hash"]))
            facts = {"seq": head.count, "hash": head.hash}
            genuine = hmac.compare_digest(str(saved["mac"]), self._key.mac(HEAD_CONTEXT + canonical(facts)))
        except FileNotFoundError:
            return Head()
        except PermissionError as error:
            raise denied(self._path, self._path.parent) from error
        except OSError as error:
            raise DiskFault(f"The end of the record of acts cannot be read: {os_sentence(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadState(f"{self._path} cannot be read ({error}). Keep it as evidence and remove it.") from error
        if not genuine:
            raise BadState(f"{self._path} was changed by somebody without the store's key. Keep it as evidence.")
        return head

    def verify(self, session: Session) -> Head:
        """Check the whole chain and that it still reaches what was seen of it -> where it ends. Raises BadState."""
        seen, found, head = self.last_seen(), False, Head()
        for act in read_acts(session):
            head = Head(act["seq"], act["hash"])
            found = found or head == seen
        if seen.count and not found:
            raise BadState(
                f"The record of acts ends at {head.count}, but act {seen.count} was seen: records were cut off its end "
                "or written anew, or the store was restored from an older backup. Keep both as evidence; move "
                f"{self._path} away to begin to watch anew."
            )
        return head
