"""Whatever the language, the colours, the width and the hand: what the page looks like, in a real Chromium."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Building, OpenPage
from tests.browser.hands import MARKS, TABS, WHY, choose, log_in, show_tab

pytestmark = MARKS

TEXTS: Final = """() => {
  const seen = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const place = node.parentElement;
    if (place.closest('[translate="no"], script, style, time, code, pre, textarea')) continue;
    if (place.checkVisibility({ visibilityProperty: true, opacityProperty: true })) seen.push(node.textContent.trim());
  }
  return seen.filter((text) => text);
}"""
"""All that is to be read on the page and is in a language."""
FAINT: Final = """() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (place) => {
    for (let e = place; e; e = e.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(e).backgroundColor);
      if (alpha > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const place = node.parentElement;
    if (!node.textContent.trim() || place.closest('script, style, svg, [disabled]')) continue;
    if (!place.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const [above, below] = [light(numbers(getComputedStyle(place).color).slice(0, 3)), light(behind(place))];
    const contrast = (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
    if (contrast < 4.5) faint.push(`${node.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""
"""Texts below the contrast that WCAG 2.2 asks for (1.4.3, AA: 4.5)."""
HANDLES: Final = """() => {
  const usable = 'button, input:not([type=file], [type=hidden]), textarea, select, a[href], summary, [tabindex="0"]';
  const seen = [...document.querySelectorAll(usable)].filter((e) => !e.disabled && e.tabIndex >= 0
    && e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getBoundingClientRect().width > 1
    && e.getBoundingClientRect().height > 1);
  // Of radio buttons of one name the arrows go from one to the next.
  const one = seen.filter((e) => e.type !== 'radio' || e.checked), times = {};
  // By what they are, not by where: a live list is rewritten while somebody goes through it, and its counts rise.
  return one.map((e) => {
    const words = `${e.tagName} ${e.id || e.ariaLabel || e.innerText || e.className}`.slice(0, 80);
    const name = `${words.replace(/[0-9]+/g, '0')} ${e.dataset.event ?? e.dataset.person ?? ''}`;
    times[name] = (times[name] ?? 0) + 1;
    return { name: `${name} ${times[name]}`, held: e === document.activeElement };
  });
}"""
"""All that the keyboard has to reach, and whether it is there."""
FRAMED: Final = """() => {
  const e = document.activeElement;
  const told = (s) => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none';
  // A field may be framed by what is around it.
  let around = e, framed = false;
  for (let up = 0; up < 3 && around; up += 1, around = around.parentElement) framed ||= told(getComputedStyle(around));
  return framed;
}"""


@pytest.fixture
def look(open_page: OpenPage, building: Building, request: pytest.FixtureRequest) -> Page:
    """A logged-in page, made by the parameters of browser.new_context."""
    settings: dict[str, Any] = getattr(request, "param", {})
    page = open_page(**settings)
    log_in(page, building)
    return page


def settle(page: Page, tab: str) -> None:
    """Until a tab says what it says."""
    show_tab(page, tab)
    place = {"People": "#lk-people", "Enrol": "#lk-consent-text", "Doors": "#lk-door-state", "Events": "#lk-all-events",
             "Threshold": "#lk-meaning", "Models": "#lk-model", "Accounts": "#lk-accounts"}[tab]  # fmt: skip
    expect(page.locator(f"{place} :visible").first).to_be_visible()


def test_the_page_is_chinese_at_a_click_and_english_again_at_another(desk: Page) -> None:
    desk.get_by_role("button", name="中文").click()
    expect(desk.get_by_role("tab", name="人员")).to_be_visible()
    assert desk.evaluate("document.documentElement.lang") == "zh-CN"
    left = {}
    for tab in TABS:
        settle(desk, tab)
        for summary in desk.locator("#lk-tabs .label-wrap:visible").all():
            summary.click()
        words = [text for text in desk.evaluate(TEXTS) if re.search(r"[A-Za-z]{3,} [a-z]{2,}", text)]
        left[tab] = [text for text in words if WHY not in text and not re.search(r"[\u4e00-\u9fff]", text)]
    # Where the bundle's figures come from is told by whoever made it.
    assert {tab: texts for tab, texts in left.items() if texts and tab not in ("Threshold", "Models")} == {}
    show_tab(desk, "Events")
    assert desk.locator("#lk-outcome input").input_value() == "全部"
    choose(desk, "lk-outcome", "拒绝")
    expect(desk.locator("#lk-outcome input")).to_have_value("拒绝")
    expect(desk.locator("#lk-all-events li.lk-good")).to_have_count(0)
    desk.get_by_role("button", name="English").click()
    expect(desk.get_by_role("tab", name="People")).to_be_visible()
    assert desk.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_every_text_stands_out_from_what_is_behind_it(look: Page, request: pytest.FixtureRequest) -> None:
    dark = "dark" in request.node.name
    ground = look.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)")
    assert (sum(ground) < 150) is dark
    faint = {}
    for tab in TABS:
        settle(look, tab)
        faint[tab] = look.evaluate(FAINT)
    assert {tab: texts for tab, texts in faint.items() if texts} == {}


@pytest.mark.parametrize("look", [{"viewport": {"width": 360, "height": 800}}], indirect=True, ids=["360"])
def test_a_telephone_never_scrolls_sideways(look: Page) -> None:
    wide = {}
    for tab in TABS:
        settle(look, tab)
        wide[tab] = look.evaluate("document.documentElement.scrollWidth")
    assert {tab: width for tab, width in wide.items() if width > 360} == {}


def names_of(page: Page) -> set[str]:
    """Of all that the keyboard has to reach now."""
    return {handle["name"] for handle in page.evaluate(HANDLES)}


def test_the_keyboard_alone_reaches_and_uses_everything(desk: Page) -> None:
    missed: dict[str, list[str]] = {}
    for tab in TABS:
        desk.get_by_role("tab", name=tab, exact=True).focus()
        desk.keyboard.press("Enter")
        expect(desk.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        settle(desk, tab)
        handles = names_of(desk)
        desk.evaluate("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
        reached, unframed = set(), set()
        for _ in range(2 * len(handles) + 10):
            desk.keyboard.press("Tab")
            held = {handle["name"] for handle in desk.evaluate(HANDLES) if handle["held"]}
            reached |= held
            if held and not desk.evaluate(FRAMED):
                unframed |= held
            if reached >= handles:
                break
        # The oldest of a live list may have left it meanwhile.
        missed[tab] = [f"not reached: {name}" for name in (handles & names_of(desk)) - reached]
        missed[tab] += [f"no visible focus: {name}" for name in unframed]
    assert {tab: what for tab, what in missed.items() if what} == {}

    show_tab(desk, "Enrol")
    agreed = desk.get_by_label("They have read this text")
    agreed.focus()
    desk.keyboard.press("Space")
    expect(agreed).to_be_checked()
    text = desk.locator("#lk-consent-text summary")
    text.focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#lk-consent-text details")).to_have_attribute("open", "")
    show_tab(desk, "Doors")
    desk.get_by_role("button", name="Revoke a door").focus()
    desk.keyboard.press("Space")
    expect(desk.locator("#lk-revoke-typed")).to_be_visible()
