"""Is the page's port free? Asked before anything is loaded: Gradio alone takes seconds."""

from __future__ import annotations

import errno
import socket

from firmware_config.errors import BadState
from firmware_config.settings import PageSettings


def check_port(page: PageSettings) -> None:
    """Raises BadState where another process listens there. What else may be wrong with host and port uvicorn says."""
    try:
        places = socket.getaddrinfo(page.host, page.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return
    for family, kind, protocol, _, address in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As the server will: a connection that has just ended keeps nobody out.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise BadState(
                    f"Port {page.port} is taken: end what has it, or set `port` under [page] in admin.toml."
                ) from error
