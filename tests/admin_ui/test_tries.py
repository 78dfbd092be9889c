"""Who guesses has to wait, whichever process of the page they ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select

import admin_ui.tries
from admin_ui.models import TriesRow
from admin_ui.store import Store, open_store
from admin_ui.tries import FORGOTTEN_S, FREE_TRIES, LONGEST_WAIT_S, Tries, by_account, by_address, wait_s

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
HERE = [by_address("10.0.0.5")]


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = open_store(store_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def tries(store: Store) -> Tries:
    return Tries(store)


def exhausted(tries: Tries, who: list[str] = HERE) -> None:
    for _ in range(FREE_TRIES):
        assert tries.begin(who, NOW) == 0.0


def test_the_wait_doubles_up_to_a_minute() -> None:
    waits = [wait_s(count, NOW, NOW) for count in range(FREE_TRIES + 9)]
    assert waits[:FREE_TRIES] == [0.0] * FREE_TRIES
    assert waits[FREE_TRIES : FREE_TRIES + 4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == wait_s(10_000, NOW, NOW) == LONGEST_WAIT_S
    assert wait_s(10_000, NOW, later(LONGEST_WAIT_S)) == 0.0


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    assert wait_s(FREE_TRIES + 1, NOW, later(-0.5)) == 2.0, "another machine's clock is a little ahead"
    assert wait_s(10_000, NOW, later(-3600)) == 0.0


def test_only_who_guesses_waits_and_a_refused_try_does_not_lengthen_it(tries: Tries) -> None:
    exhausted(tries)
    assert tries.begin(HERE, NOW) == 1.0
    assert tries.begin(HERE, later(0.75)) == 0.25
    assert tries.begin([by_address("10.0.0.6")], NOW) == 0.0
    assert tries.begin(HERE, later(1.0)) == 0.0
    assert tries.begin(HERE, later(1.0)) == 2.0


def test_every_process_and_every_restart_goes_on_counting(tries: Tries, tmp_path: Path, store_url: str) -> None:
    exhausted(tries)
    other = open_store(store_url, tmp_path)
    assert Tries(other).begin(HERE, NOW) == 1.0
    other.close()


def test_many_at_once_are_no_more_than_one_after_another(store: Store, tmp_path: Path, store_url: str) -> None:
    stores = [store, open_store(store_url, tmp_path)]
    together = threading.Barrier(20)

    def attempt(number: int) -> float:
        together.wait(20)
        return Tries(stores[number % 2]).begin(HERE, NOW)

    with ThreadPoolExecutor(20) as threads:
        waits = list(threads.map(attempt, range(20)))
    stores[1].close()
    assert sorted(waits) == [0.0] * FREE_TRIES + [1.0] * (20 - FREE_TRIES)


def test_one_that_is_right_forgets_and_so_does_an_hour(tries: Tries) -> None:
    exhausted(tries)
    tries.right(HERE)
    exhausted(tries)
    assert tries.begin(HERE, NOW) == 1.0
    for _ in range(FREE_TRIES):
        assert tries.begin(HERE, later(FORGOTTEN_S)) == 0.0
    assert tries.begin(HERE, later(FORGOTTEN_S)) == 1.0


def test_a_password_that_still_needs_its_code_is_no_wrong_try_and_forgets_none(tries: Tries) -> None:
    for _ in range(FREE_TRIES - 1):
        tries.begin(HERE, NOW)
    for _ in range(3):
        assert tries.begin(HERE, NOW) == 0.0
        tries.half(HERE)
    assert tries.begin(HERE, NOW) == 0.0
    assert tries.begin(HERE, NOW) == 1.0


def test_codes_are_counted_by_account_too_wherever_they_come_from(tries: Tries) -> None:
    for number in range(FREE_TRIES):
        assert tries.begin([by_address(f"10.0.0.{number}"), by_account("olga")], NOW) == 0.0
    assert tries.begin([by_address("10.0.0.99"), by_account("olga")], NOW) == 1.0
    assert tries.begin([by_address("10.0.0.99")], NOW) == 0.0, "a refused try counts for nobody"


def test_strangers_do_not_fill_the_store(tries: Tries, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_ui.tries, "WHO_KEPT", 3)
    for number in range(6):
        tries.begin([by_address(f"{number}" * 500)], later(number))
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(TriesRow)) == 3
        assert session.scalars(select(TriesRow.who).order_by(TriesRow.who)).all()[-1] == f"address {'5' * 64}"
