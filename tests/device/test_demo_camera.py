"""The demo shows exactly the people that its script says, when it says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from device.camera import open_camera
from device.demo_camera import DemoScene, parse_demo, walkup_script
from device.detect import Detector
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings

Photos = dict[int, list[ImageArray]]

QUERY = "demo:?owners=31,33-35&strangers=1-6&seed=3&walkups=40"


def test_owners_and_strangers_come_by_turns_and_everybody_before_anybody_twice() -> None:
    script = walkup_script(QUERY)
    assert [visit.is_owner for visit in script] == [True, False] * 20
    owners = [visit.person for visit in script if visit.is_owner]
    strangers = [visit.person for visit in script if not visit.is_owner]
    assert all(set(owners[lap : lap + 4]) == {31, 33, 34, 35} for lap in range(0, 20, 4))
    assert all(set(strangers[lap : lap + 6]) == set(range(1, 7)) for lap in range(0, 18, 6))


def test_nobody_shows_the_enrolment_photo_or_one_photo_twice() -> None:
    shown = [(visit.person, visit.photo) for visit in walkup_script(QUERY)]
    assert len(set(shown)) == len(shown)
    assert all(2 <= photo <= 10 for _, photo in shown)


def test_script_depends_on_its_query_only() -> None:
    assert walkup_script(QUERY) == walkup_script(QUERY)
    assert walkup_script(QUERY) != walkup_script(QUERY.replace("seed=3", "seed=4"))


def test_visits_do_not_overlap() -> None:
    script = walkup_script(QUERY)
    for visit, after in pairwise(script):
        assert visit.start_s < visit.end_s < after.start_s


def test_face_grows_is_found_leaves_and_the_wall_is_empty(att: Photos, detector: Detector) -> None:
    plan = parse_demo(QUERY)
    scene = DemoScene(plan, att)
    widths = []
    for time_s in (0.5, 1.0, 1.5, 2.0, 2.5):
        image, label = scene.at(time_s)
        assert image.shape == (480, 640, 3)
        assert image.dtype == np.uint8
        assert label == "1"
        widths.append(detector.detect(image)[0].box[2])
    assert all(now > before * 1.2 for before, now in pairwise(widths[:4]))
    assert widths[-1] >= 200
    image, label = scene.at(plan.period_s - 0.1)
    assert label == ""
    assert detector.detect(image) == []
    assert scene.at(plan.period_s + 1)[1] == "2"


def test_all_forty_people_are_found_at_the_door(att: Photos, detector: Detector) -> None:
    plan = parse_demo("demo:?owners=1-40&strangers=&photos=2-3&walkups=40")
    scene = DemoScene(plan, att)
    widths = []
    for number in range(40):
        faces = detector.detect(scene.at(number * plan.period_s + 2.4)[0])
        assert len(faces) == 1
        widths.append(faces[0].box[2])
    assert min(widths) >= 200


def test_after_the_last_walkup_nobody_comes(att: Photos) -> None:
    plan = parse_demo("demo:?walkups=2")
    scene = DemoScene(plan, att)
    assert scene.at(plan.period_s + 1)[1] == "2"
    assert scene.at(2 * plan.period_s + 1)[1] == ""


def test_no_frame_equals_the_one_before(att: Photos) -> None:
    scene = DemoScene(parse_demo("demo:"), att)
    frames = [scene.at(3.3 + n / 1000)[0] for n in range(20)]
    assert not any(np.array_equal(a, b) for a, b in pairwise(frames))


def test_demo_runs_as_a_camera(att: Photos) -> None:
    with open_camera(CameraSettings(source="demo:?walkups=1", fps=15)) as camera:
        frames = [frame for _ in range(5) if (frame := camera.newest(5)) is not None]
        assert [frame.label for frame in frames] == ["1"] * 5
        assert camera.state == "ok"
