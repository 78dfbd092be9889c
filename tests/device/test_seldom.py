"""News that repeats itself is told so often, and then not for a while."""

from __future__ import annotations

from device.seldom import Seldom


def test_the_same_news_is_told_once_in_its_time() -> None:
    now = [100.0]
    seldom = Seldom(10, lambda: now[0])
    assert seldom.due("lost")
    assert not seldom.due("lost")
    assert seldom.due("refused"), "other news"
    now[0] += 10
    assert seldom.due("lost")


def test_so_many_times_in_any_such_span() -> None:
    now = [100.0]
    seldom = Seldom(10, lambda: now[0], times=3)
    told = []
    for _ in range(40):
        if seldom.due("lost"):
            told.append(now[0])
        now[0] += 1
    assert told[:7] == [100, 101, 102, 110, 111, 112, 120]


def test_a_clock_that_jumps_back_does_not_silence_it() -> None:
    now = [1000.0]
    seldom = Seldom(10, lambda: now[0])
    assert seldom.due("lost")
    now[0] = 5.0
    assert seldom.due("lost")
