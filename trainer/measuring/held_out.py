"""A run judged on the people of its own data that it never learned, whatever network and pictures it has."""

from __future__ import annotations

import json
from pathlib import Path

from firmware_config.errors import BadInput
from trainer.images.sources import load_strangers
from trainer.loop.checkpoint import LOG
from trainer.loop.trained import load_trained
from trainer.measuring.trial import Embed, Trial, embed_all
from trainer.measuring.validation import embed


def run_embed(run: Path) -> Embed:
    """The run's network as a function of pictures as its data has them. Raises BadInput, BadState."""
    trained = load_trained(run)
    return lambda pictures: embed(trained.config, trained.network, pictures)


def held_out_trial(run: Path, folder: Path, cache_dir: Path | None = None) -> Trial:
    """All pairs of the validation people of a run's own split.

    Raises BadInput when there is no checkpoint or no data, BadState when the data is not the run's, LostLink when it
    cannot be fetched.
    """
    trained = load_trained(run)
    faces, split = load_strangers(trained.config, trained.images, folder, cache_dir)
    strangers = faces.take(split.validation)
    if not len(strangers):
        raise BadInput(f"The run {run} keeps nobody to test on: its validation_people is 0.")
    pictures = strangers.centre() if trained.config.network.for_door else strangers.pixels
    return Trial(
        "held-out",
        f"{trained.config.network.kind} {trained.config.name}, step {trained.step}",
        embed_all(lambda part: embed(trained.config, trained.network, part), pictures),
        strangers.identities,
        pictures,
        may_show=trained.config.data.source == "att",
        log=read_log(run),
    )


def read_log(run: Path) -> list[dict[str, float]]:
    """What each step of a run said; nothing for a run that was never saved."""
    log = run / LOG
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
