from bench.service_code_time import measure

PARTS = {"event", "verdict", "answer", "journal", "writer"}


def test_each_part_of_a_call_is_measured_with_full_and_with_empty_caches():
    found = measure(80)
    parts = {name for name in found if not name.startswith("whole")}
    assert parts == {f"{part}_{caches}_us" for part in PARTS for caches in ("warm", "cold")}
    assert all(figure > 0 for figure in found.values())
