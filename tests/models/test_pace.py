"""How many requests are open is learned from what the server refuses; the clock is the test's."""

from __future__ import annotations

import pytest

pytest.importorskip("openai")

from harness.models.openai.pace import Pace


def fill(pace: Pace, now: float = 0.0) -> int:
    """Send until it says no; how many are open."""
    while pace.delay(now, 0) == 0:
        pace.sent(now, 0)
    return pace.in_flight


def clean_round(pace: Pace) -> None:
    for _ in range(fill(pace)):
        pace.answered()


def test_it_doubles_until_the_first_429_and_then_grows_by_a_twentieth():
    pace = Pace(start=64, most=1000, cooldown=15)
    seen = []
    for _ in range(3):
        seen.append(int(pace.limit))
        clean_round(pace)
    assert seen == [64, 128, 256]
    pace.limited(0.0, pace.sent(0.0, 0), 0.0)
    assert pace.limit == pytest.approx(512 * 0.8)
    clean_round(pace)
    assert pace.limit == pytest.approx(512 * 0.8 * 1.05)


def test_it_never_exceeds_the_most():
    pace = Pace(start=64, most=100, cooldown=15)
    clean_round(pace)
    clean_round(pace)
    assert fill(pace) == 100


def test_one_burst_of_429_cuts_once_and_stops_all_sending_for_the_cooldown():
    pace = Pace(start=10, most=100, cooldown=15)
    burst = [pace.sent(0.0, 0) for _ in range(10)]
    for cuts in burst:
        pace.limited(1.0, cuts, None)
    assert pace.limit == pytest.approx(8)
    assert pace.delay(2.0, 0) == pytest.approx(14)
    assert pace.delay(16.0, 0) == 0


def test_the_servers_own_time_goes_before_the_cooldown():
    pace = Pace(start=10, most=100, cooldown=15)
    pace.limited(0.0, pace.sent(0.0, 0), 3.0)
    assert pace.delay(1.0, 0) == pytest.approx(2)


def test_it_never_stops_for_good():
    pace = Pace(start=1, most=1, cooldown=0)
    for _ in range(50):
        pace.limited(0.0, pace.sent(0.0, 0), None)
    assert pace.delay(0.0, 0) == 0


def test_a_failing_server_stops_growth_for_that_round():
    pace = Pace(start=4, most=100, cooldown=15)
    pace.sent(0.0, 0)
    pace.failed()
    clean_round(pace)
    assert pace.limit == 4
    clean_round(pace)
    assert pace.limit == 8


def test_requests_a_minute_are_kept():
    pace = Pace(start=50, most=50, cooldown=15, rpm=3)
    assert fill(pace, 10.0) == 3
    assert pace.delay(20.0, 0) == pytest.approx(50)
    assert pace.delay(70.0, 0) == 0


def test_tokens_a_minute_are_kept_but_one_large_request_goes_alone():
    pace = Pace(start=50, most=50, cooldown=15, tpm=100)
    assert pace.delay(0.0, 500) == 0
    pace.sent(0.0, 60)
    assert pace.delay(0.0, 40) == 0
    assert pace.delay(0.0, 41) == pytest.approx(60)
