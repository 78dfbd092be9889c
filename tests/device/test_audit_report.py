"""`latchkey-device audit`: what an auditor runs, on the door's own record or on a copy."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from device.audit import Audit, read
from device.cli import main
from device.ledger import audit_key
from device.segments import segments
from device.shelf import AUDIT_FOLDER
from firmware_config.chain import Head
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import DOOR_KEY, write_pairing
from firmware_config.settings import BrokerSettings

KEY = SecretKey(bytes(range(32)))
NOON = datetime(2025, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """door.toml of a paired door whose audit has six records, a day apart."""
    site = SigningKey.generate().public
    broker = BrokerSettings(url="mqtt://127.0.0.1")
    write_pairing(tmp_path / "pairing", Topics("home", "front"), broker, SecretKey.generate(), site, KEY)
    path = tmp_path / "door.toml"
    path.write_text('pairing = "pairing"\nstate = "state"\n', encoding="utf-8")
    with Audit(tmp_path / "state" / AUDIT_FOLDER, audit_key(KEY), segment_records=4) as audit:
        audit.append("started", {}, NOON)
        for day in range(1, 5):
            detail = {"person_id": f"id-{day}", "distance": 0.5, "by": "=1+1" if day == 4 else "olga"}
            facts = {"outcome": "granted", "reason": "granted", "event": f"e{day}", "detail": detail}
            audit.append("event", facts, NOON + timedelta(days=day))
        audit.append("stopped", {}, NOON + timedelta(days=5))
    return path


def folder_of(settings: Path) -> Path:
    return settings.parent / "state" / AUDIT_FOLDER


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["audit", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_verify_says_how_many_and_where_it_ends(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "verify", "--settings", settings)
    assert code == 0
    assert out.startswith("6 records in 2 files; the chain is whole, every seal is this door's.\nIt ends at 6:")
    head = out.rsplit(maxsplit=1)[1]
    assert run(capsys, "verify", "--settings", settings, "--head", head)[0] == 0
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    code, out, err = run(capsys, "verify", "--settings", settings, "--head", other)
    assert (code, out) == (1, "")
    assert "another record stood here" in err
    code, _, err = run(capsys, "verify", "--settings", settings, "--head", f"7:{'ab' * 32}")
    assert code == 1
    assert "ends at record 6, and 7 were written" in err


def test_verify_says_which_records_are_not_there_any_more(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Audit(folder_of(settings), audit_key(KEY), segment_records=4) as audit:
        fourth = list(read(folder_of(settings), audit_key(KEY)))[3]
        through = Head(4, fourth["hash"])
        audit.append("event", {"reason": "audit_pruning", "detail": {"prune": str(through)}}, NOON)
        audit.prune(through)
    code, out, _ = run(capsys, "verify", "--settings", settings)
    assert code == 0
    assert out.splitlines()[:2] == [
        "3 records in 1 files; the chain is whole, every seal is this door's.",
        "Records 1 to 4 are not there any more: this door pruned them, and its page had agreed.",
    ]
    assert "pruned or cut off, its key would tell which" in run(capsys, "verify", "--folder", folder_of(settings))[1]
    code, out, _ = run(capsys, "export", "--settings", settings)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [5, 6, 7]
    code, _, err = run(capsys, "verify", "--settings", settings, "--head", f"3:{'ab' * 32}")
    assert code != 0
    assert "Record 3 was pruned" in err


def test_a_cut_tail_fails_verify_and_nothing_is_exported(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = segments(folder_of(settings))[-1]
    last.write_bytes(last.read_bytes().splitlines(keepends=True)[0])
    for action in ("verify", "export"):
        code, out, err = run(capsys, action, "--settings", settings)
        assert (code, out) == (1, "")
        assert "its tail was cut off" in err


def test_a_copy_is_checked_without_the_key_and_read_with_it(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = settings.parent / "copy"
    shutil.copytree(folder_of(settings), copy)
    code, out, _ = run(capsys, "verify", "--folder", copy)
    assert code == 0
    assert "the seals were not looked at" in out
    code, out, err = run(capsys, "export", "--folder", copy)
    assert (code, out) == (1, "")
    assert "--key" in err
    key = settings.parent / "pairing" / DOOR_KEY
    code, out, _ = run(capsys, "export", "--folder", copy, "--key", key)
    assert code == 0
    assert len(out.splitlines()) == 6
    SecretKey.generate().save(settings.parent / "other.key")
    code, _, err = run(capsys, "verify", "--folder", copy, "--key", settings.parent / "other.key")
    assert code == 1
    assert "key" in err
    assert run(capsys, "verify", "--settings", settings, "--key", key)[0] == 1


def test_a_folder_without_an_audit_is_not_called_whole(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folder_of(settings).parent
    code, out, err = run(capsys, "verify", "--folder", state)
    assert (code, out) == (1, "")
    assert f"no audit in {state}" in err


def test_export_gives_what_happened_between_two_moments(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "export", "--settings", settings)
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[1]["detail"] == {"person_id": "id-1", "distance": 0.5, "by": "olga"}
    _, out, _ = run(
        capsys, "export", "--settings", settings, "--since", "2025-03-03", "--until", "2025-03-04T13:00+01:00"
    )
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [3], "until is a moment before, not after"
    _, out, _ = run(capsys, "export", "--settings", settings, "--since", "2030-01-01")
    assert out == ""


def test_the_csv_is_one_table_that_a_spreadsheet_takes_for_no_formula(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "export", "--settings", settings, "--format", "csv")
    table = list(csv.DictReader(io.StringIO(out)))
    assert [line["seq"] for line in table] == list("123456")
    assert (table[1]["person_id"], table[1]["distance"], table[1]["by"]) == ("id-1", "0.5", "olga")
    assert table[4]["by"] == "'=1+1"
    assert json.loads(table[1]["facts"])["event"] == "e1"
    assert table[0]["kind"] == "started"


@pytest.mark.parametrize(
    "arguments", [["verify", "--head", "6"], ["verify", "--head", "x:" + "a" * 64], ["export", "--since", "soon"], []]
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", *arguments])
    assert ended.value.code == 2


def test_a_door_that_never_ran_is_a_sentence(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder_of(settings))
    code, _, err = run(capsys, "verify", "--settings", settings)
    assert code == 1
    assert "There is no audit" in err
