"""Who gets past the login, and what every answer of the page carries."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from admin_ui import totp
from admin_ui.keyring import Keyring
from admin_ui.page.guard import OPEN_PATHS
from admin_ui.page.login import COOKIE, SESSION_S
from admin_ui.service import Office
from admin_ui.tries import FREE_TRIES
from tests.page_server import ACCOUNT, PASSWORD, PageServer

# The first test of the module waits for the page to start, on busy cores a minute.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., bytes]) -> Iterator[PageServer]:
    """The page, without a broker."""
    folder = tmp_path_factory.mktemp("page")
    server = PageServer(folder, folder / "toy.latchkey")
    (folder / "toy.latchkey").write_bytes(make_bundle(Keyring(server.settings.state).site))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def browser(page: PageServer) -> Iterator[httpx.Client]:
    """A client that behaves like a browser without a session."""
    with httpx.Client(base_url=page.url, headers={"Accept": "text/html"}) as client:
        yield client


def test_stranger_is_sent_to_the_login_and_a_program_is_told_so(browser: httpx.Client) -> None:
    sent = browser.get("/")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    for path in ("/config", "/gradio_api/info", "/portrait/x.png", "/gradio_api/file=/etc/passwd", "/theme.css"):
        assert browser.get(path, headers={"Accept": "application/json"}).status_code == 401, path


def test_upload_without_session_is_refused(browser: httpx.Client) -> None:
    answer = browser.post("/gradio_api/upload", files={"files": ("a.png", b"x")})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_what_the_login_needs_is_open(browser: httpx.Client, path: str) -> None:
    # A code's page that is reloaded begins anew; Prometheus is asked for its own token.
    assert browser.get(path).status_code == {"/login/code": 303, "/metrics": 401}.get(path, 200)


def test_prometheus_reads_with_its_token_and_learns_no_names(browser: httpx.Client, page: PageServer) -> None:
    assert "metrics-token" in browser.get("/metrics").text
    token = hashlib.sha256(b"latchkey-metrics-1" + Keyring(page.settings.state).session_bytes).hexdigest()[:48]
    answer = browser.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert "latchkey_people 0\n" in answer.text
    assert "latchkey_broker_connected 0\n" in answer.text
    assert browser.get("/healthz").json() == {"ok": True, "broker": False}


def test_an_account_with_codes_needs_one_after_the_password(browser: httpx.Client, page: PageServer) -> None:
    office = Office(page.settings, default_bundle=page.bundle)
    try:
        password = office.add_account("olga", "viewer", "test")
        secret = totp.untyped(office.begin_totp("olga").typed)
        make = TOTP(secret, 6, SHA1(), 30, enforce_key_length=False)
        now = int(time.time())
        office.confirm_totp(make.generate(now - 30).decode(), "olga")
        asked = browser.post("/login", data={"account": "olga", "password": password})
        assert (asked.status_code, "set-cookie" in asked.headers) == (200, False)
        ticket = re.search(r'name="ticket" value="([^"]+)"', asked.text)
        assert ticket is not None
        assert browser.get("/").status_code == 303, "a password alone is no session"
        wrong = browser.post("/login/code", data={"ticket": ticket[1], "code": "000000"})
        assert (wrong.status_code, "not the code of now" in wrong.text) == (401, True)
        assert browser.post("/login/code", data={"ticket": "forged", "code": "000000"}).status_code == 401
        right = browser.post("/login/code", data={"ticket": ticket[1], "code": make.generate(now).decode()})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert browser.get("/").status_code == 200
        twice = browser.post("/login/code", data={"ticket": ticket[1], "code": make.generate(now).decode()})
        assert twice.status_code == 401
    finally:
        office.stop()


def test_right_password_opens_the_page(browser: httpx.Client, page: PageServer) -> None:
    answer = page.log_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert f"Max-Age={SESSION_S}" in cookie
    assert browser.get("/").status_code == 200


def test_wrong_password_says_what_to_do_and_opens_nothing(browser: httpx.Client, page: PageServer) -> None:
    answer = page.log_in(browser, "wrong")
    assert answer.status_code == 401
    assert "do not go together" in answer.text
    assert "latchkey-admin password" in answer.text
    assert "set-cookie" not in answer.headers
    assert browser.get("/").status_code == 303


def test_account_is_escaped_in_the_form(browser: httpx.Client, page: PageServer) -> None:
    assert page.log_in(browser).status_code == 303  # no guesses are counted against us now
    answer = browser.post("/login", data={"account": '"><script>alert(1)</script>', "password": "x"})
    assert "&lt;script&gt;" in answer.text
    assert "<script>alert" not in answer.text


def test_guessing_is_slowed_down_and_says_for_how_long(browser: httpx.Client, page: PageServer) -> None:
    assert page.log_in(browser).status_code == 303
    guess = {"account": ACCOUNT, "password": "wrong"}
    answers = [browser.post("/login", data=guess) for _ in range(FREE_TRIES + 1)]
    assert [answer.status_code for answer in answers] == [401] * FREE_TRIES + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "Wait" in answers[-1].text
    # Even the right password waits, and is good again after it.
    assert browser.post("/login", data={"account": ACCOUNT, "password": PASSWORD}).status_code == 429
    assert page.log_in(browser).status_code == 303


def test_a_restart_forgets_no_guess(browser: httpx.Client, page: PageServer) -> None:
    assert page.log_in(browser).status_code == 303
    guess = {"account": ACCOUNT, "password": "wrong"}
    assert [browser.post("/login", data=guess).status_code for _ in range(FREE_TRIES)] == [401] * FREE_TRIES
    page.stop()
    page.start()  # takes longer than the wait so far
    assert page.log_in(browser, "wrong").status_code == 401
    assert browser.post("/login", data=guess).status_code == 429, "the sixth, and not the first"
    assert page.log_in(browser).status_code == 303


def test_log_out_ends_the_session_even_for_who_kept_the_cookie(browser: httpx.Client, page: PageServer) -> None:
    page.log_in(browser)
    kept = browser.cookies[COOKIE]
    assert browser.get("/").status_code == 200
    assert browser.post("/logout").status_code == 303
    browser.cookies.clear()
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={kept}"}).status_code == 303


def test_request_from_another_site_is_refused_with_a_good_cookie(browser: httpx.Client, page: PageServer) -> None:
    page.log_in(browser)
    for foreign in ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = browser.post("/gradio_api/queue/join", json={}, headers=foreign)
        assert answer.status_code == 403, foreign
        assert "another site" in answer.text
    assert page.log_in(browser, headers={"Origin": "https://evil.test"}).status_code == 403
    assert page.log_in(browser, headers={"Origin": page.url}).status_code == 303


@pytest.mark.parametrize("path", ["/", "/login", "/healthz", "/config", "/no-such-page"])
def test_every_answer_forbids_frames_and_foreign_content(browser: httpx.Client, path: str) -> None:
    headers = browser.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


def test_keys_are_not_served_to_who_is_logged_in(browser: httpx.Client, page: PageServer) -> None:
    page.log_in(browser)
    keys = sorted(page.settings.state.rglob("*.key"))
    assert keys
    for path in keys:
        assert browser.get(f"/gradio_api/file={path}").status_code in (403, 404), path
