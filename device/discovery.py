"""What Home Assistant reads about a door so that the door appears there by itself. Pure: topic and payload.

One message describes the whole device (`homeassistant/device/<object id>/config`, Home Assistant 2024.11 or
newer). Its keys are those of homeassistant/components/mqtt/schemas.py and of lock.py, event.py, binary_sensor.py
and sensor.py beside it, as of Home Assistant 2026.2.3. The templates read what the door says to anybody: its health
and the open half of its events. Neither holds a name, a distance or a picture.
"""

from __future__ import annotations

import json
from typing import Any, Final

from firmware_config.messages import OFFLINE, ONLINE, LockState, Topics

PREFIX: Final = "homeassistant"
"""Home Assistant's discovery prefix as it comes; its MQTT integration can be told another."""

STATUS_TOPIC: Final = f"{PREFIX}/status"
"""Home Assistant's birth (`online`) and last will (`offline`)."""

COMMAND_LEAF: Final = "ha/lock/set"
"""Where Home Assistant asks: `LOCK` or `UNLOCK` with the time of asking (COMMAND_TEMPLATE), or a plain `LOCK`."""

NOTICES: Final = (
    "forced_open",
    "held_open",
    "found_open",
    "door_closed",
    "exit_requested",
    "remote_unlock",
    "home_assistant_unlock",
    "home_assistant_lock",
    "guard_raised",
    "camera_lost",
    "camera_back",
    "lock_refused",
    "roster_refused",
    "model_refused",
)
"""Notices that are an event type of their own, so that an automation can begin with one."""

EVENT_TYPES: Final = ("access_granted", "access_denied", *NOTICES, "notice")
"""`notice`: one of a newer door, with its name in `reason`. Home Assistant drops what it was not told of."""

EVENT_TEMPLATE: Final = """
{%- set known = NOTICES -%}
{%- set kind = {'granted': 'access_granted', 'denied': 'access_denied'}.get(
      value_json.outcome, value_json.reason if value_json.reason in known else 'notice') -%}
{%- set at = as_timestamp(value_json.at, 0) -%}
{%- set heard = as_timestamp(this.attributes.get('at'), 0) -%}
{%- set again = at < heard <= as_timestamp(now()) + 60 or value_json.id == this.attributes.get('id') -%}
{%- if not again -%}
{{ {'event_type': kind, 'reason': value_json.reason, 'at': value_json.at, 'id': value_json.id} | to_json }}
{%- endif -%}
""".replace("NOTICES", repr(NOTICES)).strip()
"""The door repeats an event until the page has stored it; an automation must run once. Events come in order, so one
that is older than the last heard is a repetition, unless the last bore a time in the future: a clock set right."""

COMMAND_TEMPLATE: Final = "{{ {'command': value, 'at': now().timestamp()} | to_json }}"
"""With the time of asking, so that a command held up on the way does not open a door later."""

_LOCK_STATES: Final = tuple(state.value for state in LockState)


def discovery_topic(topics: Topics) -> str:
    """Where `discovery` is said, retained."""
    return f"{PREFIX}/device/{topics.device_id}/config"


def discovery(topics: Topics, software: str) -> bytes:
    """The door as one device with its entities, JSON. software: the door's version."""
    device_id = topics.device_id
    components = {
        "lock": _lock(topics),
        "event": _event(topics),
        "contact": _sensor(topics, "Contact", "{'open': 'ON', 'closed': 'OFF'}.get(value_json.contact)", "door"),
        "forced": _sensor(topics, "Forced open", _on_if("value_json.forced_open"), "tamper"),
        "held": _sensor(topics, "Held open", _on_if("value_json.held_open"), "problem"),
        "guard": _sensor(topics, "Guessing", _on_if("value_json.guard"), "safety"),
        "camera": _diagnostic(_sensor(topics, "Camera", _on_if("value_json.camera == 'ok'"), "connectivity")),
        "problem": _diagnostic(_problem(topics)),
        "online": _diagnostic(_online(topics)),
        "temperature": _diagnostic(
            _measure(topics, "Temperature", "value_json.temperature_c", "°C") | {"device_class": "temperature"}
        ),
        "frames": _diagnostic(
            _measure(topics, "Frame rate", "value_json.fps", "frames/s") | {"enabled_by_default": False}
        ),
    }
    described: dict[str, Any] = {
        "device": {
            "identifiers": [device_id],
            "name": topics.door.replace("-", " ").replace("_", " ").strip().capitalize(),
            "manufacturer": "Latchkey",
            "model": "Door",
            "sw_version": software,
        },
        "origin": {"name": "Latchkey", "sw_version": software},
        "components": {key: {"unique_id": f"{device_id}_{key}", **component} for key, component in components.items()},
    }
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


def _lock(topics: Topics) -> dict[str, Any]:
    """State from health, which is honest about a lock that has died and knows a relay on the door's own board too.

    Payloads and states are Home Assistant's own defaults.
    """
    silent = {
        "topic": topics["health"],
        "value_template": f"{{{{ 'online' if value_json.lock in {_LOCK_STATES!r} else 'offline' }}}}",
    }
    return {
        "platform": "lock",
        "name": None,  # the device's own name
        "state_topic": topics["health"],
        "value_template": "{{ value_json.lock }}",
        "command_topic": topics[COMMAND_LEAF],
        "command_template": COMMAND_TEMPLATE,
        "availability": [*_availability(topics), silent],
        "availability_mode": "all",
    }


def _event(topics: Topics) -> dict[str, Any]:
    """Without availability: what happened last stays readable while the door is off."""
    return {
        "platform": "event",
        "name": "Event",
        "state_topic": topics["event"],
        "qos": 1,
        "event_types": list(EVENT_TYPES),
        "value_template": EVENT_TEMPLATE,
    }


def _sensor(topics: Topics, name: str, expression: str, device_class: str) -> dict[str, Any]:
    """expression: of Jinja, to 'ON', 'OFF', or None for unknown."""
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": device_class,
        "state_topic": topics["health"],
        "value_template": f"{{{{ {expression} }}}}",
        "availability": _availability(topics),
    }


def _problem(topics: Topics) -> dict[str, Any]:
    return _sensor(topics, "Problem", _on_if("value_json.problems"), "problem") | {
        "json_attributes_topic": topics["health"],
        "json_attributes_template": "{{ {'problems': value_json.problems} | to_json }}",
    }


def _online(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": "Connection",
        "device_class": "connectivity",
        "state_topic": topics["availability"],
        "payload_on": ONLINE.decode(),
        "payload_off": OFFLINE.decode(),
    }


def _measure(topics: Topics, name: str, expression: str, unit: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topics["health"],
        "value_template": f"{{{{ {expression} }}}}",
        "unit_of_measurement": unit,
        "state_class": "measurement",
        "availability": _availability(topics),
    }


def _diagnostic(component: dict[str, Any]) -> dict[str, Any]:
    return component | {"entity_category": "diagnostic"}


def _availability(topics: Topics) -> list[dict[str, str]]:
    return [{"topic": topics["availability"]}]


def _on_if(condition: str) -> str:
    return f"'ON' if {condition} else 'OFF'"
