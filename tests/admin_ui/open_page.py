"""The page as one browser has it open: what its fields hold goes through Gradio to our code, and the answers come back.

A browser's part alone is left out. So every endpoint that the page has can be asked, and none has to be named."""

from __future__ import annotations

import asyncio
import contextlib
import html
import inspect
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from fastapi import FastAPI
from gradio.blocks import BlockFunction
from gradio.components.api_component import Api
from gradio.exceptions import Error
from gradio.state_holder import SessionState
from starlette.routing import Mount

NOTE: Final = re.compile(
    r'class="lk-note lk-(\w+)"[^>]*>(?:<span class="lk-busy"[^>]*></span>)?<span>(.*?)</span>', re.S
)
BUTTONS: Final = frozenset({"click", "submit"})
"""What somebody does on purpose, and waits for an answer to."""


@dataclass(frozen=True)
class Answer:
    """What comes back, one after the other. toast: what Gradio lays over the page; "" for nothing. cause: of it."""

    values: tuple[Any, ...]
    toast: str = ""
    cause: BaseException | None = None

    @property
    def texts(self) -> list[str]:
        return [self.toast, *_texts(self.values)]

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Kind and sentence of each coloured strip."""
        return [(kind, html.unescape(words)) for text in self.texts for kind, words in NOTE.findall(text)]

    @property
    def refusals(self) -> list[str]:
        told = [words for kind, words in self.notes if kind in ("bad", "warn")]
        said = [value["sentence"] for value in self.values if isinstance(value, dict) and value.get("ok") is False]
        return [*([self.toast] if self.toast else []), *told, *said]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)


class _Left(Exception):
    pass


def _leave() -> None:
    raise _Left


@dataclass(frozen=True)
class Deed:
    """One endpoint. fields: what the browser sends to it, by elem_id or label. event: Gradio hands over what was
    clicked in a list."""

    number: int
    name: str
    function: BlockFunction
    fields: tuple[str, ...]
    event: bool
    button: bool


class OpenPage:
    """One browser's session of one account."""

    def __init__(self, app: FastAPI, account: str = "admin") -> None:
        mounts = [route.app for route in app.routes if isinstance(route, Mount)]
        self._blocks: gr.Blocks = next(app.get_blocks() for app in mounts if hasattr(app, "get_blocks"))
        self._account = account
        self._state = SessionState(self._blocks)

    def deeds(self) -> list[Deed]:
        """All endpoints that the page has, in its order."""
        functions = self._blocks.fns.items()
        return [self._deed(number, function) for number, function in functions if function.fn is not None]

    def deed(self, name: str) -> Deed:
        """By its class and method, "PeopleWork.open"."""
        return next(deed for deed in self.deeds() if deed.name == name)

    def loaded(self) -> list[str]:
        """What a browser shows when it opens the page."""
        loads = [deed for deed in self.deeds() if any(event == "load" for _, event in deed.function.targets)]
        return [text for deed in loads for text in self.ask(deed, {}).texts]

    def ask(
        self,
        deed: Deed,
        values: Mapping[str, Any],
        event: object = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Answer:
        """values: of deed.fields. event: of a click in a list. meanwhile: happens when the first word has come back."""
        return asyncio.run(self._ask(deed, values, event, meanwhile))

    def leave(self, name: str, **values: Any) -> None:
        """Press, and be gone when the first word comes back: nobody asks for more."""
        with contextlib.suppress(_Left):
            self.press(name, meanwhile=_leave, **values)

    def press(self, name: str, meanwhile: Callable[[], None] = lambda: None, **values: Any) -> Answer:
        """values: of the deed's fields, `_` for `-`; what is not given is empty."""
        deed = self.deed(name)
        given = {field: values.pop(field.replace("-", "_"), "") for field in deed.fields}
        assert not values, (values, deed.fields)
        return self.ask(deed, given, meanwhile=meanwhile)

    async def _ask(self, deed: Deed, values: Mapping[str, Any], event: object, meanwhile: Callable[[], None]) -> Answer:
        inputs = zip(_fields(deed.function), deed.function.inputs, strict=True)
        given = [None if block.stateful else values[field] for field, block in inputs]
        told: list[Any] = []
        iterator = None
        try:
            while True:
                output = await self._blocks.process_api(
                    deed.function,
                    given if iterator is None else [],
                    state=self._state,
                    iterator=iterator,
                    request=gr.Request(username=self._account, headers={}, cookies={}, query_params={}),
                    event_data=gr.EventData(None, event) if deed.event else None,
                )
                told += output["data"]
                if iterator is None:
                    await asyncio.to_thread(meanwhile)
                iterator = output["iterator"]
                if not output["is_generating"]:
                    return Answer(tuple(told))
        except Error as error:
            return Answer(tuple(told), error.message, error.__cause__)

    def _deed(self, number: int, function: BlockFunction) -> Deed:
        inputs = zip(_fields(function), function.inputs, strict=True)
        fields = tuple(field for field, block in inputs if not block.stateful)
        hands_over = any("EventData" in str(kind) for kind in _annotations(function.fn))
        button = any(event in BUTTONS for _, event in function.targets)
        return Deed(number, function.fn.__qualname__, function, fields, hands_over, button)


def _annotations(function: Any) -> list[Any]:
    return list(getattr(function, "__annotations__", {}).values())


def _fields(function: BlockFunction) -> list[str]:
    """A name for each input: its elem_id or label, or the parameter's where a program hands it over."""
    parameters = list(inspect.signature(function.fn).parameters)
    return [
        parameters[at] if isinstance(block, Api) else str(getattr(block, "elem_id", None) or block.label)
        for at, block in enumerate(function.inputs)
    ]


def upload(name: str, data: bytes) -> dict[str, Any]:
    """A file as a browser has sent it -> what it hands over when a button is pressed."""
    path = Path(os.environ["GRADIO_TEMP_DIR"]) / name
    path.write_bytes(data)
    return {"path": str(path), "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def archive(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return stream.getvalue()
