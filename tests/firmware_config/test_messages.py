"""Topics and payloads: what is encoded is decoded, everything else is refused and nothing else happens."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_config import events, messages
from firmware_config.errors import BadInput
from firmware_config.events import Event, EventAck, EventDetail, open_event, seal_event
from firmware_config.keys import SealRefused, SecretKey
from firmware_config.messages import (
    Answer,
    Applied,
    Ask,
    Challenge,
    Health,
    LockCommand,
    LockResult,
    Message,
    MessageRefused,
    Topics,
    decode,
    encode,
    seal,
    unseal,
)

KINDS: list[type[Message]] = [
    Answer, Applied, Ask, Challenge, Event, EventAck, EventDetail, Health, LockCommand, LockResult,
]  # fmt: skip
KEY = SecretKey(bytes(32))

EXAMPLES: list[Message] = [
    Challenge(challenge="0" * 32),
    LockCommand(door="office/front", action="unlock", challenge="a" * 32, hold_ms=3000, mac="b" * 64),
    LockResult(challenge="a" * 32, accepted=False, reason="bad_mac"),
    Health(software="0.1.0", stage_ms={"detect": 2.5}, temperature_c=41.5),
    Applied(generation=3, encoder_id="c" * 64, model_version="1.0.0"),
    Event(
        id="0" * 32,
        at=datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc),
        outcome="denied",
        reason="unknown_face",
        detail=bytes(range(256)),
    ),
    EventAck(ids=["0" * 32]),
    EventDetail(person="Zoë", distance=0.4),
    Ask(id="0" * 32, challenge="1" * 32, action="unlock", by="office"),
    Answer(id="0" * 32, ok=True),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    assert decode(type(message), encode(message), "topic") == message


def test_every_kind_has_an_example() -> None:
    made = {type(example) for example in EXAMPLES}
    known = {**vars(messages), **vars(events)}.values()
    declared = {kind for kind in known if isinstance(kind, type) and issubclass(kind, Message)}
    assert made == set(KINDS) == declared - {Message}


def test_a_newer_sender_may_add_fields() -> None:
    assert decode(Challenge, b'{"challenge":"' + b"0" * 32 + b'","more":1}', "topic") == EXAMPLES[0]


def test_a_refusal_names_topic_and_field() -> None:
    with pytest.raises(MessageRefused, match="latchkey/a/b/challenge is refused: challenge:") as caught:
        decode(Challenge, b'{"challenge":"no"}', "latchkey/a/b/challenge")
    assert caught.value.topic == "latchkey/a/b/challenge"


def test_what_is_too_long_is_not_even_parsed() -> None:
    with pytest.raises(MessageRefused, match="at most 16384"):
        decode(Challenge, b" " * 16385, "topic")
    with pytest.raises(MessageRefused, match="at most"):
        unseal(KEY, "topic", Challenge, bytes(20_000))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_noise_is_refused(kind: type[Message], payload: bytes) -> None:
    try:
        decode(kind, payload, "topic")
    except MessageRefused:
        return
    assert isinstance(json.loads(payload), dict)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_message_with_odd_values_is_read_or_refused(example: Message, data: st.DataObject) -> None:
    fields = json.loads(encode(example))
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(json_values)
    try:
        message = decode(type(example), json.dumps(fields).encode(), "topic")
    except MessageRefused as refused:
        assert name in refused.why  # noqa: PT017 - both ways out are right; this is what holds on this one
        return
    assert decode(type(example), encode(message), "topic").model_fields_set >= {name}


def test_very_deep_json_is_refused() -> None:
    with pytest.raises(MessageRefused):
        decode(Health, b'{"software":' + b"[" * 8000 + b"]" * 8000 + b"}", "topic")


def test_a_sealed_message_is_good_on_its_topic_only() -> None:
    topics = Topics("office", "front")
    detail = EventDetail(person="Ada", person_id="1")
    sealed = seal(KEY, topics["answer"], detail)
    assert b"Ada" not in sealed
    assert unseal(KEY, topics["answer"], EventDetail, sealed) == detail
    with pytest.raises(SealRefused):
        unseal(KEY, topics["ask"], EventDetail, sealed)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b" * 32},
        {"outcome": "granted"},
        {"reason": "granted"},
        {"at": datetime(2026, 11, 22, 9, 0, 1, tzinfo=timezone.utc)},
    ],
)
def test_who_stands_between_cannot_change_the_public_half_of_an_event(change: dict[str, object]) -> None:
    topics = Topics("office", "front")
    event = seal_event(
        KEY,
        topics,
        event_id="a" * 32,
        at=datetime(2026, 11, 22, 9, 0, tzinfo=timezone.utc),
        outcome="denied",
        reason="unknown_face",
        detail=EventDetail(person="Ada"),
    )
    delivered = decode(Event, encode(event), topics["event"])
    assert open_event(KEY, topics, delivered).person == "Ada"
    with pytest.raises(SealRefused):
        open_event(KEY, topics, delivered.model_copy(update=change))


def test_topics_read_back() -> None:
    topics = Topics("office", "front-2")
    assert topics["lock/challenge"] == "latchkey/office/front-2/lock/challenge"
    assert Topics.split(topics["lock/challenge"]) == (topics, "lock/challenge")
    assert topics.door_id == "office/front-2"


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a/b", "a+", "#", "a\n", "ä", "..", "a" * 64, "a|b", "$SYS"])
def test_names_that_would_be_topics_paths_or_texts_of_others_are_refused(name: str) -> None:
    for site, door in ((name, "front"), ("office", name)):
        with pytest.raises(BadInput):
            Topics(site, door)


@given(st.text(max_size=60))
def test_any_topic_is_split_or_refused(topic: str) -> None:
    try:
        topics, leaf = Topics.split(topic)
    except BadInput:
        return
    assert topics[leaf] == topic
