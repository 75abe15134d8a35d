"""Rate limits: when requests may go."""

from __future__ import annotations

import threading
import time

import pytest

from pathplugins.data_tools.captioning.pace import Pace, StoppedError


def seconds(pace: Pace, turns: int) -> float:
    start = time.monotonic()
    for _ in range(turns):
        pace.turn()
    return time.monotonic() - start


def test_requests_are_spaced() -> None:
    assert 0.2 <= seconds(Pace(threading.Event(), requests_per_minute=600), 3) < 2
    assert seconds(Pace(threading.Event()), 1000) < 1


def test_threads_share_the_spacing() -> None:
    pace, start = Pace(threading.Event(), requests_per_minute=1200), time.monotonic()
    threads = [threading.Thread(target=pace.turn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.25 <= time.monotonic() - start < 2


def test_tokens_are_paid_back_and_then_set_aside() -> None:
    pace = Pace(threading.Event(), tokens_per_minute=6000)  # 100 a second
    assert pace.turn() == 0  # nothing is known of their size
    pace.settle(0, 20)
    start = time.monotonic()
    assert pace.turn() == 20  # 0.2 s for the first
    assert pace.turn() == 20  # 0.2 s for the second
    assert 0.35 <= time.monotonic() - start < 2
    pace.settle(20, 500)  # it took five seconds' worth
    pace.settle(520, 20)  # and gives them back
    assert seconds(pace, 1) < 2


def test_a_hold_is_for_all_and_stopping_ends_it() -> None:
    stop = threading.Event()
    pace = Pace(stop)
    pace.hold(0.2)
    assert 0.15 <= seconds(pace, 2) < 2
    pace.hold(60)
    threading.Timer(0.1, stop.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        pace.turn()
    assert time.monotonic() - start < 5
