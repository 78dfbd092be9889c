"""Photographs of people, a folder each -> the crops that training wants, found by the door's own detector."""

from __future__ import annotations

import io
import os
import re
import signal
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from device.align import align
from device.detect import Detector
from device.detector_file import detector_model
from firmware_config.errors import BadInput, DiskFault
from firmware_config.face import ImageArray
from firmware_config.files import write_atomic
from trainer.data import BORDER
from trainer.images.files import people_in, pictures_below
from trainer.images.shots import MARGIN_SHARE, read_photo
from trainer.progress import counting

NO_FACE: Final = "no-face.txt"
UNREADABLE: Final = "unreadable.txt"
LOOKS_PX: Final = (320, 960)
"""Long sides that a photo is looked at: as at the door, and, when that finds nobody, as in a group photo."""
CROPS_EACH_SHARD: Final = 10_000
SHARD: Final = re.compile(r"faces-\d{2,}\.tar")
"""The names that `write_shards` gives."""
PUBLIC: Final = 0o644

Outcome = Literal["crop", "crop of several", "no face", "unreadable"]


@dataclass
class Aligned:
    """What came of the photographs. People with fewer than two crops cannot be told from others in training."""

    found: Counter[Outcome] = field(default_factory=Counter)
    already: int = 0
    no_face: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """For a person."""
        several = self.found["crop of several"]
        return (
            f"{self.found['crop'] + several} crops written ({several} of the largest of several faces), {self.already} "
            f"were there; {len(self.no_face)} photos without a face ({NO_FACE}), {len(self.unreadable)} that cannot be "
            f"read ({UNREADABLE})."
        )


def align_folder(source: Path, target: Path, workers: int, cache_dir: Path | None = None) -> Aligned:
    """Crops of 128x128 in `target`, a folder for each person, from photographs in `source`, a folder for each.

    What is there already, and what the two lists name, is not looked at again, so a stopped run goes on. Raises
    BadInput without photographs, LostLink without the detector's file, DiskFault when crops cannot be written.
    """
    jobs = list(photographs(source))
    if not jobs:
        raise BadInput(f"There are no photographs in {source}. It should hold a folder of pictures for each person.")
    result = Aligned(no_face=_listed(target / NO_FACE), unreadable=_listed(target / UNREADABLE))
    known = {*result.no_face, *result.unreadable}
    waiting = []
    for photo, crop in jobs:
        name = str(photo.relative_to(source))
        if (target / crop).exists():
            result.already += 1
        elif name not in known:
            waiting.append((photo, target / crop, name))
    model = detector_model(cache_dir)  # fetched once, before anybody needs it
    # Spawned, not forked: a copy of a process with onnxruntime's threads in it may wait for ever.
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), _open, (model,)) as pool,
        counting("photos", len(waiting)) as count,
    ):
        running = {pool.submit(_crop, photo, crop): name for photo, crop, name in waiting}
        try:
            for each in as_completed(running):
                outcome = each.result()
                result.found[outcome] += 1
                if outcome == "no face":
                    result.no_face.append(running[each])
                elif outcome == "unreadable":
                    result.unreadable.append(running[each])
                count()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            _keep_lists(target, result)
    return result


def photographs(source: Path) -> Iterator[tuple[Path, Path]]:
    """Each photograph below source/PERSON, and where its crop goes: PERSON/NAME.webp. By name."""
    for person in people_in(source) if source.is_dir() else []:
        taken: set[str] = set()
        for photo in pictures_below(person):
            # Shards cut a name at its first dot.
            name = re.sub(r"[^\w-]+", "_", str(photo.relative_to(person).with_suffix("")))
            unlike, number = name, 1
            while unlike in taken:
                number += 1
                unlike = f"{name}_{number}"
            taken.add(unlike)
            yield photo, Path(person.name) / f"{unlike}.webp"


def crop_of(image: ImageArray, detector: Detector) -> tuple[ImageArray, int] | None:
    """The largest face, uint8[128, 128, 3] RGB, and how many there were; None without any.

    image: uint8[H, W, 3] BGR. Photos that were cut close around the face are looked at with a border too.
    """
    border = round(max(image.shape[:2]) * MARGIN_SHARE)
    framed = np.asarray(cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE), dtype=np.uint8)
    for picture in (image, framed):
        for long_side in LOOKS_PX:
            faces = detector.detect(picture, long_side)
            if faces:
                return align(picture, faces[0].landmarks, BORDER), len(faces)
    return None


def write_shards(crops: Path, target: Path, seed: int = 0) -> list[Path]:
    """The crops below `crops`, a folder for each person, as WebDataset shards faces-00.tar and on, shuffled.

    Keys are PERSON-NUMBER with numbers for both; people.txt says who is who. Shards of an earlier time go first: there
    the same number may be somebody else. Raises BadInput without crops.
    """
    people = [person for person in people_in(crops) if any(person.glob("*.webp"))]
    named = [
        (f"p{who:05d}-{number:06d}", file)
        for who, person in enumerate(people)
        for number, file in enumerate(sorted(person.glob("*.webp")))
    ]
    if not named:
        raise BadInput(f"There are no crops in {crops} to make shards of.")
    order = np.random.default_rng(seed).permutation(len(named))
    for old in target.glob("faces-*.tar"):
        if SHARD.fullmatch(old.name):
            old.unlink()
    written = []
    for shard, start in enumerate(range(0, len(order), CROPS_EACH_SHARD)):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for row in order[start : start + CROPS_EACH_SHARD]:
                key, file = named[row]
                data = file.read_bytes()
                entry = tarfile.TarInfo(f"{key}.webp")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        path = target / f"faces-{shard:02d}.tar"
        write_atomic(path, stream.getvalue(), PUBLIC)
        written.append(path)
    lines = "".join(f"p{who:05d} {person.name}\n" for who, person in enumerate(people))
    write_atomic(target / "people.txt", os.fsencode(lines), PUBLIC)
    return written


_detector: Detector | None = None
"""One for each worker: it takes longer to load than a face to find."""


def _open(model: Path) -> None:
    global _detector  # noqa: PLW0603  # a worker has nowhere else to keep it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everybody; the first process ends the others
    cv2.setNumThreads(1)
    _detector = Detector(model)


def _crop(photo: Path, crop: Path) -> Outcome:
    assert _detector is not None, "a worker begins with _open"
    try:
        found = crop_of(read_photo(photo), _detector)
    except BadInput:
        return "unreadable"
    if found is None:
        return "no face"
    image, faces = found
    _, data = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, 95])
    try:
        write_atomic(crop, data.tobytes(), PUBLIC)
    except OSError as error:
        raise DiskFault(
            f"{crop} cannot be written ({error.strerror}). Make room, and the same command goes on."
        ) from error
    return "crop" if faces == 1 else "crop of several"


def _listed(path: Path) -> list[str]:
    return os.fsdecode(path.read_bytes()).splitlines() if path.exists() else []


def _keep_lists(target: Path, result: Aligned) -> None:
    for name, lines in ((NO_FACE, result.no_face), (UNREADABLE, result.unreadable)):
        # Names stand there as they do on the disk, also those that are not UTF-8.
        write_atomic(target / name, os.fsencode("".join(f"{line}\n" for line in sorted(lines))), PUBLIC)
