"""The roster: signed, sealed, for one door, and never an older one."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_config.errors import BadInput
from firmware_config.keys import SealRefused, SecretKey, SignatureRefused, SigningKey
from firmware_config.messages import MessageRefused, Topics, decode, encode
from firmware_config.roster import (
    ROSTER_CONTEXT,
    Person,
    Policy,
    Roster,
    RosterRefused,
    open_roster,
    seal_roster,
    template_bytes,
)
from tests.makers import Premises, person, unit

HOME = Premises(Path("unused"))


def sample() -> Roster:
    return HOME.roster(3, {"Ada": 1, "Zoë": 2})


def opened(sealed: bytes, newer_than: int = 0) -> Roster:
    return open_roster(sealed, HOME.topics, HOME.site_key.public, HOME.door_key, newer_than)


def test_what_the_page_seals_the_door_opens() -> None:
    sealed = HOME.sealed(sample())
    assert opened(sealed) == sample()
    assert "Zoë".encode() not in sealed
    vectors = opened(sealed).people[0].vectors()
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], unit(1))


def test_only_a_higher_generation_passes() -> None:
    sealed = HOME.sealed(sample())
    assert opened(sealed, 2).generation == 3
    for taken in (3, 4):
        with pytest.raises(RosterRefused) as caught:
            opened(sealed, taken)
        assert caught.value.reason == "older_generation"


def test_the_wrong_keys_or_door_are_refused() -> None:
    with pytest.raises(SealRefused):
        opened(seal_roster(sample(), HOME.site_key, SecretKey.generate()))
    with pytest.raises(SignatureRefused):
        opened(seal_roster(sample(), SigningKey.generate(), HOME.door_key))
    with pytest.raises(SealRefused):
        open_roster(HOME.sealed(sample()), Topics("office", "back"), HOME.site_key.public, HOME.door_key)


@given(st.binary(max_size=200))
def test_signed_noise_is_refused_as_a_message(noise: bytes) -> None:
    signature = HOME.site_key.sign(ROSTER_CONTEXT + noise)
    with pytest.raises(MessageRefused):
        opened(HOME.door_key.seal(HOME.topics["roster"], signature + noise))


@given(st.binary(max_size=200))
def test_sealed_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(SignatureRefused):
        opened(HOME.door_key.seal(HOME.topics["roster"], noise))


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["", "policy", "people"]), st.data())
def test_odd_values_are_read_or_refused(where: str, data: st.DataObject) -> None:
    document = json.loads(encode(sample()))
    part = document if not where else document["people"][0] if where == "people" else document[where]
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(odd)
    try:
        roster = decode(Roster, json.dumps(document).encode(), "roster")
    except BadInput:
        return
    # Whatever is read keeps the promises that the door builds on.
    policy = roster.policy
    assert 0.05 <= policy.tau_strict <= policy.tau <= 2
    assert 1 <= policy.votes_needed <= policy.votes_window
    for listed in roster.people:
        assert np.linalg.norm(listed.vectors(), axis=1) == pytest.approx(1, abs=1e-3)


@given(st.binary(min_size=512, max_size=512))
def test_a_template_is_a_unit_vector_or_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="a template has length"):
        Person(id="1", name="Ada", templates=[raw])


@pytest.mark.parametrize("raw", [b"", b"\0" * 511, b"\0" * 512, template_bytes(unit(1) * np.float32(1.01))])
def test_what_is_no_template_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="a template has"):
        Person(id="1", name="Ada", templates=[raw])


def test_nobody_stands_in_it_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        HOME.roster(1, [person("Ada", 1), person("Ada", 2)])


def test_a_date_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        person("Ada", 1, valid_from=datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    zoned = person("Ada", 1, valid_until=datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert decode(Person, encode(zoned), "person") == zoned


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"tau": 0.9, "tau_strict": 1.0}, "tau_strict must not be above tau"),
        ({"tau": 0.9, "tau_strict": 0.7, "votes_needed": 6}, "votes_needed must not be above votes_window"),
        ({"tau": float("nan"), "tau_strict": 0.7}, "tau"),
        ({"tau": 2.1, "tau_strict": 0.7}, "tau"),
        ({"tau": 0.9, "tau_strict": 0.0}, "tau_strict"),
        ({"tau": 0.9, "tau_strict": 0.7, "hold_ms": 0}, "hold_ms"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Policy.model_validate(policy)
