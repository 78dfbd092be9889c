"""What Home Assistant is told about a door, held to Home Assistant's rules as they stand in its source.

Transcribed from homeassistant 2026.2.3 (PyPI): components/mqtt/{schemas,config,discovery,util}.py and lock.py,
event.py, binary_sensor.py, sensor.py beside them. Runs wherever the tests run; test_homeassistant_itself.py asks
Home Assistant itself.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from device.discovery import COMMAND_LEAF, COMMAND_TEMPLATE, EVENT_TYPES, discovery, discovery_topic
from firmware_config.events import Event
from firmware_config.messages import NAME_PATTERN, Health, LockState, Topics, encode

TOPICS = Topics("home", "front-door")
KEY_OF_DEVICE = {"identifiers", "connections", "manufacturer", "model", "model_id", "name", "hw_version"} | {
    "serial_number",
    "sw_version",
    "via_device",
    "suggested_area",
    "configuration_url",
}
COMMON = {"availability", "availability_mode", "entity_category", "unique_id", "name", "qos", "enabled_by_default"} | {
    "json_attributes_topic",
    "json_attributes_template",
    "state_topic",
    "value_template",
}
KEYS = {
    "lock": COMMON | {"command_topic", "command_template"},
    "event": COMMON | {"event_types", "device_class"},
    "binary_sensor": COMMON | {"device_class", "payload_on", "payload_off"},
    "sensor": COMMON | {"device_class", "unit_of_measurement", "state_class"},
}
REQUIRED = {
    "lock": {"command_topic"},
    "event": {"state_topic", "event_types"},
    "binary_sensor": {"state_topic"},
    "sensor": {"state_topic"},
}
DEVICE_CLASSES = {
    "binary_sensor": {"connectivity", "door", "problem", "safety", "tamper"},
    "sensor": {"temperature"},
}
"""Those of Home Assistant's that a door has use for (BinarySensorDeviceClass, SensorDeviceClass)."""


def payload(topics: Topics = TOPICS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(discovery(topics, "1.2.3"))
    return found


def render(template: str, message: bytes, **variables: Any) -> str:
    """As Home Assistant's engine renders a value template; the three functions stand for its own."""

    def as_timestamp(value: Any, default: float = 0.0) -> float:
        if isinstance(value, datetime):
            return value.timestamp()
        try:
            return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
        except ValueError:
            return default

    engine = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    engine.globals.update(as_timestamp=as_timestamp, now=lambda: datetime.now(timezone.utc))
    engine.filters["to_json"] = json.dumps
    return engine.from_string(template).render(value_json=json.loads(message), **variables)


def of_health(component: str, **health: Any) -> str:
    found = payload()["components"][component]
    return render(found["value_template"], encode(Health(software="1", **health)))


def test_the_device_has_what_the_schema_asks_for_and_nothing_else() -> None:
    described = payload()
    assert set(described) == {"device", "origin", "components"}
    assert set(described["device"]) <= KEY_OF_DEVICE
    assert described["device"]["identifiers"], "a device needs an identifier or a connection"
    assert set(described["origin"]) <= {"name", "sw_version", "support_url"}
    assert described["origin"]["name"]
    assert described["device"]["name"] == "Front door"


@pytest.mark.parametrize("key", payload()["components"])
def test_a_component_has_the_keys_of_its_platform(key: str) -> None:
    component = payload()["components"][key]
    platform = component.pop("platform")
    assert REQUIRED[platform] | {"unique_id"} <= set(component) <= KEYS[platform]
    assert component.get("device_class") in DEVICE_CLASSES.get(platform, set()) | {None}
    assert component.get("entity_category", "diagnostic") == "diagnostic", "config is for what can be set"
    for named in ("state_topic", "command_topic", "json_attributes_topic"):
        topic = component.get(named, TOPICS["health"])
        assert topic.startswith("latchkey/home/front-door/")
        assert not set(topic) & set("+#\0")
    for place in component.get("availability", []):
        assert {"topic"} <= set(place) <= {"topic", "value_template", "payload_available", "payload_not_available"}
    assert component.get("availability_mode", "latest") in {"all", "any", "latest"}


def test_unique_ids_are_unique_for_all_doors() -> None:
    doors = [Topics("a", "b_c"), Topics("a_b", "c"), Topics("a_", "b"), Topics("a", "b-c"), Topics("a-b", "c")]
    ids = [component["unique_id"] for door in doors for component in payload(door)["components"].values()]
    assert len(ids) == len(set(ids))


@given(st.from_regex(NAME_PATTERN, fullmatch=True), st.from_regex(NAME_PATTERN, fullmatch=True))
def test_any_door_has_a_topic_that_discovery_matches(site: str, door: str) -> None:
    topics = Topics(site, door)
    # TOPIC_MATCHER of components/mqtt/discovery.py
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", discovery_topic(topics))
    assert json.loads(discovery(topics, "1"))["device"]["name"]


NAMES = st.from_regex(r"[a-b][ab_-]{0,3}", fullmatch=True)


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_doors_have_one_id(site: str, door: str, other_site: str, other_door: str) -> None:
    same = Topics(site, door).device_id == Topics(other_site, other_door).device_id
    assert same == ((site, door) == (other_site, other_door))


@pytest.mark.parametrize(("contact", "state"), [("open", "ON"), ("closed", "OFF"), ("unknown", "None")])
def test_the_contact_says_unknown_where_there_is_none(contact: str, state: str) -> None:
    assert of_health("contact", contact=contact) == state  # "None" is Home Assistant's word for unknown


@pytest.mark.parametrize("component", ["forced", "held", "guard", "problem", "camera"])
def test_a_sensor_goes_on_with_what_it_is_about_and_with_nothing_else(component: str) -> None:
    about: dict[str, dict[str, Any]] = {
        "forced": {"forced_open": True},
        "held": {"held_open": True},
        "guard": {"guard": True},
        "problem": {"problems": ["The lock does not answer."]},
        "camera": {"camera": "ok"},
    }
    for each, health in about.items():
        assert of_health(component, **health) == ("ON" if each == component else "OFF")


def test_temperature_is_unknown_on_a_board_that_does_not_say() -> None:
    assert of_health("temperature", temperature_c=51.25) == "51.25"
    assert of_health("temperature") == "None"


@pytest.mark.parametrize("state", [*LockState, "offline", "unknown"])
def test_a_lock_that_is_silent_is_unavailable(state: str) -> None:
    lock = payload()["components"]["lock"]
    said = encode(Health(software="1", lock=state))
    door, silent = lock["availability"]
    assert door == {"topic": TOPICS["availability"]}
    expected = "online" if state in {"LOCKED", "UNLOCKED", "JAMMED"} else "offline"
    assert render(silent["value_template"], said) == expected
    assert lock["availability_mode"] == "all"
    assert render(lock["value_template"], said) == getattr(state, "value", state)
    assert lock["command_topic"] == TOPICS[COMMAND_LEAF]


def test_a_command_carries_the_time_of_asking() -> None:
    written = json.loads(render(COMMAND_TEMPLATE, b"{}", value="UNLOCK"))
    assert written["command"] == "UNLOCK"
    assert abs(written["at"] - datetime.now(timezone.utc).timestamp()) < 5


def event_of(outcome: str, reason: str, at: datetime) -> Event:
    return Event(id=str(uuid.uuid4()), at=at, outcome=outcome, reason=reason, detail=b"sealed")  # type: ignore[arg-type]


def heard(event: Event, before: dict[str, Any]) -> dict[str, Any] | None:
    """What Home Assistant makes of an event, when `before` is what it heard last."""
    template = payload()["components"]["event"]["value_template"]
    said = render(template, encode(event), this={"attributes": before})
    found: dict[str, Any] | None = json.loads(said) if said else None
    return found


NOW = datetime.now(timezone.utc).replace(microsecond=0)


@pytest.mark.parametrize(
    ("outcome", "reason", "kind"),
    [
        ("granted", "granted", "access_granted"),
        ("denied", "unknown_face", "access_denied"),
        ("denied", "not_allowed", "access_denied"),
        ("notice", "forced_open", "forced_open"),
        ("notice", "of_a_newer_door", "notice"),
    ],
)
def test_events_become_the_types_that_it_was_told_of(outcome: str, reason: str, kind: str) -> None:
    said = heard(event_of(outcome, reason, NOW), {})
    assert said is not None
    assert (said.pop("event_type"), said.pop("reason")) == (kind, reason)
    assert kind in EVENT_TYPES
    assert set(said) == {"at", "id"}, "nothing else of the event goes in, the sealed half least of all"


def test_repeated_events_are_heard_once_in_every_round() -> None:
    events = [event_of("notice", "forced_open", NOW + timedelta(milliseconds=250 * step)) for step in range(5)]
    before: dict[str, Any] = {}
    count = 0
    for event in [*events[:3], *events[:4], *events, *events]:
        said = heard(event, before)
        if said is not None:
            before, count = said, count + 1
    assert count == len(events)


def test_a_clock_that_was_ahead_and_is_set_right_hides_nothing() -> None:
    ahead = heard(event_of("notice", "camera_lost", NOW + timedelta(days=300)), {})
    assert ahead is not None
    assert heard(event_of("granted", "granted", NOW), ahead) is not None
