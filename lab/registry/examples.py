"""A small valid registry, and functions that make it invalid."""

from collections.abc import Iterable

from idtone.core.errors import DocumentError, Fault
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document

GOOD = """\
registry: {association: JUSA, version: 42, issued: 2026-11-01T00:00:00+09:00, expires: 2036-12-01T00:00:00+09:00}
tones:
  - {id: sample, title: Sample sound}
members:
  - id: m-0001
    name: {ja: 良い電話株式会社, en: Good Telecom}
    pledge: {signed: 2026-01-05}
    licences:
      - id: L-0001
        tone: sample
        status: active
        valid: {from: 2026-01-10T00:00:00+09:00, until: 2037-01-10T00:00:00+09:00}
        directions: [incoming, outgoing]
    numbers: ["0312345678", "+81312345600-+81312345699", "0612345*"]
  - id: m-0002
    name: {ja: 次の電話株式会社, en: Next Telecom}
    pledge: {signed: 2026-01-06}
    licences: []
    numbers:
      - "0312340001"
suspensions:
  - {number: "0312345677", since: 2026-03-01T00:00:00+09:00, reference: R-1}
"""
"""Members and numbers of the design's example. Entries that tests change are on separate lines."""


def replace_in_good(old: str, new: str) -> str:
    """`GOOD` with its only occurrence of `old` replaced. Raises AssertionError unless it occurs once."""
    assert GOOD.count(old) == 1, f"{old!r} must stand once in the example"
    return GOOD.replace(old, new)


def with_numbers(*members: Iterable[str]) -> str:
    """A registry with one member for each list of entries."""
    head = GOOD[: GOOD.index("members:")]
    lines = ["members:"]
    for m, entries in enumerate(members):
        lines += [f"  - id: m-{m}", "    name: {ja: 甲, en: A}", "    numbers:" if entries else "    numbers: []"]
        lines += [f'      - "{entry}"' for entry in entries]
    return head + "\n".join(lines) + "\n"


def with_keys(text: str, **keys: Iterable[object]) -> str:
    """The registry `text` with keys of nodes. `m1=…` gives the keys of member m-0001."""
    for member, given in keys.items():
        line = f"  - id: m-000{member[1:]}\n"
        text = text.replace(line, f"{line}    keys: {[str(key) for key in given]}\n")
    return text


def index_of(text: str) -> RegistryIndex:
    return RegistryIndex(parse_document(text, "registry.yaml"))


def faults_of(text: str) -> tuple[Fault, ...]:
    """Faults of `text`, or an empty tuple if it is valid."""
    try:
        parse_document(text, "registry.yaml")
    except DocumentError as error:
        return error.faults
    return ()


def valid_until_2096(sha256: str = "") -> str:
    """A registry in which 0312345678 may use the sound `sample`.

    If `sha256` is given, the number may use only the master with this digest.
    """
    text = GOOD.partition("  - id: m-0002")[0].replace("2036-12-01", "2096-12-01").replace("2037-01-10", "2096-01-10")
    return text.replace("Sample sound", f"Sample sound, sha256: {sha256}") if sha256 else text
