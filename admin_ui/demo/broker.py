"""A broker for the demo: Mosquitto where it is installed, otherwise amqtt, which is pure Python.

Run as a program, this file is the amqtt broker: python -m admin_ui.demo.broker PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Final

from admin_ui.demo.processes import LOOPBACK, Processes, free_port, listens
from firmware_config.errors import BadState

START_S: Final = 15.0
"""amqtt takes two seconds to import on a busy board."""

SBIN: Final = "/usr/sbin:/usr/local/sbin"
"""Where Debian puts Mosquitto, which is not on everybody's PATH."""


def start_broker(processes: Processes, folder: Path, *, embedded: bool = False) -> tuple[int, str]:
    """Start one that only this machine reaches -> its port, and name with version.

    folder: where the configuration goes. embedded: amqtt even where Mosquitto is installed. Raises BadState.
    """
    port = free_port()
    mosquitto = None if embedded else shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
    if mosquitto is not None:
        name = _mosquitto_version(mosquitto)
        config = folder / "mosquitto.conf"
        config.write_text(_mosquitto_config(port), encoding="utf-8")
        processes.start("broker", [mosquitto, "-c", str(config)])
    elif util.find_spec("amqtt") is not None:
        name = f"amqtt {metadata.version('amqtt')}"
        processes.start("broker", [sys.executable, "-m", "admin_ui.demo.broker", str(port)])
    else:
        raise BadState("There is no MQTT broker: install Mosquitto (apt-get install mosquitto), or pip install amqtt.")
    processes.wait_for("The broker", lambda: listens(port), START_S)
    return port, name


def _mosquitto_version(program: str) -> str:
    # -h exits with 3 by design (mosquitto(8)); only its first line matters.
    said = subprocess.run([program, "-h"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
    found = re.search(r"version (\S+)", said)
    return f"mosquitto {found.group(1)}" if found else "mosquitto"


def _mosquitto_config(port: int) -> str:
    lines = [f"listener {port} {LOOPBACK}", "allow_anonymous true", "persistence false", "set_tcp_nodelay true"]
    if os.geteuid() == 0:
        # As root it would become the user mosquitto, who cannot read the demo's private folder.
        lines.append("user root")
    return "\n".join(lines) + "\n"


async def _serve(port: int) -> None:
    from amqtt.broker import Broker  # noqa: PLC0415 - two seconds that Mosquitto's users need not wait

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    await ended.wait()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(broker.shutdown(), 3.0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(_serve(int(sys.argv[1])))
