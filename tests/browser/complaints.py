"""What a browser complains of: nothing may be, but for what a test brings about on purpose and says so."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

LEFT = "net::ERR_ABORTED"
"""A request that the browser itself gave up: its page was left, or it became a download."""
LEAVING = ("AbortError: ", "Unexpected error Connection errored out.")
"""What Gradio and scripts say of such a request; what fails for another reason is heard as a request that failed."""


class Complaints:
    """Of every context that is watched: errors of the console and of scripts, requests that fail or are refused, and
    requests to anybody but the page."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.asked = 0
        self._expected: list[str] = []

    def watch(self, context: BrowserContext, home: str) -> None:
        """home: the page's own address."""

        def on_request(request: Request) -> None:
            self.asked += 1
            if not request.url.startswith((home, "data:", "blob:")):
                self._hear("asked somebody outside", request.url)

        def on_response(response: Response) -> None:
            if response.status >= 400:
                self._hear(f"status of {response.status}", response.url)

        def on_failed(request: Request) -> None:
            if request.failure != LEFT:
                self._hear(f"failed: {request.failure}", request.url)

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self._hear(message.text, message.location["url"])

        def on_script(error: WebError) -> None:
            self._hear(str(error.error), error.page.url if error.page else "")

        context.on("request", on_request)
        context.on("response", on_response)
        context.on("requestfailed", on_failed)
        context.on("console", on_console)
        context.on("weberror", on_script)

    def expect(self, pattern: str) -> None:
        """This test brings about what reads so: `status of 401 at /login`."""
        self._expected.append(pattern)

    def check(self) -> None:
        """Nothing else was heard, and all of that was."""
        unexpected = [one for one in self.heard if not any(re.search(pattern, one) for pattern in self._expected)]
        assert unexpected == [], unexpected
        missing = [pattern for pattern in self._expected if not any(re.search(pattern, one) for one in self.heard)]
        assert missing == [], missing

    def _hear(self, what: str, url: str) -> None:
        if any(words in what for words in LEAVING):
            return
        self.heard.append(f"{what} at {urlsplit(url).path}")
