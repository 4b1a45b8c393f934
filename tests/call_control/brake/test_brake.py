"""The rules of the brake: the calls that it marks, slows, stops or ignores, and the limits of its memory."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.brake import SHARES, replay_case, replay_year
from idtone.call_control.brake.brake import Brake, LineKinds
from idtone.call_control.brake.limits import (
    LIMITS,
    NEVER,
    NO_COUNTS,
    SURGE_S,
    BrakeStep,
    LineKind,
    Signal,
    SubjectKind,
    begins_at,
    pace_s,
    stops_at,
)
from idtone.call_control.brake.shared_stops import Hold, releases_of_json
from idtone.call_control.brake.subject import CALM_S
from idtone.call_control.brake.windows import BITS, Positions, distinct_count
from idtone.core.calls import Direction, Reason
from idtone.core.japan_time import JAPAN
from idtone.core.misuse_limits import load_limits
from lab.call_control.brake.brake_calls import (
    DAY_S,
    KEY,
    NOON_S,
    brake_steps,
    call,
    count_passed,
    new_brake,
    number,
    offer,
    ordinary_days,
)
from lab.nightly_tests import rest_in_breadth

STOP_S = NOON_S + 60


def stopped(brake: Brake, endpoint: str = "6001", first_s: float = NOON_S) -> Hold:
    """Stop a line with calls that present random numbers, and return the hold."""
    for _ in offer(brake, (call(n, n, endpoint) for n in range(200)), first_s):
        pass
    [hold] = [hold for hold in brake.holds() if hold.step is BrakeStep.STOP and hold.label == endpoint]
    return hold


# -- limits and windows -----------------------------------------------------------------------------------------------


def test_the_limits_of_shares_are_those_of_the_rules_for_misuse():
    rules = load_limits(None)
    assert SHARES.false_alarm == rules.false_alarm
    assert (SHARES.short.usual_share, SHARES.short.at_least) == (
        rules.short_calls.usual_share,
        rules.short_calls.at_least,
    )
    assert (SHARES.pings.usual_share, SHARES.pings.at_least) == (rules.pings.usual_share, rules.pings.at_least)
    assert (SHARES.short_s, SHARES.ping_s) == (rules.short_calls.shorter_than_s, rules.pings.rings_below_s)


@given(
    st.sampled_from(LineKind),
    st.lists(st.tuples(*[st.integers(0, 10**6)] * len(Signal)), max_size=28),
    st.integers(1, 10**6),
)
def test_a_known_line_is_never_below_its_floor_or_above_its_ceiling_and_grows_with_what_is_usual(line, days, more):
    stops = stops_at(line, days)
    for signal in Signal:
        limit = LIMITS[line].get(signal)
        if limit is None:
            assert stops[signal] == NEVER
        elif len(days) < 7:
            assert stops[signal] == limit.new
        else:
            assert limit.floor <= stops[signal] <= limit.ceiling
            busier = stops_at(line, [tuple(count + more for count in day) for day in days])
            assert busier[signal] >= stops[signal]
    assert 0 < pace_s(line, days) <= 60


def test_steps_come_in_their_order():
    for stop_at in (1, 2, 3, 10, 180, NEVER):
        begins = [begins_at(step, stop_at) for step in (BrakeStep.MARK, BrakeStep.SLOW, BrakeStep.STOP)]
        assert begins == sorted(begins)
        assert begins[-1] == stop_at


@pytest.mark.parametrize(("count", "error"), [(50, 0.03), (200, 0.02), (3000, 0.03), (10_000, 0.08)])
@rest_in_breadth("step", [1, 7, 100])
def test_the_bitmap_counts_distinct_numbers_within_its_stated_error(count, error, step):
    """Consecutive numbers, which are typical of a PBX, are also counted. The test tries several seeded keys."""
    dice = random.Random(count * step)
    for _ in range(10):
        found = distinct_count(Positions(dice.randbytes(24)).bits(number(n * step).e164 for n in range(count)))
        assert abs(found - count) <= 4.5 * error * count


def test_the_bitmap_is_bounded_and_its_places_depend_on_the_key():
    numbers = [number(n).e164 for n in range(50)] + ["", "extension", "日本"]
    one, other = Positions(KEY).bits(numbers), Positions(KEY[::-1]).bits(numbers)
    assert one != other
    assert max(one, other).bit_length() <= BITS


# -- steps ------------------------------------------------------------------------------------------------------------


def test_a_new_line_that_presents_other_numbers_each_time_is_marked_slowed_and_stopped():
    brake = new_brake()
    results = list(offer(brake, (call(n, n) for n in range(300))))
    risen = [(place + 1, hold.step) for place, (_, holds) in enumerate(results) for hold in holds]
    assert risen == [(90, BrakeStep.MARK), (135, BrakeStep.SLOW), (180, BrakeStep.STOP)]
    reasons = [reason for reason, _ in results]
    assert set(reasons[:135]) == {None}
    assert set(reasons[135:180]) <= {None, Reason.BRAKE_SLOW}
    assert set(reasons[180:]) == {Reason.BRAKE_STOP}
    assert sum(reason is None for reason in reasons) <= 140
    assert brake_steps(brake) == {"endpoint 6001": BrakeStep.STOP}


TABLE = [
    # calls, seconds between them, minimum of calls that pass. The calls are generators, so that only the worker that
    # runs a test creates them.
    ("one presented number, however often", (call(0, n) for n in range(3000)), 0.02, 3000),
    ("a hundred direct numbers", (call(n % 100, n) for n in range(3000)), 0.1, 3000),
    ("many numbers, slowly", (call(n, n) for n in range(2000)), 1.0, 2000),
    ("calls to numbers of ours", (call(n, n, direction=Direction.INCOMING) for n in range(3000)), 0.02, 3000),
    ("a trunk of many lines", (call(n, n, f"e{n % 100}") for n in range(3000)), 0.05, 3000),
    (
        "a switch whose customers have account codes",
        (call(n % 90, n, "pbx", f"a{n % 90}") for n in range(900)),
        0.1,
        900,
    ),
]


@pytest.mark.parametrize(("calls", "every_s", "least"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_an_ordinary_new_line_does_passes(calls, every_s, least):
    assert count_passed(new_brake(), calls, every_s=every_s) >= least


def test_a_known_line_is_stopped_by_what_it_never_did():
    for calls, most in (
        ([call(0, n) for n in range(2000)], 125),  # as many calls as a machine makes
        ([call(n, n) for n in range(2000)], 45),  # other presented numbers
    ):
        brake = new_brake()
        ordinary_days(brake, 10)
        assert not brake.holds()
        assert count_passed(brake, calls) <= most, calls[1]
        assert brake_steps(brake)["endpoint 6001"] is BrakeStep.STOP


def test_a_line_that_ordinarily_calls_much_may_go_on():
    brake = new_brake()
    for day in range(-10, 1):
        calls = (call(n % 80, n) for n in range(400))
        assert count_passed(brake, calls, NOON_S + day * DAY_S, 0.25) == 400
    assert not [hold for hold in brake.holds() if hold.step > BrakeStep.MARK]


def test_nobody_trains_a_line_above_its_ceiling():
    """An attacker calls a little more each day, and stays below the count that would slow the line."""
    brake, rate = new_brake(), 30
    for day in range(-60, 0):
        calls = [call(0, n) for n in range(rate)]
        result = list(offer(brake, calls, NOON_S + day * DAY_S, 50 / rate))
        if any(reason for reason, _ in result) or any(
            hold.step > BrakeStep.MARK for _, held in result for hold in held
        ):
            rate = max(30, rate // 2)
        else:
            rate = min(4000, round(rate * 1.3))
        brake.lower_steps(NOON_S + day * DAY_S + CALM_S + 3600)
    assert (
        count_passed(brake, [call(0, n) for n in range(5000)], every_s=0.001)
        <= LIMITS[LineKind.PBX][Signal.CALLS].ceiling
    )


def test_the_narrowest_is_stopped_and_its_customer_goes_on():
    brake = new_brake()
    for _ in offer(brake, (call(n, n, "6001", "customer-1") for n in range(400))):
        pass
    assert brake_steps(brake)["endpoint 6001"] is BrakeStep.STOP
    assert brake_steps(brake).get("customer customer-1", BrakeStep.NOTHING) < BrakeStep.STOP
    later = STOP_S + CALM_S + 60
    brake.lower_steps(later)
    assert count_passed(brake, [call(0, n, "6002", "customer-1") for n in range(50)], later) == 50


def test_many_lines_of_one_customer_stop_the_customer():
    brake = new_brake()
    assert count_passed(brake, [call(n, n, f"6{n % 60}", "customer-1") for n in range(1000)]) <= 200
    assert brake_steps(brake)["customer customer-1"] is BrakeStep.STOP


def test_calls_that_name_no_line_are_one_line():
    brake = new_brake()
    assert count_passed(brake, [call(n, n, "", "") for n in range(5000)], every_s=0.01) <= 1200
    assert brake_steps(brake) == {"endpoint -": BrakeStep.STOP}


def test_a_local_channel_is_one_line_whatever_it_dials():
    brake = new_brake()
    assert count_passed(brake, [call(n, n, f"{n}@from-internal") for n in range(1000)]) <= 200


def test_a_refused_call_counts_for_nothing_but_a_slowed_one_that_tries_again():
    brake = new_brake()
    for n in range(1000):
        assert brake.count(call(n, n), Reason.NUMBER_UNKNOWN, False, NOON_S + n / 10) == ((), ())
    assert not brake.holds()


def test_the_kinds_that_the_operator_names():
    kinds = LineKinds(frozenset({"201"}), frozenset({"centre"}), frozenset({"reseller"}))
    fast = {name: [call(n, n, name) for n in range(600)] for name in ("201", "centre", "reseller", "other")}
    found = {name: count_passed(new_brake(kinds=kinds), calls) for name, calls in fast.items()}
    assert found["201"] <= 20 < found["other"] <= found["centre"] < 200
    assert found["reseller"] == 600


def test_a_stop_stays_and_the_other_steps_end_by_themselves():
    brake = new_brake()
    stopped(brake)
    for _ in offer(brake, (call(n, n, "6002") for n in range(140))):
        pass
    assert brake_steps(brake)["endpoint 6002"] is BrakeStep.SLOW
    brake.lower_steps(STOP_S + CALM_S - 60)
    assert brake_steps(brake)["endpoint 6002"] is BrakeStep.SLOW
    brake.lower_steps(STOP_S + CALM_S)
    assert brake_steps(brake) == {"endpoint 6001": BrakeStep.STOP}
    brake.lower_steps(STOP_S + 100 * DAY_S)
    assert count_passed(brake, [call(0)], STOP_S + 100 * DAY_S) == 0


def test_a_released_line_calls_again_until_it_is_stopped_again():
    brake = new_brake()
    hold = stopped(brake)
    assert brake.release(hold.token, STOP_S)
    assert not brake.holds()
    assert count_passed(brake, [call(n % 3, n) for n in range(50)], STOP_S) == 50
    assert not brake.release(hold.token, STOP_S)
    assert count_passed(brake, [call(n, n) for n in range(200)], STOP_S + 3600) < 200, "it is stopped again"


@pytest.mark.parametrize("highest", [BrakeStep.MARK, BrakeStep.SLOW])
def test_the_highest_step_that_the_operator_allows(highest):
    brake = new_brake(highest=highest)
    result = list(offer(brake, (call(n, n) for n in range(1000))))
    assert brake_steps(brake)["endpoint 6001"] is highest
    assert {reason for reason, _ in result} == ({None} if highest is BrakeStep.MARK else {None, Reason.BRAKE_SLOW})


def test_a_slowed_line_has_the_pace_of_its_kind():
    brake = new_brake(highest=BrakeStep.SLOW)
    for _ in offer(brake, (call(n, n) for n in range(200))):
        pass
    assert count_passed(brake, [call(n, n) for n in range(600)], NOON_S + 20, 0.1) == pytest.approx(30, abs=2)


def test_shares_mark_and_slow_a_known_line_and_never_stop_it():
    def ending(brake: Brake, short: bool, calls: int, every_s: float = 15.0) -> BrakeStep:
        for n in range(calls):
            at_s = NOON_S + n * every_s
            each = call(0, n)
            found, _ = brake.count(each, Reason.LICENCE_VALID, True, at_s)
            brake.ended(found, each.id, 5.0 if short else 90.0, None, False, at_s)
        return max(brake_steps(brake).values(), default=BrakeStep.NOTHING)

    known = new_brake()
    ordinary_days(known, 10)
    assert ending(known, False, 200) is BrakeStep.NOTHING
    marked = new_brake()
    ordinary_days(marked, 10)
    assert ending(marked, True, 20) is BrakeStep.MARK
    assert ending(marked, True, 180) is BrakeStep.SLOW
    assert ending(new_brake(), True, 200) is BrakeStep.NOTHING, "nobody knows what is usual for a new line"


def test_calls_that_fail_say_nothing_of_the_line():
    """While a carrier is down, each call fails at once."""
    brake = new_brake()
    ordinary_days(brake, 10)
    for n in range(500):
        found = brake.find(call(0, n), NOON_S + n)
        assert not brake.ended(found, "c", None, None, False, NOON_S + n)


def test_a_clock_that_is_set_back_or_forward_stops_no_ordinary_line():
    brake = new_brake()
    at_s = NOON_S
    for shift_s in (0, -3600, 7200, -DAY_S, 3 * DAY_S, -0.5, 10.0):
        at_s += shift_s
        assert count_passed(brake, [call(n % 20, n) for n in range(300)], at_s, 0.2) == 300
    assert not [hold for hold in brake.holds() if hold.step > BrakeStep.MARK]


def test_calls_of_the_hook_count_when_their_lines_are_read():
    """The calls of a ten-minute backlog count at their own times, not at the time of reading.

    A burst in the backlog stops the line.
    """
    slow, fast = new_brake(), new_brake()
    for n in range(600):
        slow.count_late(call(n % 300, n), True, NOON_S - 600 + n, NOON_S)
        fast.count_late(call(n, n), True, NOON_S - 600 + n / 20, NOON_S)
    assert not [hold for hold in slow.holds() if hold.step > BrakeStep.MARK]
    assert brake_steps(fast)["endpoint 6001"] is BrakeStep.STOP
    assert count_passed(fast, [call(0)], NOON_S) == 0


def test_a_call_before_its_release_does_not_stop_a_line_again():
    """A restarted service may read the call's line in the journal only after the release."""
    brake = new_brake()
    hold = stopped(brake, first_s=NOON_S)
    brake.release(hold.token, NOON_S + 600)
    for n in range(600):
        brake.count_late(call(n, n), True, NOON_S + 570 + n / 20, NOON_S + 601)
    assert hold.token not in {each.token for each in brake.holds()}
    for n in range(600):
        brake.count_late(call(n, n), True, NOON_S + 602 + n / 20, NOON_S + 640)
    assert hold.token in {each.token for each in brake.holds()}, "calls after it count"


def test_days_change_in_japan_and_only_ordinary_days_are_learned():
    brake = new_brake()
    ordinary_days(brake, 6)
    hold = stopped(brake, first_s=NOON_S)
    brake.release(hold.token, NOON_S + 3600)
    assert count_passed(brake, [call(0)], NOON_S + DAY_S) == 1
    [token] = [brake._token(each) for each in brake._endpoints]
    assert len(brake.lines()[token]["days"]) == 6, "the day of the stop is no ordinary one"
    assert JAPAN.utcoffset(None).total_seconds() == 9 * 3600


# -- nothing makes it grow --------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400)), max_size=600))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_memory_is_bounded_whoever_invents_numbers_and_lines(calls):
    brake = new_brake(most_lines=20, most_numbers=10)
    for _ in offer(brake, (call(a, b, f"e{c}", f"a{c}", f"t{c}") for a, b, c in calls)):
        pass
    for kind, table in brake._tables.items():
        assert len(list(table)) <= (10 if kind is SubjectKind.NUMBER else 20)


def test_a_stop_is_kept_when_its_line_is_forgotten():
    brake = new_brake(most_lines=20, most_numbers=10)
    stopped(brake)
    for _ in offer(brake, (call(0, n, f"e{n}") for n in range(500)), STOP_S):
        pass
    assert count_passed(brake, [call(0)], STOP_S + 100) == 0
    assert brake_steps(brake)["endpoint 6001"] is BrakeStep.STOP


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=300))
@settings(max_examples=60, deadline=None)
def test_steps_only_rise_until_they_are_calmed_or_released(calls):
    brake, at_s, seen = new_brake(), NOON_S, [BrakeStep.NOTHING]
    for n, (burst, pause_s) in enumerate(calls):
        at_s += pause_s
        for _ in offer(brake, (call(n * 10 + m, m) for m in range(burst * 10)), at_s, 0.01):
            seen.append(brake_steps(brake).get("endpoint 6001", BrakeStep.NOTHING))
    assert all(before <= after for before, after in pairwise(seen))


# -- restart, and other nodes -----------------------------------------------------------------------------------------


def restarted(brake: Brake, node: str = "pbx-1") -> Brake:
    """The brake after a restart, restored from its state as JSON."""
    state, lines = json.loads(json.dumps(brake.state())), json.loads(json.dumps(brake.lines()))
    again = new_brake(node)
    again.restore(list(map(Hold.of_json, state["holds"])), releases_of_json(state["released"]), state["windows"], lines)
    return again


def test_a_restart_keeps_steps_windows_releases_and_what_is_usual():
    brake = new_brake()
    ordinary_days(brake, 10, endpoint="6003")
    stopped(brake)
    released = stopped(brake, "6004")
    brake.release(released.token, STOP_S)
    half = [call(n, n, "6002") for n in range(100)]
    assert count_passed(brake, half, STOP_S) == 100
    again = restarted(brake)
    assert count_passed(again, [call(0)], STOP_S + 11) == 0
    assert count_passed(again, [call(0, 0, "6004")], STOP_S + 11) == 1
    rest = count_passed(again, [call(n, n, "6002") for n in range(100, 400)], STOP_S + 11)
    assert 30 <= rest <= 45, "the hundred numbers before the restart count"
    repeated = restarted(brake)
    assert count_passed(repeated, half, STOP_S + 11) == 100, "and the same numbers are not counted twice"
    assert count_passed(again, [call(0, n, "6003") for n in range(1000)], STOP_S + 11) <= 125, "it is a known line"


def test_no_number_is_in_what_is_kept():
    brake = new_brake()
    for _ in offer(brake, (call(n, n, "0312345678") for n in range(200))):
        pass
    assert brake_steps(brake) == {"endpoint": BrakeStep.STOP}
    for _ in offer(brake, (call(7, n, f"e{n}") for n in range(500))):
        pass
    text = json.dumps([brake.state(), brake.lines(), brake.stops_to_share()])
    for secret in ("0312345678", "312345678", "+81", number(7).e164, number(7).e164[1:]):
        assert secret not in text


@given(st.lists(st.sampled_from(["stop", "release", "tell one", "tell other", "restart"]), max_size=12))
@settings(max_examples=80, deadline=None)
def test_two_nodes_come_to_the_same_end_in_whatever_order_they_hear_of_each_other(acts):
    nodes, at_s = [new_brake("pbx-1"), new_brake("pbx-2")], NOON_S
    held = False

    def tell(source: int) -> None:
        told = json.loads(json.dumps(nodes[source].stops_to_share()))
        nodes[1 - source].take_over_stops(
            list(map(Hold.of_json, told["stops"])), releases_of_json(told["released"]), at_s
        )

    for place, act in enumerate(acts):
        at_s += 3600
        if act == "stop":
            stopped_now = count_passed(nodes[place % 2], [call(n, n) for n in range(200)], at_s) < 200
            assert stopped_now
            held, at_s = True, at_s + 60
        elif act == "release":
            tell(0), tell(1)
            for hold in nodes[place % 2].holds():
                nodes[place % 2].release(hold.token, at_s)
            tell(0), tell(1)
            held = False
        elif act == "restart":
            nodes[place % 2] = restarted(nodes[place % 2], f"pbx-{place % 2 + 1}")
        else:
            tell(act == "tell other")
    tell(0), tell(1), tell(0)
    for node in nodes:
        assert (count_passed(node, [call(0)], at_s + 60) == 0) is held


def test_a_node_obeys_a_stop_of_another_node_for_a_line_that_it_knows_and_for_one_that_it_does_not():
    one, other = new_brake("pbx-1"), new_brake("pbx-2")
    assert count_passed(other, [call(0)], NOON_S) == 1
    holds = [stopped(one), stopped(one, "6002")]
    other.take_over_stops(holds, {}, STOP_S)
    assert count_passed(other, [call(0), call(0, 0, "6002"), call(0, 0, "6003")], STOP_S) == 1
    assert {hold.node for hold in other.holds()} == {"pbx-1"}
    marking = new_brake("pbx-3", highest=BrakeStep.MARK)
    marking.take_over_stops(holds, {}, STOP_S)
    assert count_passed(marking, [call(0)], STOP_S) == 1, "its operator allows no stop"


@pytest.mark.parametrize(
    "damage",
    [{"token": "x"}, {"token": "00"}, {"kind": "x"}, {"step": "x"}, {"since_s": None}, {"label": None, "line": 1}],
)
def test_what_is_no_hold_is_refused(damage):
    told = stopped(new_brake()).to_json() | damage
    with pytest.raises((ValueError, TypeError, LookupError)):
        Hold.of_json(told)


def test_damaged_windows_of_a_line_are_left_out():
    brake = new_brake()
    token = stopped(brake).token
    for damaged in ({"days": ["x"]}, {"days": [[1, 2]]}, {"windows": {}}, {"windows": {"hour_end": "x"}}, {"days": 5}):
        again = new_brake()
        again.restore([], {}, {}, {token: damaged})
        assert count_passed(again, [call(0)], STOP_S) == 1
    assert stops_at(LineKind.PBX, [NO_COUNTS] * 7)[Signal.CALLS] == LIMITS[LineKind.PBX][Signal.CALLS].floor


# -- the case of 2025, and ordinary days ------------------------------------------------------------------------------


def test_few_calls_of_the_case_of_2025_pass():
    for seed in range(3):
        found = replay_case(seed, 5000)
        assert found["stop"] <= 200
        assert found["passed"] <= 200


def test_ordinary_days_of_200_customers_are_not_braked():
    """`make bench-brake` simulates a year in the same way."""
    found = replay_year(7, 1)
    assert found["calls"] > 10_000
    assert (found["refused"], found["stop"], found["slow"]) == (0, 0, 0)


# -- a surge: something has happened to everybody ---------------------------------------------------------------------


def offices(brake: Brake, lines: int, days: int = 10, an_hour: int = 400) -> None:
    """Let `lines` known lines make `an_hour` calls an hour on `days` ordinary days."""
    for day in range(-days, 0):
        busy(brake, lines, an_hour, NOON_S + day * DAY_S)


def busy(brake: Brake, lines: int, an_hour: int, first_s: float = NOON_S) -> list[Reason | None]:
    """Let the first lines make calls at the same time for an hour.

    Returns the reason of the refusal, or None, for each call.
    """
    calls = [call(line, hour, f"office-{line}") for hour in range(an_hour) for line in range(lines)]
    return [reason for reason, _ in offer(brake, calls, first_s, 3600 / len(calls))]


def test_lines_that_all_call_six_times_as_much_are_marked_and_not_slowed_or_stopped():
    """The case is an earthquake, tested with the minimum number of lines that can show a surge, and with more."""
    for lines in (3, 9):
        brake = new_brake()
        offices(brake, lines)
        assert not any(busy(brake, lines, 6 * 400))
        assert brake.is_surge(NOON_S + 3600)
        assert {hold.step for hold in brake.holds() if hold.kind is SubjectKind.ENDPOINT} == {BrakeStep.MARK}


@rest_in_breadth(("lines", "of"), [(1, 3), (2, 3), (3, 13)])
def test_few_lines_that_call_six_times_as_much_are_stopped(lines, of):
    """Two lines are too few for a surge. Three are too few while ten others call as usual."""
    brake = new_brake()
    offices(brake, of)
    busy(brake, of, 20, NOON_S - 600)
    busy(brake, lines, 6 * 400)
    assert not brake.is_surge(NOON_S + 3600)
    stopped_lines = [hold for hold in brake.holds() if hold.step is BrakeStep.STOP]
    assert len(stopped_lines) == lines


def test_a_surge_does_not_hide_the_line_that_calls_far_more_or_presents_other_numbers():
    brake = new_brake()
    offices(brake, 8)
    busy(brake, 8, 6 * 400)
    robot = [call(7, n, "office-7") for n in range(10_000)]
    assert count_passed(brake, robot, NOON_S + 3600, 0.05) < 6000
    assert brake_steps(brake)["endpoint office-7"] is BrakeStep.STOP
    assert count_passed(brake, [call(n, n, "office-6") for n in range(200)], NOON_S + 4000) <= 45
    assert brake_steps(brake)["endpoint office-6"] is BrakeStep.STOP


def test_a_surge_ends_hours_after_the_last_marks():
    brake = new_brake()
    offices(brake, 4)
    busy(brake, 4, 6 * 400)
    calm_s = next(
        at_s for at_s in range(0, 4 * 3600, 60) if not (brake.lower_steps(NOON_S + 3600 + at_s), brake.holds())[1]
    )
    assert brake.is_surge(NOON_S + 3600 + calm_s)
    assert not brake.is_surge(NOON_S + 3600 + calm_s + SURGE_S)


def test_what_was_slowed_before_the_surge_was_seen_may_go_on():
    brake = new_brake()
    offices(brake, 4)
    busy(brake, 1, 1300, NOON_S - 3600)
    assert brake_steps(brake)["endpoint office-0"] is BrakeStep.SLOW
    busy(brake, 4, 4 * 400)
    assert brake.is_surge(NOON_S + 3600)
    assert brake_steps(brake)["endpoint office-0"] is BrakeStep.MARK
