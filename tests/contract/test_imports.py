"""Which way imports run, and what the door never loads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_rules_of_the_design_hold() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    assert linter is not None, "import-linter is part of the test extra"
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("module", ["device.daemon", "device.cli", "device.check", "device.replay"])
def test_the_door_never_loads_what_a_small_board_cannot_afford(module: str) -> None:
    code = f"import {module}, sys; print(sorted({{'torch', 'gradio', 'sqlalchemy', 'fastapi'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_plugin_that_happens_to_be_installed_has_a_say_at_the_door(tmp_path: Path) -> None:
    (tmp_path / "nosy-1.dist-info").mkdir()
    (tmp_path / "nosy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: nosy\nVersion: 1\n")
    (tmp_path / "nosy-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nnosy = nosy:plugin\n")
    (tmp_path / "nosy.py").write_text(
        "print('asked')\nclass plugin:\n    new_schema_validator = lambda *_, **__: (None,) * 3\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    def said(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert "asked" in said("-c", "import firmware_config.messages"), "pydantic does take plugins"
    assert "asked" not in said("-m", "device", "--help")


def test_the_trainer_never_loads_the_broker_or_the_page() -> None:
    code = "import trainer.cli, sys; print(sorted({'paho', 'gradio', 'firmware_config.broker'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
