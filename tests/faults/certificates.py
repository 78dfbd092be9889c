"""The broker's certificates, good and expired, from an authority as the office has one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from admin_ui.authority import CA_CERTIFICATE, CERTIFICATE_LASTS, Authority, Role

ENDED: Final = timedelta(minutes=-1)


class BrokerCertificates:
    """`folder` gets ca.crt, and server.crt and server.key, which the broker reads at its next start."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        """addresses: IP addresses that the broker is reached at."""
        self._folder = folder
        self._addresses = addresses
        self._authority = Authority.make(folder, "faults")
        self.issue()

    @property
    def ca_file(self) -> Path:
        return self._folder / CA_CERTIFICATE

    def issue(self, *, expired: bool = False) -> None:
        """New ones."""
        lasts = ENDED if expired else CERTIFICATE_LASTS
        made = self._authority.issue(Role.BROKER, "broker", self._addresses, lasts)
        made.save(self._folder / "server.crt", self._folder / "server.key")
