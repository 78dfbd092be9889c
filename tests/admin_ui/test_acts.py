"""The record of acts: whole, or it says where it was touched."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from admin_ui.acts import HEAD_FILE, Witness, read_acts, record_act
from admin_ui.store import Store, open_store
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey

KEY = SecretKey(bytes(range(32)))


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path, KEY)


@pytest.fixture
def store(tmp_path: Path, store_url: str, witness: Witness) -> Iterator[Store]:
    opened = open_store(store_url, tmp_path)
    opened.witnesses.append(witness.see)
    for number in range(5):
        with opened.write() as session:
            record_act(session, "boss", "test", f"number {number}")
    yield opened
    opened.close()


def touch(store: Store, sql: str) -> None:
    with store.write() as session:
        session.execute(text(sql))


def verify(store: Store, witness: Witness) -> int:
    with store.read() as session:
        return witness.verify(session).count


def test_an_untouched_record_verifies_to_its_end(store: Store, witness: Witness) -> None:
    assert verify(store, witness) == 5


def test_two_acts_of_one_transaction_are_two_links(store: Store, witness: Witness) -> None:
    with store.write() as session:
        record_act(session, "boss", "one", "x")
        record_act(session, "boss", "two", "x")
    assert verify(store, witness) == 7


def test_an_act_of_a_failed_transaction_is_neither_in_the_store_nor_witnessed(store: Store, witness: Witness) -> None:
    def fail() -> None:
        with store.write() as session:
            record_act(session, "boss", "never", "x")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert witness.last_seen().count == 5
    assert verify(store, witness) == 5


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE acts SET subject = 'nothing' WHERE seq = 2", "Act 2 of the record was changed"),
        ("UPDATE acts SET by = 'somebody' WHERE seq = 5", "Act 5 of the record was changed"),
        ("DELETE FROM acts WHERE seq = 3", "Act 3 of the record is missing"),
        ("DELETE FROM acts WHERE seq = 1", "Act 1 of the record is missing"),
        ("DELETE FROM acts WHERE seq > 3", "records were cut off its end"),
        ("DELETE FROM acts", "records were cut off its end"),
        ("UPDATE acts SET seq = 6 WHERE seq = 4", "Act 4 of the record"),
    ],
)
def test_editing_cutting_and_reordering_are_found(store: Store, witness: Witness, sql: str, told: str) -> None:
    touch(store, sql)
    with pytest.raises(BadState, match=told):
        verify(store, witness)


def test_a_tail_that_was_cut_and_written_anew_is_found(store: Store, witness: Witness, tmp_path: Path) -> None:
    touch(store, "DELETE FROM acts WHERE seq > 3")
    store.witnesses.clear()
    for number in range(4):
        with store.write() as session:
            record_act(session, "boss", "forged", f"number {number}")
    with store.read() as session:
        assert len(list(read_acts(session))) == 7, "the forged chain is whole in itself"
    with pytest.raises(BadState, match="records were cut off its end or written anew"):
        verify(store, witness)


def test_the_witness_cannot_be_moved_back_without_the_key(store: Store, witness: Witness, tmp_path: Path) -> None:
    foreign = SecretKey(bytes(32))
    touch(store, "DELETE FROM acts WHERE seq > 3")
    (tmp_path / HEAD_FILE).unlink()
    forger = Witness(tmp_path, foreign)
    with store.read() as session:
        acts = list(read_acts(session))
    from admin_ui.acts import ACT_HEAD
    from firmware_config.chain import Head

    forger.see({ACT_HEAD: Head(3, acts[-1]["hash"])})
    with pytest.raises(BadState, match="changed by somebody without the store's key"):
        verify(store, witness)
    (tmp_path / HEAD_FILE).write_bytes(b"{}")
    with pytest.raises(BadState, match="cannot be read"):
        verify(store, witness)
    with store.write() as session:
        record_act(session, "boss", "test", "one more")
    assert (tmp_path / HEAD_FILE).read_bytes() == b"{}", "evidence is not written over"


def test_the_writer_who_comes_last_does_not_move_the_witness_back(store: Store, witness: Witness) -> None:
    with store.write() as session:
        record_act(session, "page", "slow", "x")
        slow = dict(session.info)
    with store.write() as session:
        record_act(session, "shell", "quick", "x")
    witness.see(slow)
    assert witness.last_seen().count == 7


def test_many_writers_leave_the_newest_head(store: Store, tmp_path: Path, store_url: str) -> None:
    def act(number: int) -> None:
        beside = open_store(store_url, tmp_path)
        beside.witnesses.append(Witness(tmp_path, KEY).see)
        for _ in range(5):
            with beside.write() as session:
                record_act(session, f"shell {number}", "test", "x")
        beside.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(4)))
    assert Witness(tmp_path, KEY).last_seen().count == 25
    assert verify(store, Witness(tmp_path, KEY)) == 25
