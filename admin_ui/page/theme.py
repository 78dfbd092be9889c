"""Gradio dressed in the page's own colours: every theme value points at a variable of page.css."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

SYSTEM_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
"""What the machine has: a page about who may enter a building asks nobody outside for a font."""
MONO_FONTS: Final = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

# Times are written in UTC by the server; the browser knows better where its person is.
HEAD: Final = """
<link rel="stylesheet" href="page.css">
<link rel="icon" type="image/svg+xml" href="key.svg">
<meta name="color-scheme" content="light dark">
<script src="words.js"></script>
<script src="live.js"></script>
<script src="away.js"></script>
<script>
(() => {
  // Gradio changes texts in place, so what is not yet local is known by its zone, not by being new.
  // Made once: a list of a hundred times would make two hundred of them at each step of a slider.
  // As words.js chooses it, which may come later.
  const kept = localStorage.getItem('lk-language') || (navigator.language.startsWith('zh') ? 'zh-CN' : 'en');
  const language = kept === 'zh-CN' ? 'zh-CN' : [];
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const day = { year: 'numeric', month: 'numeric', day: 'numeric' };
  const [whole, date, today, before] = [
    { ...day, ...clock, second: '2-digit' },
    { ...day, month: 'short' },
    { ...clock, second: '2-digit' },
    { day: 'numeric', month: 'short', ...clock },
  ].map((style) => new Intl.DateTimeFormat(language, style));
  const local = (node) => {
    if (!node.textContent.endsWith('UTC')) return;
    const moment = new Date(node.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    node.title = whole.format(moment);
    const recent = moment.toDateString() === new Date().toDateString() ? today : before;
    node.textContent = (node.classList.contains('lk-day') ? date : recent).format(moment);
  };
  new MutationObserver(() => document.querySelectorAll('time[datetime]').forEach(local))
    .observe(document.documentElement, { childList: true, characterData: true, subtree: true });
})();
</script>
"""

_COLOURS: Final = {
    "body_background_fill": "var(--lk-ground)",
    "body_text_color": "var(--lk-ink)",
    "body_text_color_subdued": "var(--lk-quiet)",
    "background_fill_primary": "var(--lk-card)",
    "background_fill_secondary": "var(--lk-ground)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--lk-line)",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--lk-ink)",
    "block_title_text_color": "var(--lk-ink)",
    "block_info_text_color": "var(--lk-quiet)",
    "border_color_primary": "var(--lk-line)",
    "border_color_accent": "var(--lk-accent)",
    "color_accent": "var(--lk-accent)",
    "color_accent_soft": "var(--lk-accent-soft)",
    "input_background_fill": "var(--lk-field)",
    "input_border_color": "var(--lk-line)",
    "input_border_color_focus": "var(--lk-accent)",
    "input_placeholder_color": "var(--lk-quiet)",
    "button_primary_background_fill": "var(--lk-accent)",
    "button_primary_background_fill_hover": "var(--lk-accent-strong)",
    "button_primary_text_color": "var(--lk-on-accent)",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "var(--lk-card)",
    "button_secondary_background_fill_hover": "var(--lk-accent-soft)",
    "button_secondary_text_color": "var(--lk-ink)",
    "button_secondary_border_color": "var(--lk-line)",
    "button_cancel_background_fill": "var(--lk-bad)",
    "button_cancel_text_color": "var(--lk-on-accent)",
    "slider_color": "var(--lk-accent)",
    "checkbox_background_color": "var(--lk-field)",
    "checkbox_background_color_selected": "var(--lk-accent)",
    "checkbox_border_color": "var(--lk-line)",
    "checkbox_border_color_selected": "var(--lk-accent)",
    "checkbox_label_background_fill": "var(--lk-card)",
    "checkbox_label_background_fill_selected": "var(--lk-accent-soft)",
    "checkbox_label_text_color": "var(--lk-ink)",
    "checkbox_label_text_color_selected": "var(--lk-ink)",
    "checkbox_label_border_color": "var(--lk-line)",
    "panel_background_fill": "var(--lk-card)",
    "panel_border_color": "var(--lk-line)",
    "stat_background_fill": "var(--lk-accent)",
    "link_text_color": "var(--lk-accent)",
    "loader_color": "var(--lk-accent)",
}


def _dressed() -> gr.themes.Base:
    theme = gr.themes.Base(font=list(SYSTEM_FONTS), font_mono=list(MONO_FONTS))
    known = set(vars(theme))
    values = {name: value for key, value in _COLOURS.items() for name in (key, f"{key}_dark") if name in known}
    return theme.set(
        **values,
        block_shadow="none",
        input_border_width="1px",
        button_border_width="1px",
        block_border_width="0px",
        block_padding="0px",
        button_large_radius="8px",
    )


THEME: Final = _dressed()


def photo_box(elem_id: str, height: int) -> gr.Image:
    """Webcam or file, handed on as it is: examine() judges bytes, not what Gradio makes of them.

    Whatever answers into it needs `show_progress_on` another component: Gradio takes a box that waits for an answer for
    one that uploads, hides its photo, and asks after an upload that there is none of."""
    return gr.Image(
        label="Photo",
        show_label=False,
        sources=["webcam", "upload"],
        type="filepath",
        image_mode=None,
        height=height,
        buttons=[],
        # The photo is kept as the camera sees it; only the live view is mirrored, by the style sheet.
        webcam_options=gr.WebcamOptions(mirror=False),
        placeholder="Drop a photo here, or click to choose one",
        elem_id=elem_id,
        elem_classes="lk-photo",
    )


def html(value: str = "", **settings: Any) -> gr.HTML:
    """An HTML component without Gradio's own prose styles: page.css dresses it."""
    return gr.HTML(value, apply_default_css=False, **settings)
