"""10,000 damaged documents in `make test`: whatever is read from outside is read or refused, quickly, and no more.

The long run is atheris's (docs/faults.md). What either has found once stands in KNOWN and is tried first.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.target import LIMITS_MB, Target, Watched
from tests.fuzz.targets import TARGETS
from tests.makers import encoder_id

# Warnings are no errors here, for Pillow warns of what is damaged; but what is left open is one, as everywhere: it
# would be found in whichever test comes when the garbage is collected.
pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]

UNENDING = b"1" + b"0" * 30
EVENT = b'{"id": "00000000-0000-0000-0000-000000000007", "at": "%s", "outcome": "granted", "reason": "granted"}'
ROSTER = b'{"site": "office", "door": "front", "generation": %s, "policy": {"tau": 0.9, "tau_strict": 0.7}, '
ROSTER += b'"encoder_id": "' + encoder_id(1).encode() + b'"}'
KNOWN = [
    ("door-toml", b"board = " + b"9" * 5000),
    ("door-toml", b"[lock]\nexit_hold_s = 0x" + b"f" * 5000),
    ("page", b'examine application/json\n{"data": [{"path": "\xed\xa0\x80"}]}'),
    ("admin-toml", b"site = " + b"[" * 5000),
    ("training-toml", b"a." * 5000 + b"a = 1"),
    ("kept", b'{"a":' * 5000),
    ("kept", b'{"remaining_s": 1' + b"0" * 400 + b', "people": {}}'),
    ("mqtt-office", b'health \n{"software": "0.2.0", "audit_seq": ' + UNENDING + b', "audit_head": "x"}'),
    ("mqtt-office", b"event \n" + EVENT % b"0001-01-01T00:00:00+14:00"),
    ("mqtt-door", b"roster signed\n" + ROSTER % UNENDING),
    ("page", b'events application/json\n{"data": ["front", null]}'),
    ("page", b'events application/json\n{"data": ["\\ud800", 5]}'),
    ("page", b'events application/json\n{"data\xff": 1}'),
    ("page", b"remove application/json\nInfinity"),
    ("page", b'remove application/json\n{"data": ["p1"], "fn_index": -1}'),
    (
        "page",
        b'upload multipart/form-data; boundary=x\n--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n--x--\r\n',
    ),
]


@pytest.fixture(scope="module", params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


@pytest.fixture(scope="module")
def watched(target: Target) -> Iterator[Watched]:
    with tempfile.TemporaryDirectory() as folder, target.opened(Path(folder)) as eat, Watched(eat) as made:
        yield made


def test_what_was_found_once(target: Target, watched: Watched) -> None:
    for name, data in KNOWN:
        if name == target.name:
            watched(data)


def test_damaged_documents_are_read_or_refused(target: Target, watched: Watched) -> None:
    seeds = list(target.seeds())
    for document in seeds:
        watched(document)

    @given(draw=st.randoms(use_true_random=False))
    @settings(
        max_examples=target.examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def tried(draw: Random) -> None:
        watched(mutated(draw.choice(seeds), draw))

    tried()


def open_loops() -> list[asyncio.BaseEventLoop]:
    gc.collect()
    loops = [it for it in gc.get_objects() if issubclass(type(it), asyncio.BaseEventLoop)]
    return [loop for loop in loops if not loop.is_closed()]


def test_a_page_leaves_no_event_loop_open(tmp_path: Path) -> None:
    before = open_loops()  # with that of the target above, perhaps
    with TARGETS["page"].opened(tmp_path):
        assert len(open_loops()) == len(before) + 1
    assert [loop for loop in open_loops() if loop not in before] == []


def test_a_page_is_made_from_within_a_loop_too(tmp_path: Path) -> None:
    async def from_within() -> None:
        with TARGETS["page"].opened(tmp_path):
            pass

    # On a thread, for a browser that another test has opened keeps a loop running on this one.
    with ThreadPoolExecutor() as apart:
        apart.submit(asyncio.run, from_within()).result()


def test_there_are_ten_thousand_and_the_bench_knows_all_targets() -> None:
    assert TARGETS.keys() == LIMITS_MB.keys()
    assert sum(target.examples for target in TARGETS.values()) >= 10_000
