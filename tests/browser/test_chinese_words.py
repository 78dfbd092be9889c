"""Every text of the page has Chinese words: the page's own script is asked, in a real browser."""

# ruff: noqa: RUF001 - Chinese punctuation is meant

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Route

from admin_ui.page import markup, markup_accounts, markup_events
from admin_ui.roles import ROLE_SENTENCES
from admin_ui.sentences import AT_THE_DOOR
from tests.page_texts import PACKAGE, page_texts

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SITE: Final = "http://page.test"
CHINESE: Final = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
SPANS: Final = (", last 30 days", ", recently", ", since then")
"""Of plot.threshold_plot."""
LEFT: Final = re.compile(r"[A-Za-z]{3,} [a-z]{2,}")
"""Two English words in a row: names of products and units stand alone."""
COMPOSED: Final = {
    "The broker's folder {} is changed. {}": [
        "The broker's folder /etc/b is changed. Have Mosquitto read it: `systemctl reload mosquitto`."
    ],
    "The audit of {}: {}": ["The audit of front: last seen at record 12, and none of 9 events contradicts it."],
    "The threshold of {} is {}. {}": [
        "The threshold of front is 0.950. It follows the number of people at this door until somebody sets it."
    ],
    "{}: {} Run `latchkey-device audit verify --head {}:{}` there.": [
        (
            "front: its audit ends at record 3, but record 9 was seen: its end was cut off. Run `latchkey-device audit "
            "verify --head 9:abc` there."
        )
    ],
    "{} Renew it: `latchkey-admin {}`.": [
        "The certificate of lock front ends on 2026-12-01. Renew it: `latchkey-admin door renew front`.",
        "The certificate of the broker ended on 2026-12-01. Renew it: `latchkey-admin broker write`.",
    ],
    "{} Renew it: `latchkey-admin web-certificate`, then restart the page.": [
        (
            "The page's certificate for browsers ends on 2026-12-01. Renew it: `latchkey-admin web-certificate`, then "
            "restart the page."
        )
    ],
    "{} Renew it: put the new one into {}, then restart the page.": [
        (
            "The page's certificate for browsers ended on 2026-12-01. Renew it: put the new one into /etc/p.pem, then "
            "restart the page."
        )
    ],
    "{} By {}.": ["Unlocked from the page. By olga."],
    "{} Reload the page to see it in the form.": [
        (
            "Version 2 of the text is in force; who agreed to an older one keeps that. Reload the page to see it in "
            "the form."
        )
    ],
    "{}, {} refused.": ["3 good, 1 refused.", "3 enrolled, 1 refused."],
    "The dashed line is what runs now.{} The bars are this door's visits of the last {} days.": [
        (
            "The dashed line is what runs now. It follows the number of people at this door until somebody sets it. "
            "The bars are this door's visits of the last 30 days."
        )
    ],
    "It is at distance {} from what was there, {}: on a day that looks like it, the door knows them now where it would "
    "have hesitated or refused.": [
        (
            "Ana has 2 photos now. It is at distance 0.80 from what was there, near the threshold: on a day that looks "
            "like it, the door knows them now where it would have hesitated or refused."
        )
    ],
    "{} Take another photo.": ["The door is locked down, so nobody is let in. Take another photo."],
}
"""What the code puts together from what is told elsewhere -> how it comes out."""


def serve(route: Route) -> None:
    """A file of the page."""
    route.fulfill(path=PACKAGE / "page" / route.request.url.rpartition("/")[2])


@pytest.fixture(scope="module")
def chinese(chromium: Browser) -> Iterator[Callable[[list[str]], list[str]]]:
    """Texts -> what words.js makes of them."""
    page = chromium.new_page(locale="zh-CN")
    page.route(f"{SITE}/**", serve)
    page.goto(f"{SITE}/login.html")
    page.wait_for_function("window.lkTranslated('Log in') !== 'Log in'")
    yield lambda texts: page.evaluate("texts => texts.map(window.lkTranslated)", texts)
    page.close()


def test_what_was_asked_for_before_the_words_came_is_chinese_afterwards(chromium: Browser) -> None:
    waiting: list[Route] = []

    def hold_up(route: Route) -> None:
        waiting.append(route)

    page = chromium.new_page(locale="zh-CN")
    page.route(f"{SITE}/**", serve)
    page.route(f"{SITE}/zh-CN.json", hold_up)
    with page.expect_request(f"{SITE}/zh-CN.json"):
        page.goto(f"{SITE}/login.html")
    assert page.evaluate("window.lkTranslated('Log in')") == "Log in"
    serve(waiting[0])
    page.wait_for_function("window.lkTranslated('Log in') !== 'Log in'")
    assert CHINESE.search(page.evaluate("window.lkTranslated('Log in')"))
    page.close()


def english_left(text: str) -> bool:
    return not CHINESE.search(text) or bool(LEFT.search(re.sub(r"`[^`]*`|--head \S+", "", text)))


def test_no_sentence_of_the_page_is_left_in_english(chinese: Callable[[list[str]], list[str]]) -> None:
    texts = [text for text in page_texts() if text.text not in COMPOSED]
    assert len(texts) > 400
    filled = []
    for text in texts:
        numbers = iter(range(7, 99))
        filled.append(re.sub(r"\{\}", lambda _, numbers=numbers: f"q{next(numbers)}", text.text))  # type: ignore[misc]
    told = chinese(filled)
    missing = [
        f"{text.place}: {text.text} -> {one}" for text, one in zip(texts, told, strict=True) if english_left(one)
    ]
    assert missing == [], "put them into admin_ui/page/zh-CN.json"


def test_what_is_put_together_is_chinese_too(chinese: Callable[[list[str]], list[str]]) -> None:
    known = {text.text for text in page_texts()}
    assert set(COMPOSED) <= known, "it was changed in the code and not here"
    samples = [sample for several in COMPOSED.values() for sample in several]
    assert [one for one in chinese(samples) if english_left(one)] == []


def test_every_short_word_of_a_list_is_chinese(chinese: Callable[[list[str]], list[str]]) -> None:
    words = [str(code).replace("_", " ") for code in AT_THE_DOOR]
    words += [*markup_accounts.ACT_WORDS.values(), *markup_events.MEASURE_WORDS.values(), *ROLE_SENTENCES.values()]
    words += [*markup.LOCK_WORDS.values(), *markup.CAMERA_WORDS.values(), *markup.STAGE_WORDS.values()]
    words += [name for name in markup.STAGES if name not in markup.STAGE_WORDS]
    # What the legend of a picture says, of whatever time.
    words += [f"{deed} here{span}" for deed in ("let in", "refused") for span in SPANS]
    told = chinese(words)
    assert [word for word, one in zip(words, told, strict=True) if not CHINESE.search(one)] == []


@pytest.mark.parametrize(
    ("english", "words"),
    [
        ("front knows J. Almeida now (list 3).", "front 已认识 J. Almeida（名单 3）。"),
        ("李雷 is changed.", "李雷已修改。"),
        ("front knows 李 雷 now (list 3).", "front 已认识李 雷（名单 3）。"),
        (("The distance to the nearest person who is enrolled at this door was 1.115 (0 is the same picture, 2 is the "
          "opposite)."), "与此门登记的最接近者的距离为 1.115（0 表示同一张图像，2 表示完全相反）。"),
        ("strict 0.860: 1 in 100,000 at best, nothing stricter was measured",
         "严格 0.860：最好 100,000 次中 1 次，没有测量过更严格的值"),
        (("J. Almeida is removed. Receipt 9: 1 photo(s), 1 template(s) and the name in 0 event(s) erased; doors to "
         "forget: front."),
         "J. Almeida 已删除。回执 9：已删除 1 张照片、1 个模板以及 0 条事件中的姓名；需忘记此人的门：front。"),
        # A person may be called as a button is, or as a gap of the table.
        ("Lock came in", "Lock 进入"),
        ("{name} is changed.", "{name} 已修改。"),
        ("$& is enrolled.", "$& 已登记。"),
        ("This needs the role operator; vera is viewer. Nothing was changed; ask an administrator.",
         "这需要角色“操作员”；vera 是“查看者”。未做任何更改；请联系管理员。"),
        ("Unlocked from the page. By olga: Lock", "从页面开锁。操作者 olga：Lock"),
        ("too dark · distance 0.55 · scene 43", "太暗 · 距离 0.55 · 场景 43"),
        ("That is within the threshold of now, 0.950, by 0.100.", "这未超出当前阈值 0.950，相差 0.100。"),
        ("Act 7 of the record is missing, or one was put in.", "记录中的第 7 条操作缺失，或被插入了一条。"),
        ("The certificate of lock front ends on 2026-12-01.", "锁 front 的证书将于 2026-12-01 到期。"),
        ("At 0.950 one picture of a stranger is taken for one given person about once in 10,000.",
         "阈值为 0.950 时，一张陌生人画面被当作某个特定的人的机会：约 10,000 次中 1 次。"),
    ],
)  # fmt: skip
def test_values_come_through_as_they_are(chinese: Callable[[list[str]], list[str]], english: str, words: str) -> None:
    assert chinese([english]) == [words]
