"""A large registry, and suspensions in it.

Each member has a range, a prefix and single numbers.
"""

import random
from datetime import datetime
from typing import Final

from idtone.registry.model import SuspensionEntry, SuspensionsDocument

RANGE: Final = 50
PREFIX: Final = 10
"""Number of numbers in a member's range (RANGE), and in its prefix. Its other numbers are single, and no two are
neighbours.
"""
FIRST_ISSUED: Final = datetime.fromisoformat("2026-11-02T00:00:00+09:00")
HEADER: Final = """\
registry: {association: JUSA, version: %d, issued: 2026-11-01T00:00:00+09:00, expires: 2036-12-01T00:00:00+09:00}
tones: [{id: sample, title: Sample sound}]
members:
"""
MEMBER: Final = """\
  - id: m-%05d
    name: {ja: 会員%05d, en: Member %05d}
    pledge: {signed: 2026-01-05}
    licences:
      - {id: L-%05d, tone: sample, status: active, directions: [incoming, outgoing],
         valid: {from: 2026-01-10T00:00:00+09:00, until: 2036-01-10T00:00:00+09:00}}
    numbers: [%s]
"""


def first_number(member: int, each: int) -> tuple[str, int]:
    """Area code and first number of a member with `each` numbers.

    Each member has a block in Tokyo or Osaka.
    """
    width = RANGE + PREFIX + 2 * (each - RANGE - PREFIX)
    return ("03", "06")[member % 2], 10_000_000 + (member // 2) * (width + -width % 10)


def single_number(place: int) -> int:
    """Offset of a single number from the member's first number."""
    return 2 * place - RANGE - PREFIX + 1


def registry_text(numbers: int, members: int, version: int = 1) -> str:
    """YAML text of a registry of `numbers` numbers, spread evenly over the members."""
    each = numbers // members
    lines = [HEADER % version]
    for member in range(members):
        area, first = first_number(member, each)
        entries = [f"{area}{first}-{area}{first + RANGE - 1}", f"{area}{(first + RANGE) // 10}*"]
        entries += [f"{area}{first + single_number(place)}" for place in range(RANGE + PREFIX, each)]
        held = ", ".join(f'"{entry}"' for entry in entries)
        lines.append(MEMBER % (member, member, member, member, held))
    return "".join(lines)


def some_number(dice: random.Random, numbers: int, members: int) -> str:
    """Draw a random number that a member holds; all are equally likely."""
    each = numbers // members
    area, first = first_number(dice.randrange(members), each)
    place = dice.randrange(each)
    return f"{area}{first + (place if place < RANGE + PREFIX else single_number(place))}"


def suspend_ranges(spans: int, members: int, each: int, stock: bool) -> SuspensionsDocument:
    """Suspensions of `spans` ranges of ten numbers, spread evenly over the members.

    With `stock`, all numbers of the first member are suspended too.
    """
    since = FIRST_ISSUED
    entries = [SuspensionEntry(member="m-00000", since=since, reference="R-0")] if stock else []
    for place in range(spans):
        area, first = first_number(place % members, each)
        start = first + 10 * (place // members)
        entries.append(SuspensionEntry(numbers=f"{area}{start}-{area}{start + 9}", since=since, reference=f"R-{place}"))
    return SuspensionsDocument(issued=since, suspensions=tuple(entries))
