"""Functions for long reads, which run in separate processes.

This module imports neither pages nor the server, so the process stays small.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.numbers import Number
from idtone.core.settings.settings import Settings
from idtone.core.signed_notes import VerifierKey
from idtone.core.terminal.spreadsheet_csv import csv_lines
from idtone.ledger.disclosure.disclosure_index import IndexEntry, disclosure_index, figures
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.disclosure.pack_verification import PackVerdict, verify_pack_files
from idtone.ledger.evidence.leaves import ACT_ID
from idtone.ledger.evidence.record_fields import fields_of
from idtone.ledger.store.call_search import CallPlace, search_calls
from idtone.ledger.store.ledger_reader import LedgerReader

from .call_rows import ShownCalls, lines_of
from .operator.call_query import CallQuery
from .operator.masked_reader import opening_reader
from .operator.selected_ledger import ledger_of
from .read_process import others_wait

SEARCH_S: Final = 0.5
"""Limit on the processor time of one search, in seconds.

Once it is reached, the page shows the calls found so far and how far the search got. A limit on elapsed time would cut
off even short searches on a busy node, where calls have priority.
"""
CROWDED_SEARCH_S: Final = 0.025
"""Limit used instead of `SEARCH_S` while other visitors are waiting to search."""
CSV_PART_S: Final = 0.5


def calls_by_query(settings: Settings, query: CallQuery, limit: int, opens: bool, language: str) -> ShownCalls:
    """One page of the calls that match a query, rendered in `language`.

    `opens` is True if the visitor may open numbers. Raises LedgerError, or UsageError if the node does not exist.
    """
    began_s = time.thread_time()
    newer = query.after is not None
    with ledger_of(settings, query.node, opens=opens).reader as reader:
        found = search_calls(
            reader,
            query.wanted,
            query.start,
            query.end,
            place=query.after if newer else query.before,
            newer=newer,
            limit=limit,
            enough=lambda: time.thread_time() - began_s >= (CROWDED_SEARCH_S if others_wait() else SEARCH_S),
        )
    lines = lines_of(found.records, language, node=query.node)
    newest, oldest = (found.places[0], found.places[-1]) if found.places else (None, None)
    return ShownCalls(lines, len(found.records), newest, oldest, found.reached)


class CsvPart(NamedTuple):
    """Part of a CSV file. The next part begins at `reached`, which is None in the last part."""

    text: str
    calls: int
    reached: CallPlace | None


def csv_part(settings: Settings, query: CallQuery, place: CallPlace | None, limit: int, opens: bool) -> CsvPart:
    """Some of the calls before `place` that match a query, as CSV lines. Raises LedgerError, UsageError."""
    until_s = time.thread_time() + CSV_PART_S
    with ledger_of(settings, query.node, opens=opens).reader as reader:
        found = search_calls(
            reader,
            query.wanted,
            query.start,
            query.end,
            place=place,
            limit=limit,
            enough=lambda: time.thread_time() >= until_s,
        )
    return CsvPart(csv_lines(fields_of(record) for record in found.records), len(found.records), found.reached)


def calls_by_id(settings: Settings, query: CallQuery, limit: int, opens: bool, language: str) -> str | ShownCalls:
    """The calls whose id begins with the query's `call`, newest first, or the id itself if exactly one call matches.

    Raises the same errors as `calls_by_query`.
    """
    with ledger_of(settings, query.node, opens=opens).reader as reader:
        if not query.call.startswith(ACT_ID) and reader.knows(query.call):
            return query.call
        names = [name for name in reader.call_ids(query.call, limit) if not name.startswith(ACT_ID)]
        if len(names) == 1:
            return names[0]
        records = [record for record in reader.records_of(names) if query.wanted.accepts(record)][::-1]
    return ShownCalls(lines_of(records, language, node=query.node), len(records))


def calls_by_number(
    settings: Settings,
    wanted: Number | str,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    requests: bool,
    language: str,
) -> ShownCalls:
    """The newest calls with a number or a SIP Call-ID.

    `requests` is True if the visitor may request evidence. Raises LedgerError.
    """
    with opening_reader(settings) as reader:
        if isinstance(wanted, Number):
            records = reader.find(wanted, start, end, limit)[::-1]
        else:
            records = reader.find_sip_call_id(wanted, start, end)[: -limit - 1 : -1]
    return ShownCalls(lines_of(records, language, requests=requests), len(records))


def disclosures(settings: Settings, year: int, now: datetime) -> list[IndexEntry]:
    """Index of a year's disclosures. Raises LedgerError."""
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        return disclosure_index(reader.acts(), year, now)


def disclosures_pdf(settings: Settings, year: int, now: datetime) -> bytes:
    """Index of a year's disclosures as a PDF. Raises LedgerError."""
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other reads do not need
    from idtone.ledger.disclosure.disclosure_papers import index_paper

    entries = disclosures(settings, year, now)
    return as_pdf(index_paper(year, entries, figures(entries), now))


def verify_pack(file: Path, key: str, limit: int) -> PackVerdict:
    """Verify a pack and return the verdict.

    `limit` is the maximum size in bytes of both the file and its unpacked content. Raises IdtoneError.
    """
    log = VerifierKey.parse(key) if key else None
    try:
        files = read_zip(file, limit)
    except IdtoneError as error:
        raise UsageError("this is no pack, or it is damaged") from error
    return verify_pack_files(files, log, now=datetime.now(UTC))
