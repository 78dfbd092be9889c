"""What waits for the store: many events to a transaction, in order; a bad one is refused alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy import event as sql_event

from admin_ui import intake as intaking
from admin_ui.intake import EVENTS_AT_ONCE, Intake
from admin_ui.service import Office
from admin_ui.store import StoreDown
from firmware_config.broker import Incoming
from firmware_config.errors import BadInput
from firmware_config.events import Event, EventDetail, seal_event
from firmware_config.keys import SecretKey
from firmware_config.messages import Topics
from tests.waiting import until

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def incoming(number: int) -> Incoming:
    return Incoming("latchkey/home/front/event", str(number).encode(), retained=False)


class Work:
    """Notes what an intake does; `gate` holds the worker up."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.done: list[list[str] | str] = []
        self.intake = Intake(self.keep, lambda: self.done.append("connected"))

    def keep(self, events: Sequence[Incoming]) -> None:
        self.done.append([message.payload.decode() for message in events])

    def wait(self) -> None:
        self.gate.wait(10)
        self.done.append("waited")


@pytest.fixture
def work() -> Iterator[Work]:
    """Its worker is held up."""
    made = Work()
    made.intake.start()
    made.intake.put(made.wait)
    assert until(lambda: made.intake.waiting == 0)
    yield made
    made.gate.set()
    made.intake.stop()


def finished(work: Work) -> list[list[str] | str]:
    work.gate.set()
    work.intake.stop()
    return work.done


def test_what_arrived_meanwhile_is_one_transaction(work: Work) -> None:
    for number in range(3):
        work.intake.put(incoming(number))
    assert finished(work) == ["waited", ["0", "1", "2"]]


def test_one_transaction_has_its_bound(work: Work) -> None:
    for number in range(EVENTS_AT_ONCE + 5):
        work.intake.put(incoming(number))
    assert [len(events) for events in finished(work)[1:]] == [EVENTS_AT_ONCE, 5]


def test_everything_is_done_in_the_order_in_which_it_came(work: Work) -> None:
    work.intake.put(incoming(1))
    work.intake.put(lambda: work.done.append("a report"))
    work.intake.put(incoming(2))
    assert finished(work) == ["waited", ["1"], "a report", ["2"]]


def test_a_job_that_fails_does_not_end_the_worker(work: Work) -> None:
    def fail() -> None:
        raise BadInput("There is no such door.")

    work.intake.put(fail)
    work.intake.put(incoming(1))
    assert finished(work) == ["waited", ["1"]]


def test_a_reconnection_is_heard_of_however_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intaking, "QUEUE_MESSAGES", 2)
    work = Work()
    work.intake.start()
    work.intake.put(work.wait)
    assert until(lambda: work.intake.waiting == 0)
    for number in range(4):
        work.intake.put(incoming(number))
    work.intake.connected()
    assert finished(work) == ["waited", "connected", ["0", "1"]]


def test_a_reconnection_is_heard_of_where_nothing_waits() -> None:
    work = Work()
    work.intake.start()
    work.intake.connected()
    assert until(lambda: work.done == ["connected"])
    work.intake.stop()


# --- the desk, over a real store ---


@pytest.fixture
def told(office: Office) -> Callable[..., tuple[str, Event]]:
    """told(number, door="front", key=the door's, **detail): an event as the link hands it to the desk."""

    def make(number: int, door: str = "front", key: SecretKey | None = None, **detail: object) -> tuple[str, Event]:
        event = seal_event(
            key or office._keyring.door("front").door,
            Topics("home", door),
            event_id=f"{number:032x}",
            at=AT,
            outcome="granted",
            reason="granted",
            detail=EventDetail.model_validate(detail),
        )
        return door, event

    return make


def ids(*numbers: int) -> list[str]:
    return [f"{number:032x}" for number in numbers]


def stored(office: Office) -> set[str]:
    return {event.id for event in office.events(limit=1000)}


def test_a_batch_is_one_commit(office: Office, told: Callable[..., tuple[str, Event]]) -> None:
    commits: list[object] = []
    sql_event.listen(office.store._writer, "commit", commits.append)
    acknowledged = office._desk.on_events([told(number, audit_seq=number, audit_head="aa") for number in range(1, 51)])
    assert acknowledged == {"front": ids(*range(1, 51))}
    assert stored(office) == set(ids(*range(1, 51)))
    assert len(commits) == 1
    assert office.audit_heads()["front"].seq == 50


def test_what_somebody_else_wrote_is_refused_alone(office: Office, told: Callable[..., tuple[str, Event]]) -> None:
    batch = [told(1), told(2, key=SecretKey.generate()), told(3, door="nosuch"), told(4)]
    assert office._desk.on_events(batch) == {"front": ids(1, 4)}
    assert stored(office) == set(ids(1, 4))


def test_what_the_store_cannot_take_is_refused_alone(
    office: Office, told: Callable[..., tuple[str, Event]], caplog: pytest.LogCaptureFixture
) -> None:
    with office.store.write() as session:
        session.execute(text("CREATE UNIQUE INDEX once ON events (audit_hash)"))
    batch = [told(1, audit_head="aa"), told(2, audit_head="aa"), told(3, audit_head="bb")]
    assert office._desk.on_events(batch) == {"front": ids(1, 3)}
    assert stored(office) == set(ids(1, 3))
    assert f"Event {2:032x} of front cannot be kept" in caplog.text


def test_what_was_kept_before_is_acknowledged_again(office: Office, told: Callable[..., tuple[str, Event]]) -> None:
    office._desk.on_events([told(1)])
    assert office._desk.on_events([told(1), told(2)]) == {"front": ids(1, 2)}
    assert len(office.events()) == 2


def test_nothing_is_acknowledged_while_the_store_takes_nothing(
    office: Office, told: Callable[..., tuple[str, Event]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(office.store, "_writer", create_engine(f"sqlite:///{tmp_path}/no/such/folder/store.db"))
    with pytest.raises(StoreDown):
        office._desk.on_events([told(1)])
