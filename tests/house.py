"""A real Home Assistant with nothing but its MQTT integration, as a program. Run by a Python that has it installed.

`python house.py FOLDER BROKER`; BROKER as its own dialogue keeps it, in JSON. Then a JSON array a line: ["states"],
["heard"], ["check", payload], ["call", service, entity], ["stop"]; each is answered by a JSON line. Of Home
Assistant's own start only what serves a person with a browser is left out: no http and no frontend.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import voluptuous as vol
from homeassistant import config_entries, loader
from homeassistant.components.mqtt import binary_sensor, event, lock, schemas, sensor
from homeassistant.components.mqtt.discovery import MQTTDiscoveryPayload, _replace_all_abbreviations
from homeassistant.const import EVENT_STATE_CHANGED, __version__
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry,
    category_registry,
    device_registry,
    entity,
    entity_registry,
    floor_registry,
    frame,
    issue_registry,
    label_registry,
    restore_state,
    template,
    translation,
)
from homeassistant.helpers.storage import get_internal_store_manager
from homeassistant.setup import async_setup_component

REGISTRIES = (
    area_registry,
    category_registry,
    device_registry,
    entity_registry,
    floor_registry,
    issue_registry,
    label_registry,
    restore_state,
)

HEARD: list[list[str]] = []
TIMES: set[tuple[str, str]] = set()

PLATFORMS = {
    "lock": lock.PLATFORM_SCHEMA_MODERN,
    "event": event.PLATFORM_SCHEMA_MODERN,
    "binary_sensor": binary_sensor.PLATFORM_SCHEMA_MODERN,
    "sensor": sensor.PLATFORM_SCHEMA_MODERN,
}
"""Stricter than what discovery uses: discovery drops a key that it does not know, these refuse it."""


async def start(folder: str, broker: dict[str, Any]) -> HomeAssistant:
    """Home Assistant, started, with one broker."""
    (Path(folder) / "configuration.yaml").touch()
    house = HomeAssistant(folder)
    loader.async_setup(house)
    house.config.skip_pip = True
    house.config.components |= {"http", "file_upload"}  # mqtt names them for its dialogues in the browser
    house.config_entries = config_entries.ConfigEntries(house, {})
    # As bootstrap.async_load_base_functionality does, which itself imports all that a browser needs.
    for part in (entity, frame, template, translation):
        part.async_setup(house)
    await get_internal_store_manager(house).async_initialize()
    for registry in REGISTRIES:
        await registry.async_load(house)
    await house.config_entries.async_initialize()
    assert await async_setup_component(house, "mqtt", {})
    if not house.config_entries.async_entries("mqtt"):
        entry = config_entries.ConfigEntry(
            data=broker,
            discovery_keys=MappingProxyType({}),
            domain="mqtt",
            minor_version=2,
            options={},
            source="user",
            subentries_data=None,
            title="broker",
            unique_id=None,
            version=1,
        )
        await house.config_entries.async_add(entry)
    listen(house)
    await house.async_start()
    return house


def states(house: HomeAssistant) -> dict[str, Any]:
    """entity id -> state, attributes, and where the registries have it."""
    entities, devices = entity_registry.async_get(house), device_registry.async_get(house)
    found = {}
    for entry in entities.entities.values():
        state = house.states.get(entry.entity_id)
        device = devices.async_get(entry.device_id) if entry.device_id else None
        found[entry.entity_id] = {
            "state": state.state if state else None,
            "attributes": dict(state.attributes) if state else {},
            "unique_id": entry.unique_id,
            "device": device.name if device else None,
            "category": entry.entity_category,
            "disabled": entry.disabled,
        }
    return found


def check(text: str) -> list[str]:
    """What Home Assistant's own schemas refuse about a discovery payload."""
    payload = MQTTDiscoveryPayload(json.loads(text))
    _replace_all_abbreviations(payload)
    problems = []
    try:
        schemas.DEVICE_DISCOVERY_SCHEMA(payload)
    except vol.Invalid as refused:
        problems.append(str(refused))
    for key, component in payload["components"].items():
        settings = dict(component)
        try:
            PLATFORMS[settings.pop("platform")](settings)
        except vol.Invalid as refused:
            problems.append(f"{key}: {refused}")
    return problems


def listen(house: HomeAssistant) -> None:
    """Keep what an automation on an event entity would run on: [event_type, reason] in order."""

    def changed(change: Event[EventStateChangedData]) -> None:
        new = change.data["new_state"]
        if new is None or not new.entity_id.startswith("event.") or "id" not in new.attributes:
            return
        # The state is the time of hearing; an entity that was unavailable comes back with the old one.
        if (now := (new.state, new.attributes["id"])) not in TIMES:
            TIMES.add(now)
            HEARD.append([new.attributes["event_type"], new.attributes["reason"]])

    house.bus.async_listen(EVENT_STATE_CHANGED, callback(changed))


async def answer(house: HomeAssistant, asked: list[Any]) -> Any:
    """One request -> its answer."""
    if asked[0] == "states":
        return states(house)
    if asked[0] == "heard":
        return HEARD
    if asked[0] == "check":
        return check(asked[1])
    await house.services.async_call("lock", asked[1], {"entity_id": asked[2]}, blocking=True)
    return "called"


async def main(folder: str, broker: dict[str, Any]) -> None:
    """Until ["stop"] or the end of stdin."""
    house = await start(folder, broker)
    print(json.dumps(["started", __version__]), flush=True)
    while True:
        line = await house.async_add_executor_job(sys.stdin.readline)
        asked = json.loads(line) if line else ["stop"]
        if asked[0] == "stop":
            break
        try:
            said = await answer(house, asked)
        except Exception as error:  # noqa: BLE001 - the test reads it
            said = {"error": repr(error)}
        print(json.dumps(said, default=str), flush=True)
    await house.async_stop(force=True)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
