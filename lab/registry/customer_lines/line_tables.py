"""Tables of lines for tests, and calls that present the lines' numbers."""

from datetime import UTC, datetime, timedelta

from idtone.core.calls import Direction, ForwardedCall
from idtone.core.numbers import parse
from idtone.core.yaml_documents import parse as parse_document
from idtone.registry.customer_lines.consistency import document_faults
from idtone.registry.customer_lines.index import LinesIndex, compile_lines
from idtone.registry.customer_lines.lines_document import LinesDocument, entries_of

NOW = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)
GOOD = """
lines:
  - customer: c-1
    endpoints: ["6001", "6002"]
    accounts: [acme]
    numbers: ["0312345678", "0312345600-0312345609", "0612345*"]
    checked: {by: Sato, day: 2026-04-01, document: D-1}
  - customer: c-2
    endpoints: [pbx-kyoto]
    numbers: ["0751234567"]
    from: 2026-04-01
    until: 2026-11-10
    checked: {by: Sato, day: 2026-04-01}
  - customer: c-3
    endpoints: [pbx-kyoto]
    numbers: ["0751234567"]
    from: 2026-11-10
  - customer: c-4
    accounts: [tenant-4]
  - customer: c-4
    endpoints: ["6401"]
    numbers: ["0451234501"]
  - customer: c-4
    numbers: ["0451234500", "0451234560-0451234569"]
  - endpoints: [old-line]
    numbers: ["0221234567"]
"""


def index_of(text: str) -> LinesIndex:
    return compile_lines(entries_of(parse_document(text, "numbers.yaml", LinesDocument, document_faults)))


def call(
    number: str, endpoint: str = "", account: str = "", direction: Direction = Direction.OUTGOING
) -> ForwardedCall:
    return ForwardedCall(
        "call-1",
        direction,
        parse(number),
        parse("05011112222"),
        parse("09012345678"),
        endpoint=endpoint,
        account=account,
    )
