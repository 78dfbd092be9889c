"""The page's named endpoints, through a real server and the client that programs use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from admin_ui.keyring import Keyring
from admin_ui.service import Office
from tests.page_server import PageServer

Call = Callable[..., dict[str, Any]]

# The first test of the module waits for the page to start, on busy cores a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., bytes], photo: Callable[..., bytes]
) -> Iterator[PageServer]:
    """The page of a site with the door `front`; the broker is down. `photo` is asked for because it skips where
    faces and detector cannot be fetched."""
    folder = tmp_path_factory.mktemp("page")
    server = PageServer(folder, folder / "toy.latchkey")
    (folder / "toy.latchkey").write_bytes(make_bundle(Keyring(server.settings.state).site))
    office = Office(server.settings, default_bundle=server.bundle)
    office.add_door("front", "test")
    office.stop()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def call(page: PageServer, tmp_path: Path) -> Iterator[Call]:
    """call(endpoint, ...) by an account that has logged in; bytes are handed over as a photo."""
    with httpx.Client(base_url=page.url) as http:
        assert page.log_in(http).status_code == 303
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    client = Client(page.url, headers={"Cookie": cookie}, verbose=False, download_files=False)

    def handed(data: bytes) -> Any:
        path = tmp_path / "photo.png"
        path.write_bytes(data)
        return handle_file(path)

    def ask(endpoint: str, *values: Any) -> dict[str, Any]:
        given = [handed(value) if isinstance(value, bytes) else value for value in values]
        answer: dict[str, Any] = client.predict(*given, api_name=f"/{endpoint}")
        return answer

    yield ask
    for person in ask("people")["people"]:
        ask("remove", person["id"])
    client.close()


def names(call: Call) -> list[str]:
    return [person["name"] for person in call("people")["people"]]


def test_enrol_list_and_remove(call: Call, photo: Callable[..., bytes], page: PageServer) -> None:
    looked = call("examine", photo(31))
    assert (looked["ok"], looked["good"]) == (True, True), looked
    done = call("enrol", "Ana", photo(31), ["front"])
    assert done["ok"], done
    assert done["person"]["doors"] == ["front"]
    assert [(news["door"], news["sent"]) for news in done["news"]] == [("front", False)]  # the broker is down
    assert names(call) == ["Ana"]
    uploads = page.settings.state / "uploads"
    assert photo(31) not in [path.read_bytes() for path in uploads.rglob("*") if path.is_file()]
    assert call("remove", done["person"]["id"])["ok"]
    assert names(call) == []


def test_bad_photos_and_names_get_a_sentence_and_change_nothing(
    call: Call, photo: Callable[..., bytes], huge_png: Callable[[int, int], bytes]
) -> None:
    assert call("enrol", "Ana", photo(31), [])["ok"]
    for bad in (b"this is not a picture", huge_png(10_000, 6_000)):
        looked = call("examine", bad)
        assert (looked["ok"], looked["good"]) == (True, False)
        refused = call("enrol", "Bo", bad, [])
        assert (refused["ok"], refused["error"]) == (False, "BadInput")
        assert len(refused["sentence"]) > 20
    twice = call("enrol", "ana", photo(32), [])
    assert (twice["ok"], twice["error"]) == (False, "BadInput")
    alike = call("enrol", "Bea", photo(31), [])
    assert (alike["ok"], alike["error"], alike["looks_like"]) == (False, "LooksLike", "Ana")
    assert names(call) == ["Ana"]
    assert call("enrol", "Bea", photo(31), [], True)["ok"]
    assert names(call) == ["Ana", "Bea"]


def test_door_that_is_away_is_said_to_be(call: Call) -> None:
    state = call("door_state", "front")
    assert (state["ok"], state["door"]["online"]) == (True, False)
    assert [door["name"] for door in call("doors")["doors"]] == ["front"]
    before = state["door"]["tau"]
    for endpoint, value in (("set_tau", before + 0.01), ("unlock", "courier")):
        refused = call(endpoint, "front", value)
        assert (refused["ok"], refused["error"]) == (False, "DoorOffline"), endpoint
        assert len(refused["sentence"]) > 20
    assert call("door_state", "front")["door"]["tau"] == before
    assert call("events", "front", 5) == {"ok": True, "events": []}
    assert call("door_state", "cellar")["error"] == "BadInput"


def test_a_path_of_the_server_is_no_photo(call: Call, page: PageServer) -> None:
    key = next(page.settings.state.rglob("*.key"))
    refused = call("examine", {"path": str(key)})
    assert (refused["ok"], refused["error"]) == (False, "BadInput")


def test_buttons_of_the_page_are_not_endpoints(call: Call) -> None:
    with pytest.raises(ValueError, match="api_name"):
        call("look")
