"""A ledger that several processes read in parts: what they take from before their part, and what becomes of it."""

from __future__ import annotations

import os

import pytest

from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification import parts
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.sample_calls import of_all_kinds
from lab.ledger.sample_evidence import LOG, PLAY, at, days_of, decided, evidence, fallback, heard_call
from lab.ledger.sample_ledger import faults, query, write
from lab.ledger.verification.in_parts import in_parts


def verified(url):
    with LedgerReader.open(url, days_of(url)) as reader:
        return verify_ledger(reader, LOG)


def test_wherever_a_ledger_is_cut_its_parts_make_the_whole(filled, file, monkeypatch):
    whole = verified(filled)
    last = whole.steps
    joined = in_parts(monkeypatch)
    for place in range(1, last):
        cut = [parts.Cut(0, place, None, place - 40), parts.Cut(place, last, place - 40, None)]
        monkeypatch.setattr(parts, "cuts", lambda last, processes, cut=cut: cut)
        assert verified(filled) == whole
    assert joined == [True] * (last - 1)


def test_a_call_with_two_decisions_in_two_parts_is_read_as_a_whole(url, monkeypatch):
    """The second one looks like the beginning of a call."""
    write(url, [fallback(None, None, call_id="late"), *heard_call("c-2", 10), decided(PLAY, "late", 20)])
    write(url, [steps.ended("late", at(100_000), CallStatus.CONNECTED), *evidence(4)])
    whole = verified(url)
    joined = in_parts(monkeypatch)
    monkeypatch.setattr(parts, "cuts", lambda last, processes: [parts.Cut(0, 7, None, 0), parts.Cut(7, last, 0, None)])
    assert verified(url) == whole
    assert joined == []
    assert whole.faults == []


def test_calls_of_all_kinds_are_good_in_parts(url, monkeypatch):
    write(url, of_all_kinds())
    whole = verified(url)
    for count in range(2, 12):
        in_parts(monkeypatch, count)
        assert verified(url) == whole


def test_a_step_in_no_leaf_is_found_although_its_call_goes_on_in_another_part(filled, file, monkeypatch):
    """Its call begins with a decision in the second part, so nothing was looked up before it."""
    ((first, node, call_id),) = query(
        file, "SELECT min(id), node, call_id FROM steps WHERE call_id = 'pbx-1-1793491200.8'"
    )
    query(file, "UPDATE steps SET id = -id WHERE id < ?", first)
    query(file, "UPDATE steps SET id = -id - 1 WHERE id < 0")
    details = "SELECT details FROM steps WHERE kind = 'answered' LIMIT 1"
    query(
        file,
        f"INSERT INTO steps SELECT ?, ?, ?, 'answered', at, ({details}), NULL FROM steps WHERE id = ?",  # noqa: S608
        first - 1, node, call_id, first,
    )  # fmt: skip
    whole = faults(filled)
    in_parts(monkeypatch)
    monkeypatch.setattr(
        parts, "cuts", lambda last, processes: [parts.Cut(0, first - 1, None, 0), parts.Cut(first - 1, last, 0, None)]
    )
    assert any(call_id in fault for fault in whole)
    assert faults(filled) == whole


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_find_what_one_finds(filled, file, damaged, monkeypatch):
    if damaged:
        query(file, "UPDATE steps SET at = at + 1 WHERE id = (SELECT max(id) - 6 FROM steps)")
    whole, reached = verified(filled), []
    monkeypatch.setattr(parts, "LEAST_STEPS", 10)
    with LedgerReader.open(filled, days_of(filled)) as reader:
        assert verify_ledger(reader, LOG, processes=3, progress=lambda *far: reached.append(far)) == whole
    assert bool(whole.faults) == damaged
    assert reached[-1] == (whole.steps, whole.steps)


def die(asked: parts.Asked, progress: object) -> None:
    if asked.cut.after:
        os._exit(9)


def need_a_closer_look(asked: parts.Asked, progress: object) -> None:
    return None


@pytest.mark.parametrize("reader", [die, need_a_closer_look])
def test_a_part_that_a_process_could_not_read_leaves_it_to_one_process(reader, monkeypatch):
    asked = [parts.Asked("", "", b"", 20, cut, {}) for cut in parts.evenly(20, 2)]
    assert parts.read(asked, reader, lambda steps: None) is None


def test_each_step_and_each_token_is_in_one_part():
    for count in range(2, 17):
        found = parts.evenly(1000, count)
        assert [cut.after for cut in found] == [0, *(cut.until for cut in found[:-1])]
        assert [cut.above for cut in found] == [None, *(cut.up_to for cut in found[:-1])]
        assert (found[-1].until, found[-1].up_to) == (1000, None)
    least = parts.LEAST_STEPS
    assert [len(parts.cuts(last, 4)) for last in (2 * least - 1, 2 * least, 9 * least)] == [0, 2, 4]
    assert parts.cuts(9 * least, 1) == []
