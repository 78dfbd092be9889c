"""The page as a program uses it: the login form, then Gradio's named endpoints with the session's cookie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
from gradio_client import Client, handle_file

from firmware_config.errors import BadState, LostLink

ANSWER_S: Final = 30.0


class PageClient:
    """One session. All methods raise BadState with the page's own sentence when it says no."""

    def __init__(self, address: str, account: str, password: str) -> None:
        """address: http://HOST:PORT. Raises LostLink when nobody answers there, BadState for a wrong password."""
        try:
            answer = httpx.post(f"{address}/login", data={"account": account, "password": password}, timeout=ANSWER_S)
        except httpx.HTTPError as error:
            raise LostLink(f"The page at {address} does not answer: {error}.") from error
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise BadState(f"The page does not let {account} in (HTTP status {answer.status_code}).")
        cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        self._client = Client(address, headers={"Cookie": cookie}, verbose=False, analytics_enabled=False)

    def enrol(self, name: str, photo: Path, say: Callable[[str], None]) -> dict[str, int]:
        """One person on every door -> the generation that each door was sent, by door.

        Whoever looks like somebody enrolled is confirmed as another person, as the office manager would; `say` tells.
        """
        image = handle_file(str(photo))
        answer = self._client.predict(name, image, [], api_name="/enrol")
        if answer.get("error") == "LooksLike":
            say(f"  {answer['sentence']} {name} is confirmed.")
            answer = self._client.predict(name, image, [], True, api_name="/enrol")
        return {news["door"]: int(news["generation"]) for news in _good(answer, "/enrol")["news"]}

    def wait_applied(self, door: str, generation: int, timeout_s: float) -> dict[str, Any]:
        """The door as the page sees it, as soon as it runs `generation`. Raises BadState when it does not."""
        view: dict[str, Any] = self._ask("/wait_applied", door, generation, timeout_s)["door"]
        if int(view["applied_generation"]) < generation:
            why = view["refused"] or " ".join(view["problems"])
            raise BadState(f"The door {door} did not take list {generation} within {timeout_s:.0f} s. {why}")
        return view

    def events(self, door: str, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest first, as the page's own list has them."""
        found: list[dict[str, Any]] = self._ask("/events", door, limit)["events"]
        return found

    def _ask(self, endpoint: str, *arguments: object) -> dict[str, Any]:
        return _good(self._client.predict(*arguments, api_name=endpoint), endpoint)


def _good(answer: dict[str, Any], endpoint: str) -> dict[str, Any]:
    if not answer.get("ok"):
        raise BadState(f"The page says to {endpoint}: {answer.get('sentence', answer)}")
    return answer
