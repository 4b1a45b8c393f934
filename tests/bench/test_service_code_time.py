from bench.service_code_time import measure


def test_each_part_of_a_call_is_measured():
    found = measure(160)
    parts = {name for name in found if name != "whole_us"}
    assert parts == {"event_us", "verdict_us", "answer_us", "journal_us", "writer_us"}
    assert all(figure > 0 for figure in found.values())
