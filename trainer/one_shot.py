"""N-way one-shot classification: which of N examples, one of each, shows the same person or character as a test?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from trainer.data import IntArray
from trainer.images.handwriting import as_seen
from trainer.images.omniglot import LakeRun, read_background, read_lake_runs
from trainer.images.sources import load_strangers
from trainer.measuring.judge import Judge, load_judge
from trainer.measuring.metrics import PairTable, equal_error_rate, true_accept_rate

GALLERIES: Final = 200
"""Galleries drawn by chance, one photo of each person; all other photos are tests."""
EPISODES: Final = 100
"""Runs like Lake's, drawn from the background alphabets."""
BOOTSTRAPS: Final = 2000


def gallery_accuracy(unlike: FloatArray, identities: IntArray, galleries: int = GALLERIES, seed: int = 0) -> FloatArray:
    """Share of tests whose nearest example is their own, float32[galleries]; a tie counts as wrong.

    unlike: float32[N, N]; identities: int64[N]. A gallery has one image of everybody; the rest are its tests.
    """
    random = np.random.default_rng(seed)
    people = np.unique(identities)
    rows = [np.flatnonzero(identities == person) for person in people]
    if len(people) < 2 or max(len(own) for own in rows) < 2:
        raise BadInput("One-shot classification needs two people, and one with two images.")
    right = np.empty(galleries, dtype=np.float32)
    for number in range(galleries):
        examples = np.array([random.choice(own) for own in rows])
        tests = np.setdiff1d(np.arange(len(identities)), examples)
        answers = np.searchsorted(people, identities[tests])
        right[number] = _right(unlike[np.ix_(tests, examples)], answers).mean()
    return right


def lake_accuracy(judge: Judge, runs: list[LakeRun], size: int) -> FloatArray:
    """Share of right answers, float32[runs]. Each test is judged alone. Lake, Salakhutdinov, Tenenbaum 2015."""
    settings = judge.trained.config.data
    strange = settings.source == "mnist"

    def seen(drawings: ImageArray) -> ImageArray:
        return np.stack([as_seen(each, settings, size, strange) for each in drawings])[..., None]

    found = [
        _right(judge.unlike(judge.rows(seen(run.tests)), judge.rows(seen(run.examples))), run.answers).mean()
        for run in runs
    ]
    return np.array(found, dtype=np.float32)


def drawn_runs(folder: Path, alphabets: tuple[str, ...], episodes: int = EPISODES, seed: int = 0) -> list[LakeRun]:
    """Runs as Lake's from the background: up to twenty characters of one alphabet, two hands. For choosing recipes.

    alphabets: in turn; none for all. Raises BadInput.
    """
    random = np.random.default_rng(seed)
    drawings = read_background(folder)
    alphabets = alphabets or tuple(sorted({drawing.alphabet for drawing in drawings}))
    runs = []
    for episode in range(episodes):
        own = [drawing for drawing in drawings if drawing.alphabet == alphabets[episode % len(alphabets)]]
        characters = sorted({drawing.character for drawing in own})
        chosen = random.permutation(characters)[:20]
        pages = [[each.pixels for each in own if each.character == character] for character in chosen]
        hands = random.choice(min(len(page) for page in pages), 2, replace=False)
        order = random.permutation(len(chosen))
        runs.append(
            LakeRun(
                np.stack([page[hands[0]] for page in pages]),
                np.stack([pages[number][hands[1]] for number in order]),
                order.astype(np.int64),
            )
        )
    return runs


def judge_run(run: Path, folder: Path, cache_dir: Path | None = None, views: int = 1) -> dict[str, Any]:
    """What `one-shot` prints of a run. Faces: verification and one-shot over the validation people of its split.
    Drawings: Lake's twenty runs, and as many like them from the alphabets held out, where there are such.

    Raises BadInput, BadState, LostLink.
    """
    judge = load_judge(run, views)
    config = judge.trained.config
    result: dict[str, Any] = {"run": config.name, "seed": config.seed, "step": judge.trained.step, "views": views}
    if judge.drawings:
        size = config.stage[0].pixels
        if config.data.held_out or config.data.source == "mnist":
            drawn = lake_accuracy(judge, drawn_runs(folder, config.data.held_out), size)
            result["drawn_runs"] = {"runs": len(drawn), **_share(drawn)}
        each = lake_accuracy(judge, read_lake_runs(folder), size)
        return result | {"lake_runs": {"runs": len(each), "ways": 20, **_share(each), "each": [float(x) for x in each]}}
    faces, split = load_strangers(config, judge.trained.images, folder, cache_dir)
    strangers = faces.take(split.validation)
    if not len(strangers):
        raise BadInput(f"The run {run} keeps nobody to test on: its validation_people is 0.")
    rows = judge.rows(strangers.centre() if config.network.for_door else strangers.pixels)
    unlike = judge.unlike(rows, rows)
    first, second = np.triu_indices(len(strangers), k=1)
    same = strangers.identities[first] == strangers.identities[second]
    table = PairTable(unlike[first, second][same], unlike[first, second][~same])
    return result | {
        "people": strangers.people,
        "genuine_pairs": len(table.genuine),
        "impostor_pairs": len(table.impostor),
        "eer": equal_error_rate(table.genuine, table.impostor),
        "tar_at_fmr_1e-2": true_accept_rate(table.genuine, table.impostor, 1e-2),
        "one_shot": {
            "ways": strangers.people,
            "galleries": GALLERIES,
            "accuracy": float(gallery_accuracy(unlike, strangers.identities).mean()),
        },
    }


def sentence(result: dict[str, Any]) -> str:
    """A result for a person."""
    head = f"{result['run']}, seed {result['seed']}: "
    if "lake_runs" in result:
        named = (("lake_runs", "Lake's runs"), ("drawn_runs", "runs of alphabets to choose by"))
        return head + "; ".join(
            f"{result[key]['accuracy']:.1%} ({result[key]['low']:.1%} to {result[key]['high']:.1%}) right in "
            f"{result[key]['runs']} of {name}"
            for key, name in named
            if key in result
        )
    shot = result["one_shot"]
    return (
        f"{head}EER {result['eer']:.2%} over {result['genuine_pairs']} genuine and {result['impostor_pairs']} impostor "
        f"pairs of {result['people']} people; {shot['ways']}-way one-shot {shot['accuracy']:.1%}"
    )


def _right(unlike: FloatArray, answers: IntArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    own = unlike[np.arange(len(answers)), answers]
    return np.asarray((unlike <= own[:, None]).sum(axis=1) == 1)


def _share(each: FloatArray) -> dict[str, float]:
    """Mean, and the middle 95 % of bootstrap means over runs: two drawings of one hand are not independent."""
    drawn = np.random.default_rng(0).choice(each, (BOOTSTRAPS, len(each))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"accuracy": float(each.mean()), "low": float(low), "high": float(high)}
