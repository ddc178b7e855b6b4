"""When a file is asked for again, with a clock that is turned by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.fetching.fetch import FetchProblem
from bot.fetching.patience import (
    KEEPS_SECONDS,
    LASTS_SECONDS,
    LASTS_TIMES,
    LONGEST_PAUSE_SECONDS,
    UNDER_WAY_PAUSES,
    YOUNG_SECONDS,
    Failures,
    Later,
    Stage,
    decide,
    failed,
)
from bot.media.files import KEEP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

MADE = 1_000_000.0
DAY = 86_400.0
PASSING = [FetchProblem.NETWORK, FetchProblem.TOO_SLOW, FetchProblem.BAD_STATUS, FetchProblem.NO_FILE]
CERTAIN = [FetchProblem.TOO_LARGE, FetchProblem.REFUSED_ADDRESS, FetchProblem.BAD_URL]


@dataclass(frozen=True)
class Try:
    """One try: when, and what was decided after it."""

    at: float
    later: Later | None
    failures: Failures


def tries(*problems: FetchProblem, began: float = MADE, needed: bool = True) -> Iterator[Try]:
    """Ask again whenever that was decided: once for each problem, and for the last one until it is final."""
    now, failures, queue = began, None, list(problems)
    while True:
        problem = queue.pop(0) if len(queue) > 1 else queue[0]
        failures = failed(failures, problem, now)
        later = decide(failures, MADE, now, needed=needed)
        yield Try(now, later, failures)
        if later is None:
            return
        now += later.seconds


def test_a_host_that_is_down_is_asked_for_a_day() -> None:
    for problem in PASSING:
        *asked, last = tries(problem)
        assert DAY <= last.at - MADE <= DAY + LONGEST_PAUSE_SECONDS
        pauses = [one.later.seconds for one in asked if one.later]
        assert pauses[0] <= 2
        assert max(pauses) == LONGEST_PAUSE_SECONDS
        assert len(asked) < 2 * DAY / LONGEST_PAUSE_SECONDS


def test_an_outage_of_eighty_seconds_costs_no_more_than_half_as_long_again() -> None:
    asked = next(one for one in tries(FetchProblem.BAD_STATUS) if one.at - MADE > 80)
    assert asked.at - MADE < 130


def test_what_only_the_archive_has_is_waited_for_a_day_however_old_it_is() -> None:
    began = MADE + 30 * DAY
    *_, last = tries(FetchProblem.ARCHIVE, began=began)
    assert DAY <= last.at - began <= DAY + LONGEST_PAUSE_SECONDS


def test_404_is_final_only_when_it_was_seen_again_and_again_for_ten_minutes() -> None:
    *asked, last = tries(FetchProblem.GONE)
    assert LASTS_SECONDS <= last.at - MADE <= 15 * 60
    assert len(asked) > LASTS_TIMES


def test_404_among_other_answers_does_not_last() -> None:
    seen = [FetchProblem.GONE, FetchProblem.GONE, FetchProblem.BAD_STATUS] * 10
    now, failures = MADE, None
    for number, problem in enumerate(seen):
        now = MADE + number * 100
        failures = failed(failures, problem, now)
        assert decide(failures, MADE, now) is not None


def test_ten_minutes_in_which_nobody_looked_prove_nothing() -> None:
    failures = failed(None, FetchProblem.GONE, MADE)
    later = MADE + 3 * 3600
    failures = failed(failures, FetchProblem.GONE, later)
    assert decide(failures, MADE, later) is not None


def test_404_for_a_file_that_vidgo_deleted_long_ago_needs_no_proof() -> None:
    [only] = tries(FetchProblem.GONE, began=MADE + KEEPS_SECONDS + 1)
    assert only.later is None


def test_a_host_that_is_down_for_an_old_file_is_asked_for_minutes() -> None:
    began = MADE + 30 * DAY
    *asked, last = tries(FetchProblem.NETWORK, began=began)
    assert LASTS_SECONDS <= last.at - began <= 15 * 60
    assert len(asked) >= LASTS_TIMES


def test_what_cannot_be_decoded_may_still_be_on_its_way_while_it_is_young() -> None:
    *asked, last = tries(FetchProblem.NOT_MEDIA)
    assert YOUNG_SECONDS < last.at - MADE < 15 * 60
    assert len(asked) >= LASTS_TIMES
    *_, old = tries(FetchProblem.NOT_MEDIA, began=MADE + 3600)
    assert old.at - MADE - 3600 < 30


@pytest.mark.parametrize("problem", CERTAIN)
def test_what_another_try_cannot_change_is_final_at_once(problem: FetchProblem) -> None:
    [only] = tries(problem)
    assert only.later is None


@pytest.mark.parametrize("problem", [*PASSING, FetchProblem.GONE, FetchProblem.NOT_MEDIA, FetchProblem.UNDER_WAY])
def test_the_member_knows_within_half_a_minute_and_the_last_word_comes_within_fifteen(problem: FetchProblem) -> None:
    told: dict[Stage, float] = {}
    for one in tries(problem):
        if one.at - MADE > 2 * 3600:
            break
        told.setdefault(one.later.stage if one.later else Stage.STILL_NOT, one.at - MADE)
    assert told[Stage.NOTHING] == 0
    assert told[Stage.NOT_YET] <= 30
    assert told[Stage.STILL_NOT] <= 15 * 60


def test_what_is_still_coming_is_looked_for_while_it_is_kept_and_is_never_final() -> None:
    assert UNDER_WAY_PAUSES[1] < KEEP_SECONDS
    failures = failed(None, FetchProblem.GONE, MADE)
    for seconds in (5, 500, 5000, 50_000, 500_000):
        failures = failed(failures, FetchProblem.UNDER_WAY, MADE + seconds)
        later = decide(failures, MADE, MADE + seconds)
        assert later is not None
        assert later.seconds <= UNDER_WAY_PAUSES[1]
    # And it is no answer: what was seen before it goes on.
    assert (failures.problem, failures.since, failures.times) == (FetchProblem.GONE, MADE, 1)
    assert failed(failures, FetchProblem.GONE, MADE + 9).times == 2


def test_what_there_is_something_to_post_without_is_waited_for_until_the_last_word() -> None:
    for problem in (*PASSING, FetchProblem.GONE):
        *_, last = tries(problem, needed=False)
        assert LASTS_SECONDS <= last.at - MADE <= 15 * 60


def test_a_clock_that_was_set_back_begins_anew() -> None:
    failures = failed(None, FetchProblem.GONE, MADE + 5000)
    failures = failed(failures, FetchProblem.GONE, MADE)
    assert (failures.first_at, failures.since, failures.times) == (MADE, MADE, 1)


@given(
    st.lists(st.tuples(st.sampled_from(FetchProblem), st.floats(-5000, 50_000)), min_size=1, max_size=40),
    st.booleans(),
)
def test_whatever_is_seen_a_decision_is_one_that_can_be_kept(
    seen: list[tuple[FetchProblem, float]], needed: bool
) -> None:
    now, failures = MADE, None
    for problem, seconds in seen:
        now += seconds
        failures = failed(failures, problem, now)
        assert Failures.load(failures.dump()) == failures
        later = decide(failures, MADE, now, needed=needed)
        assert later is None or 1 <= later.seconds <= LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    "text", [None, "", "503", "{}", "[]", "null", '{"problem": "x"}', '{"problem": "gone", "x": 1}']
)
def test_other_words_in_the_place_of_failures_are_none(text: str | None) -> None:
    assert Failures.load(text) is None
