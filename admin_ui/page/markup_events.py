"""Why an event came out as it did, and whether the records are whole -> the page's HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from PIL import Image

from admin_ui.chronicle import Measure, Whole, Why
from admin_ui.page.markup import STAGE_WORDS, esc, event_title, note, when
from firmware_config.face import FloatArray, ImageArray

MEASURE_WORDS: Final = {
    "elongation": "eyes to mouth, in eye distances",
    "eye_distance_px": "eyes apart, pixels",
    "inside": "share of the face in the picture",
    "luma": "brightness, 0 to 255",
    "pitch": "nose between eyes and mouth",
    "score": "quality score",
    "sharpness": "sharpness",
    "yaw": "turned to a side",
}
MAP_PX: Final = 168


def why(found: Why) -> str:
    """Distances, quality, and what the encoder looks at in the kept enrolment photo."""
    event = found.event
    told = [event.sentence, *found.sentences] if event.sentence else list(found.sentences)
    lines = "".join(f"<li>{esc(line)}</li>" for line in told)
    measures = "".join(_measure(one) for one in found.measures)
    table = (
        f'<h3 class="lk-small-title">The picture</h3><div class="lk-scroll"><table class="lk-table"><tbody>{measures}'
        "</tbody></table></div>"
        if measures
        else ""
    )
    times = " · ".join(
        f"{esc(STAGE_WORDS.get(name, name.replace('_', ' ')))} {value:.1f} ms" for name, value in event.stage_ms.items()
    )
    return (
        f'<div class="lk-why"><h3>{esc(event_title(event))} · {esc(event.door)} · {when(event.at)}</h3>'
        f"<ul>{lines}</ul>{table}{_looked_at(found.looked, found.where)}"
        f'<p class="lk-quiet">{times}</p></div>'
    )


def _measure(one: Measure) -> str:
    kind = "good" if one.kept else "bad"
    name = MEASURE_WORDS.get(one.name, one.name.replace("_", " "))
    return (
        f'<tr class="lk-{kind}"><th scope="row">{esc(name)}</th><td>{one.value:.3g}</td><td>{esc(one.limit)}</td></tr>'
    )


def _looked_at(looked: ImageArray | None, where: FloatArray | None) -> str:
    if looked is None or where is None:
        return ""
    heat = np.clip(where / max(float(where.max()), 1e-6), 0.0, 1.0)
    colours = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    mixed = (0.55 * looked + 0.45 * colours).astype(np.uint8)
    pictures = "".join(
        f'<img alt="{esc(words)}" width="{MAP_PX}" height="{MAP_PX}" src="data:image/png;base64,{_png(image)}">'
        for image, words in (
            (looked, "The kept enrolment photo"),
            (mixed, "What of it the encoder looks at, in colour"),
        )
    )
    return (
        f'<h3 class="lk-small-title">What the encoder looks at in the enrolment photo</h3><div class="lk-maps">'
        f"{pictures}</div>"
    )


def _png(image: ImageArray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def whole(found: Sequence[Whole]) -> str:
    """One strip for each record."""
    return "".join(note(one.sentence, "good" if one.ok else "bad") for one in found)
