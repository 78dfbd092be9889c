"""Which execution provider a network runs on: the quickest of those that start here and compute the same.

The CPU with the int8 file is where the calibration was made and what every board has. Another provider is taken only
where it was measured, on this board and with this network, to be clearly quicker and to give the same numbers.
Measuring may take minutes (TensorRT builds an engine), so it is done at a start, and kept; a network that comes while
the door runs has the CPU until the next one. A bundle may bring its encoder in fp16 too, for boards with a GPU: that is
taken where it beats what was chosen for the int8 file.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from device.runtime import CPU, Network, available, open_session, version
from firmware_config.files import write_atomic

log = logging.getLogger("latchkey.providers")

NAMES: Final = {
    "cpu": CPU,
    "xnnpack": "XnnpackExecutionProvider",
    "acl": "ACLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""The settings' names, and onnxruntime's."""

GPUS: Final = ("cuda", "tensorrt")
"""What an fp16 variant is tried on: a CPU would compute it in float32, with a cast before and after each step."""

ENGINES: Final = "engines"
"""In the state folder: what TensorRT builds for minutes, so that it does so once."""

WORTH: Final = 0.9
"""Another provider is taken below this share of the CPU's time: less is the noise of measuring."""

WARM_UP: Final = 5
RUNS: Final = 20

KEPT: Final = "runtime.json"
"""In the state folder: times and names, nobody's data."""

KEPT_BYTES: Final = 65536


Example = Sequence[npt.NDArray[Any]]
"""What a network is measured with: its inputs, in their order."""


@dataclass(frozen=True)
class Trial:
    """One provider with one network. ms: median of a run, None where `why` says what was in the way."""

    provider: str
    ms: float | None
    why: str = ""


@dataclass(frozen=True)
class Choice:
    """provider: onnxruntime's name, "" for none. trials: empty where there was nothing to choose from."""

    provider: str
    trials: tuple[Trial, ...] = ()

    @property
    def ms(self) -> float | None:
        """Of the provider that was chosen, None where it was not measured."""
        return next((trial.ms for trial in self.trials if trial.provider == self.provider), None)


class Opener(Protocol):
    """As runtime.open_session; tests hand in another."""

    def __call__(
        self, model: bytes, threads: int, what: str, provider: str, options_of_provider: Mapping[str, str]
    ) -> Network: ...


def _short(provider: str) -> str:
    return next((short for short, name in NAMES.items() if name == provider), provider)


class Chooser:
    """Chooses for the networks of one door."""

    def __init__(
        self,
        wanted: Sequence[str],
        threads: int,
        folder: Path | None,
        opener: Opener = open_session,
        built: Sequence[str] | None = None,
    ) -> None:
        """wanted: names of NAMES, or "auto" for all that this build of onnxruntime has. folder: where choices are kept;
        None keeps nothing. opener, built: what opens sessions, and which providers it has; onnxruntime."""
        self._threads, self._open = threads, opener
        self._folder = folder
        self._path = folder / KEPT if folder is not None else None
        have = list(built if built is not None else available())
        asked = list(NAMES) if "auto" in wanted else list(dict.fromkeys(wanted))
        self.missing = [name for name in asked if NAMES[name] not in have and "auto" not in wanted]
        """Asked for by name, and not in this build."""
        self._candidates = [NAMES[name] for name in asked if NAMES[name] in have and name != "cpu"]
        self.choices: dict[str, Choice] = {}
        """What was chosen, by network."""
        self._measuring = True

    def stop_measuring(self) -> None:
        """The door is watched from now on: what was not chosen by now runs on the CPU."""
        self._measuring = False

    def pick(self, what: str, model: bytes, example: Callable[[], Example], tolerance: float) -> str:
        """The provider for a network.

        what: names it. example: makes what it is measured with, where there is something to choose.
        tolerance: how far each number of the outputs may be from the CPU's.
        """
        choice = Choice(CPU)
        if self._candidates:
            choice = self.kept(model) or choice
            if not choice.trials and self._measuring:
                expected = self._expected(what, model, example())
                on_cpu = Trial(CPU, expected[0])
                trials = self._try_all(self._candidates, what, model, example(), (expected[1], tolerance))
                best = min(_quicker(trials, expected[0]), key=_ms, default=on_cpu)
                choice = Choice(best.provider, (on_cpu, *trials))
                self._keep(self._key(model), choice)
        self.choices[what] = choice
        return choice.provider

    def pick_half(self, what: str, model: bytes, example: Callable[[], Example], tolerance: float, than: str) -> str:
        """The GPU's provider on which an fp16 variant beats what was picked before, "" where none does.

        As `pick`. than: names the network that `model` may stand in for.
        """
        gpus = [provider for provider in self._candidates if _short(provider) in GPUS]
        beat = self.choices[than].ms
        if not gpus or beat is None:
            return ""
        choice = self.kept(model)
        if choice is None and self._measuring:
            _, expected = self._expected(what, model, example())
            trials = self._try_all(gpus, what, model, example(), (expected, tolerance))
            best = min(_quicker(trials, beat), key=_ms, default=None)
            choice = Choice(best.provider if best is not None else "", tuple(trials))
            self._keep(self._key(model), choice)
        if choice is None:
            return ""
        self.choices[what] = choice
        return choice.provider

    def options(self, provider: str, model: bytes) -> dict[str, str]:
        """onnxruntime's, for a network on a provider. TensorRT takes fp16 and int8 only where it is told to."""
        if provider != NAMES["tensorrt"]:
            return {}
        options = {"trt_fp16_enable": "1"}
        if b"QuantizeLinear" in model:
            options["trt_int8_enable"] = "1"
        if self._folder is not None:
            options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(self._folder / ENGINES)}
        return options

    def _expected(self, what: str, model: bytes, example: Example) -> tuple[float, list[Any]]:
        return _run(self._open(model, self._threads, what, CPU, {}), example)

    def _try_all(
        self, providers: Sequence[str], what: str, model: bytes, example: Example, judge: tuple[list[Any], float]
    ) -> list[Trial]:
        trials = [self._try(provider, what, model, example, judge) for provider in providers]
        for trial in trials:
            if trial.why:
                log.warning("%s does not run on %s: %s", what, _short(trial.provider), trial.why)
        return trials

    def _try(self, provider: str, what: str, model: bytes, example: Example, judge: tuple[list[Any], float]) -> Trial:
        expected, tolerance = judge
        try:
            opened = self._open(model, self._threads, what, provider, self.options(provider, model))
            took, found = _run(opened, example)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like; the CPU is there
            return Trial(provider, None, str(error).splitlines()[0][:200])
        apart = [
            np.abs(a - b).max(initial=0.0) if a.shape == b.shape else np.inf
            for a, b in zip(expected, found, strict=True)
        ]
        worst = float(np.max(apart))
        if not worst <= tolerance:
            return Trial(provider, None, f"its numbers are off by {worst:.3f}, at most {tolerance} is rounding")
        return Trial(provider, took)

    def kept(self, model: bytes) -> Choice | None:
        """What an earlier start chose for this network, with this onnxruntime and these settings."""
        try:
            kept = self._read()[self._key(model)]
            return Choice(kept["provider"], tuple(Trial(**trial) for trial in kept["trials"]))
        except (KeyError, TypeError, ValueError):
            return None

    def _key(self, model: bytes) -> str:
        facts = (sha256(model).hexdigest(), self._threads, self._candidates, version())
        return sha256(repr(facts).encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        try:
            if self._path is None or self._path.stat().st_size > KEPT_BYTES:
                return {}
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}  # measured anew: nothing but time is lost
        return found if isinstance(found, dict) else {}

    def _keep(self, key: str, choice: Choice) -> None:
        if self._path is None:
            return
        try:
            write_atomic(self._path, json.dumps({**self._read(), key: asdict(choice)}, indent=1).encode())
        except OSError as error:
            log.warning("%s cannot be written (%s): the next start measures again.", self._path, error.strerror)


def _quicker(trials: Sequence[Trial], than_ms: float) -> list[Trial]:
    return [trial for trial in trials if trial.ms is not None and trial.ms < WORTH * than_ms]


def _ms(trial: Trial) -> float:
    return trial.ms or 0.0


def _run(network: Network, example: Example) -> tuple[float, list[Any]]:
    """-> median milliseconds, outputs."""
    feeds = {given.name: array for given, array in zip(network.get_inputs(), example, strict=True)}
    took = []
    for _ in range(WARM_UP + RUNS):
        begun = time.perf_counter()
        outputs = network.run(None, feeds)
        took.append((time.perf_counter() - begun) * 1000)
    return round(median(took[WARM_UP:]), 3), [np.asarray(output, dtype=np.float64) for output in outputs]


def timed(what: str, model: bytes, threads: int, example: Example) -> Choice:
    """The CPU's time. Raises BadInput."""
    took, _ = _run(open_session(model, threads, what, CPU), example)
    return Choice(CPU, (Trial(CPU, took),))


def in_words(what: str, choice: Choice) -> str:
    """A sentence for check and log."""
    if not choice.trials:
        return f"{what} on the {_short(choice.provider).upper()}."
    tried = ", ".join(
        f"{_short(t.provider)} {f'{t.ms:.2f} ms' if t.ms is not None else f'cannot ({t.why})'}" for t in choice.trials
    )
    where = f"on {_short(choice.provider)}" if choice.provider else "is not used"
    return f"{what} {where}: {tried}."
