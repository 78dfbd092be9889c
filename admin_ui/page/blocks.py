"""Gradio's blocks with sentences of ours: Gradio's own answers name its classes, and pydantic's theirs."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from firmware_config.errors import LatchkeyError

UNREAD: Final = "This request does not read as one of the page's. Nothing was changed."
FAILED: Final = "The page failed on this; its log says how. Reload the page, look at what is there, and try again."

QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden", "preprocess": False}
"""How the page listens to its own fields. Values come as the browser sends them and are judged by given.py and the
office: Gradio judges a list's choice by what it has sent to that browser, and has forgotten that once the page was
restarted, while the browser still shows it."""


class Blocks(gr.Blocks):  # type: ignore[misc] # Gradio ships no types
    """Whatever goes wrong around a handler is told as a sentence too. Raises gr.Error, which the browser shows."""

    async def preprocess_data(self, *values: Any, **named: Any) -> Any:
        """No handler asks for Gradio's own reading (QUIET), so what fails here is no request of the page."""
        try:
            return await super().preprocess_data(*values, **named)
        except Exception as error:
            raise gr.Error(UNREAD, print_exception=False) from error

    async def call_function(self, *values: Any, **named: Any) -> Any:
        """A refusal is said as it is; of a defect the log has everything and the browser one sentence."""
        try:
            return await super().call_function(*values, **named)
        except LatchkeyError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except gr.Error as error:
            # None of our handlers raises it: Gradio refuses what came with a click.
            raise gr.Error(UNREAD, print_exception=False) from error
        except Exception as error:
            raise gr.Error(FAILED) from error
