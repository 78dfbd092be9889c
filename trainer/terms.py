"""Whose images and which teachers made a network, and what they may be used for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from firmware_config.errors import BadInput
from trainer.config import Config

CELEBA: Final = "CelebA (Liu et al. 2015), non-commercial research"
ATT: Final = "AT&T Database of Faces (AT&T Laboratories Cambridge), research"
FAIRFACE: Final = "FairFace (Karkkainen and Joo 2021), CC BY 4.0"


def terms(config: Config) -> str:
    """Whose the labelled images are, and what they may be used for. Raises BadInput where nobody knows."""
    known = {"att": ATT, "shards": CELEBA if config.data.named == "faces-celeba" and not config.data.urls else ""}
    said = config.data.terms or known.get(config.data.source, "")
    if not said:
        raise BadInput(
            "A bundle says whose images made it and what they may be used for. Write it under [data]: "
            'terms = "photos of our colleagues, who agreed, for this building only".'
        )
    return said


def sources(config: Config, inherited: Sequence[str] = ()) -> list[str]:
    """What a run was trained on, with terms, for manifest and model card. inherited: the same of the weights that it
    began with. Raises BadInput as `terms` does."""
    named = [terms(config), *inherited]
    if config.data.unnamed_images:
        named.append(FAIRFACE)
    named += [f"what the encoder {teacher.name} ({teacher.licence}) says of them" for teacher in config.teacher]
    if config.distill is not None and config.distill.old is not None:
        named.append(f"what our older encoder {config.distill.old.encoder_id[:12]} says of them")
    return list(dict.fromkeys(named))


def licence(config: Config, inherited: Sequence[str] = ()) -> str:
    """One sentence for the manifest; what else the weights at the beginning were trained on binds too."""
    own = sources(config)
    before = [each for each in inherited if each not in own]
    begun = f"; begun with weights trained on {'; on '.join(before)}" if before else ""
    return f"Trained on {terms(config)}{begun}"


def bequest(config: Config, inherited: Sequence[str] = ()) -> list[str]:
    """What a run that begins with this one's weights inherits: `sources`, also where nobody wrote the terms down."""
    try:
        return sources(config, inherited)
    except BadInput:
        return list(dict.fromkeys([f"images of the run {config.name}, whose terms nobody wrote down", *inherited]))
