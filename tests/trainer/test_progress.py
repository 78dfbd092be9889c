"""How far a training is, for a terminal and for a log."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from firmware_config.errors import BadInput
from trainer import progress
from trainer.progress import counting, watching


def run(total: int = 4) -> None:
    with watching(total, 100.0 * total, 0, None, None) as watch:
        watch.say("small: begins")
        for step in range(1, total + 1):
            watch.stepped(step, 100.0, {"loss": 1.0 / step, "rate": 1e-3}, "epoch 1 32px")
        watch.validated(total, 1, {"eer": 0.125})


def test_a_log_gets_plain_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "STEPS_BETWEEN_LINES", 2)
    run()
    assert capsys.readouterr().out.splitlines() == [
        "small: begins",
        "step 2/4 epoch 1 32px loss 0.750 rate 1.0e-03 0 min left",
        "step 4/4 epoch 1 32px loss 0.292 rate 1.0e-03 0 min left",
        "epoch 1: eer 0.1250",
    ]


def test_a_terminal_gets_a_bar_with_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    run()
    with counting("photos", 2) as count:
        count()
        count()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    assert "step 4/4 epoch 1 32px loss 0.250" in shown
    assert "epoch 1: eer 0.1250" in shown
    assert "00:00" in shown
    assert "2/2" in shown


def test_all_but_the_first_process_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(4, 400.0, 0, None, None, first=False) as watch:
        watch.say("small: begins")
        watch.stepped(1, 100.0, {"loss": 1.0, "rate": 1e-3}, "epoch 1 32px")
        watch.validated(1, 1, {"eer": 0.5})
    assert capsys.readouterr().out == ""


def test_tensorboard_that_is_not_installed_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BadInput, match="pip install tensorboard"), watching(4, 400.0, 0, None, tmp_path):
        pass
