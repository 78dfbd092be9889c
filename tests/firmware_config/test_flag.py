import subprocess
import sys
import threading
import time

from firmware_config.flag import Flag

LOOK_S = 0.1
ALARMED = """
import signal, time
from firmware_config.flag import Flag

flag, alarms = Flag(), 0

def alarm(*_):
    global alarms
    alarms += 1
    flag.set()

signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
seen, until = 0, time.monotonic() + 1
while time.monotonic() < until:
    if flag.wait(0.0003):
        seen += 1
        flag.clear()
signal.setitimer(signal.ITIMER_REAL, 0)
print(alarms, seen)
"""


def test_a_signal_may_raise_it_at_any_moment_of_the_wait_that_it_interrupts() -> None:
    # With threading.Event this hangs within a few alarms.
    ended = subprocess.run([sys.executable, "-c", ALARMED], capture_output=True, text=True, timeout=60, check=True)
    alarms, seen = map(int, ended.stdout.split())
    assert alarms > 100
    assert seen > alarms / 2


def test_a_wait_ends_when_another_thread_raises_it() -> None:
    flag = Flag()
    threading.Timer(LOOK_S, flag.set).start()
    begun = time.monotonic()
    assert flag.wait(60)
    assert time.monotonic() - begun < 30


def test_a_wait_for_what_does_not_come_ends_after_its_time() -> None:
    begun = time.monotonic()
    assert not Flag().wait(LOOK_S)
    assert time.monotonic() - begun >= LOOK_S


def test_what_is_raised_stays_so_until_it_is_cleared() -> None:
    flag = Flag()
    flag.set()
    flag.set()
    assert flag.wait(0)
    assert flag.is_set()
    flag.clear()
    assert not flag.is_set()
    flag.set()
    assert flag.wait(0)
