"""The size of a fleet, calculated from the cost of one call."""

import json
import math

import pytest

from bench.fleet.fleet_page import FIGURES, PAGES, replace_tables, tables
from bench.fleet.fleet_sizing import (
    PARTS,
    CallCost,
    FleetDemand,
    PartCost,
    TalkCost,
    million_calls_cost,
    nodes_for,
    predict_load,
    size_fleet,
    talk_load,
)

ONE = CallCost(
    {name: PartCost(per_call_ms=10 * place, per_node_second_ms=place) for place, name in enumerate(PARTS, 1)},
    rows_per_call=8,
    database_bytes_per_call=2000,
    wal_bytes_per_call=3000,
    wal_bytes_per_node_second=500,
    ledger_bytes_per_call=1500,
)
CARRIER = FleetDemand(calls_per_day=10e6, nodes=100, busy_share=0.12)


def test_a_carriers_busiest_hour():
    needed = size_fleet(ONE, CARRIER)
    assert math.isclose(needed.busy_calls_per_s, 10e6 * 0.12 / 3600)
    assert math.isclose(needed.busy_calls_per_s_of_node, needed.busy_calls_per_s / 100)
    assert math.isclose(needed.processors["asterisk"], (20 * needed.busy_calls_per_s + 2 * 100) / 1000)
    both = needed.processors["asterisk"] + needed.processors["service"]
    assert math.isclose(needed.processors_of_node, both / 100)
    assert needed.transactions_per_s == 200
    assert math.isclose(needed.rows_per_year, 10e6 * 365 * 8)
    assert math.isclose(needed.ledger_bytes_per_year_of_node * 100, 10e6 * 365 * 1500)
    assert math.isclose(needed.wal_bytes_per_day, 10e6 * 3000 + 86_400 * 100 * 500)
    assert needed.witness_requests_per_hour == 100 * 2 * 60


def test_what_long_calls_take_of_a_node():
    """The number of calls in progress decides, not the number of new calls."""
    talk = TalkCost(asterisk_ms_per_s=2.0, asterisk_mb=0.1, open_files=10)
    needed = talk_load(ONE, talk, CARRIER, talk_s=180)
    assert math.isclose(needed.in_progress, 60_000)
    assert math.isclose(needed.in_progress_of_node, 600)
    assert math.isclose(needed.packets_per_s_of_node, 60_000)
    assert math.isclose(needed.set_up_processors_of_node, size_fleet(ONE, CARRIER).processors_of_node)
    assert math.isclose(needed.talk_processors_of_node, 1.2)
    assert (round(needed.asterisk_mb_of_node), round(needed.open_files_of_node)) == (60, 6000)
    assert nodes_for(ONE, talk, CARRIER, 180, processors=3.0) == 46, "(120 + 50 / 3 + 46 * 0.005) / 46 is 2.98"


def test_a_million_calls_cost_what_each_costs():
    cost = million_calls_cost(ONE)
    assert math.isclose(cost.processor_hours["kamailio"], 10_000 / 3600)
    assert (cost.database_bytes, cost.ledger_bytes, cost.wal_bytes) == (2e9, 1.5e9, 3e9)


def test_what_more_nodes_would_take():
    one, three = predict_load(ONE, 20, 1), predict_load(ONE, 20, 3)
    assert math.isclose(three["kamailio"] - one["kamailio"], 2 * 0.001)
    assert (one["wal_bytes_per_s"], three["wal_bytes_per_s"]) == (60_500, 61_500)


@pytest.mark.parametrize("language", PAGES)
def test_the_pages_have_the_figures_of_the_last_run(language):
    text = PAGES[language].read_text("utf-8")
    assert replace_tables(text, tables(json.loads(FIGURES.read_text("utf-8")), language)) == text
