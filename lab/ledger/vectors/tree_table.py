"""Leaves of complete trees, and octets of ZIP files, that a verifier must accept or refuse."""

# ruff: noqa: E501 - a row of these tables is one thing that was done

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from ..disclosure.packs import HIDINGS
from .plans import AT, LATE, OTHER, Files, Plan, S, leaf, step, tree

SKEW: Final = 300 * S
"""Allowed difference between clocks, in microseconds."""
WARRANT: Final = "2026-11-02"
LAST_MOMENT: Final = 1_793_631_600 * S - 1
"""Last moment of this day in Japan, in microseconds."""
RECEIVED: Final = "2026-11-01T10:00:00+09:00"
DEMAND: Final = 1_793_494_800 * S

Tree = tuple[str, str | None, list[bytes]]
Zip = tuple[str, str | None, bytes]


def act(number: int, kind: str, request: str | None = None, name: str = "") -> bytes:
    return leaf(
        name or f"act-{number}", step(number, kind, AT + number, {} if request is None else {"request": request})
    )


def disclosed(number: int, kind: str, at: int = AT, **details: object) -> bytes:
    return leaf(f"act-{number}", step(number, kind, at, details))


def good_trees() -> Iterator[Tree]:
    yield "no leaf", None, []
    yield "five leaves", None, tree()
    acts = [act(10, "export-requested"), act(11, "export-approved", "act-10"), act(12, "exported", "act-10"),
            act(13, "export-received"), act(14, "export-confirmed"), act(15, "exported"), act(16, "duty"), act(17, "gap"),
            act(18, "continued"), act(19, "quarantined"), act(20, "forgotten"), act(21, "numbers-opened"),
            act(22, "export-requested"), act(23, "export-refused", "act-22")]  # fmt: skip
    yield (
        "a call that ended three times",
        None,
        [*tree(), leaf(OTHER, step(10, "ended"), after=3), leaf(OTHER, step(11, "ended"), after=4)],
    )
    acts += [act(24, "end-given-up"), act(25, "end-given-up", "act-24")]
    yield "all kinds of acts", None, [*tree(), *acts, act(26, "clock"), act(27, "log-ended")]
    yield (
        "a request for calls that are over, and for one of another tree",
        None,
        [
            *tree(),
            disclosed(10, "export-requested", selected=f'["{LATE}", "{OTHER}","elsewhere"]'),
            leaf(LATE, step(11, "sound-reported"), after=4),
        ],
    )
    for kind in ("export-requested", "exported"):
        yield (
            f"{kind} on the last day of a warrant",
            None,
            [*tree(), disclosed(10, kind, LAST_MOMENT + SKEW, received=RECEIVED, valid_until=WARRANT)],
        )
        yield (
            f"{kind} five minutes before the demand",
            None,
            [*tree(), disclosed(10, kind, DEMAND - SKEW, received=RECEIVED)],
        )
    yield (
        "what was exported says other things than a request",
        None,
        [*tree(), disclosed(10, "exported", selected="3", at=5)],
    )
    yield (
        "an approval after the warrant, which packs show",
        None,
        [
            *tree(),
            disclosed(10, "export-requested", valid_until=WARRANT),
            disclosed(11, "export-approved", LAST_MOMENT + 2 * SKEW, request="act-10"),
        ],
    )
    yield "a million steps of calls in progress", None, [leaf("c", step(1_000_000, "ended"))]
    yield (
        "a late decision",
        None,
        [leaf("c", step(1, "fallback"), step(2, "ended")), leaf("c", step(3, "decided"), after=2)],
    )
    for seed in range(60):
        yield f"calls that overlap, {seed}", None, overlapping(random.Random(seed))


def overlapping(dice: random.Random) -> list[bytes]:
    """Leaves of overlapping calls in a random order. Some calls have steps after their end."""
    open_calls: dict[str, list[dict]] = {}
    over: dict[str, int] = {}
    leaves = []
    for number in range(1, dice.randrange(5, 11)):
        name = f"c-{dice.randrange(4)}"
        if name in over:
            leaves.append(leaf(name, step(number, "sound-reported", AT + dice.randrange(S)), after=over[name]))
            over[name] += 1
        elif name in open_calls and dice.random() < 0.5:
            steps = [*open_calls.pop(name), step(number, dice.choice(["ended", "interrupted"]), AT + number)]
            leaves.append(leaf(name, *steps))
            over[name] = len(steps)
        else:
            kind = "answered" if name in open_calls else "decided"
            open_calls.setdefault(name, []).append(step(number, kind, AT + number, {"why": "x" * dice.randrange(3)}))
    return leaves


def _disclosed(*added: bytes) -> Callable[[list[bytes]], object]:
    return lambda made: made.extend(added)


TREES: Final[dict[str, tuple[str, Callable[[list[bytes]], object]]]] = {
    "a leaf that comes late": ("leaf-order", lambda made: made.insert(2, made.pop(0))),
    "a leaf that changed places": ("leaf-order", lambda made: made.insert(0, made.pop(1))),
    "the first and the last in each other's place": ("leaf-after", lambda made: made.__setitem__(slice(None), made[::-1])),
    "a leaf twice": ("leaf-after", lambda made: made.insert(1, made[1])),
    "a leaf twice at the end": ("leaf-after", lambda made: made.append(made[1])),
    "a first leaf that was taken out": ("leaf-after", lambda made: made.pop(1)),
    "another call's id on a late leaf": ("leaf-after", lambda made: replace(made, 3, LATE, OTHER)),
    "a late leaf of no call": ("leaf-after", lambda made: replace(made, 3, LATE, "c-9")),
    "after is too small": ("leaf-after", lambda made: replace(made, 3, '"after":3', '"after":1')),
    "after is too large": ("leaf-after", lambda made: replace(made, 3, '"after":3', '"after":30')),
    "after is missing": ("leaf-after", lambda made: replace(made, 3, '"after":3,', "")),
    "an end that is none": ("leaf-end", lambda made: replace(made, 0, '"ended"', '"connected"')),
    "a call that was over before": ("leaf-end", lambda made: replace(made, 1, '"sound-started"', '"interrupted"')),
    "two steps after the end": ("leaf-further", lambda made: made.append(leaf(LATE, step(10, "x"), step(11, "x"), after=4))),
    "an act in a call": ("leaf-act", lambda made: replace(made, 0, '"ended"', '"gap"')),
    "an act after a call": ("leaf-act", lambda made: replace(made, 3, '"sound-failed"', '"exported"')),
    "an act by a call's id": ("leaf-act", lambda made: made.append(act(10, "forgotten", name="c-1"))),
    "an act of two steps": ("leaf-act", lambda made: made.append(leaf("act-1", step(10, "duty"), step(11, "duty")))),
    "an act twice": ("leaf-act", lambda made: made.extend([act(10, "duty", name="act-1"), leaf("act-1", step(11, "duty"), after=1)])),
    "steps that descend": ("leaf-steps", lambda made: replace(made, 1, '"id":5', '"id":1')),
    "a step twice": ("leaf-steps", lambda made: replace(made, 1, '"id":2', '"id":5')),
    "a step of another leaf": ("leaf-steps", lambda made: replace(made, 2, '"id":3', '"id":5')),
    "a step of a call that is over": ("leaf-steps", lambda made: replace(made, 2, '"id":3', '"id":4')),
    "a step far away": ("leaf-steps-missing", lambda made: made.append(leaf("c", step(2**52, "ended")))),
    "a million and one steps are missing": ("leaf-steps-missing", lambda made: made.append(leaf("c", step(10**6 + 10, "ended")))),
    "approved before the request": ("act-request", lambda made: made.extend([act(10, "export-approved", "act-11"), act(11, "export-requested")])),
    "an approval of no request": ("act-request", lambda made: made.append(act(10, "export-approved", "act-9"))),
    "a refusal of no request": ("act-request", lambda made: made.append(act(10, "export-refused", "act-9"))),
    "exported before its request": ("act-request", lambda made: made.extend([act(10, "exported", "act-11"), act(11, "export-requested")])),
    "an end given up by nobody first": ("act-request", lambda made: made.append(act(10, "end-given-up", "act-9"))),
    "an end given up before the first person": ("act-request", lambda made: made.extend([act(10, "end-given-up", "act-11"), act(11, "end-given-up")])),
    "an end given up that confirms itself": ("act-request", lambda made: made.append(act(10, "end-given-up", "act-10"))),
    "an end given up that confirms a second": ("act-request", lambda made: made.extend([act(10, "end-given-up"), act(11, "end-given-up", "act-10"), act(12, "end-given-up", "act-11")])),
    "an end given up on a request for calls": ("act-request", lambda made: made.extend([act(10, "export-requested"), act(11, "end-given-up", "act-10")])),
    "approved by an end given up": ("act-request", lambda made: made.extend([act(10, "end-given-up"), act(11, "export-approved", "act-10")])),
    "approved by the name of an end given up": ("act-request", lambda made: made.extend([act(10, "end-given-up"), act(11, "export-approved", "end-given-up act-10")])),
    "exported by the name of an end given up": ("act-request", lambda made: made.extend([act(10, "end-given-up"), act(11, "exported", "end-given-up act-10")])),
    "an end given up in a call": ("leaf-act", lambda made: replace(made, 0, '"ended"', '"end-given-up"')),
    "a request that is a call": ("act-request", lambda made: made.append(act(10, "exported", LATE))),
    "a request before its call": ("act-calls", _disclosed(disclosed(10, "export-requested", selected='["c-9"]'), leaf("c-9", step(11, "ended")))),
    "a request before one of its calls": ("act-calls", _disclosed(disclosed(10, "export-requested", selected=f'["{LATE}","c-9"]'), leaf("c-9", step(11, "ended")))),
    "a request while its call is in progress": ("act-calls", _disclosed(disclosed(11, "export-requested", selected='["c-9"]'), leaf("c-9", step(10, "decided"), step(12, "ended")))),
    "a request long before its call": ("act-calls", _disclosed(disclosed(10, "export-requested", selected='["c-9"]'), act(11, "duty"), disclosed(12, "exported", request="act-10"), leaf("c-9", step(13, "ended")))),
    "two requests before a call": ("act-calls", _disclosed(*(disclosed(number, "export-requested", selected='["c-9"]') for number in (10, 11)), leaf("c-9", step(12, "ended")))),
    "a request for itself": ("request-form", _disclosed(disclosed(10, "export-requested", selected="act-10"))),
    "a request for no text": ("request-form", _disclosed(disclosed(10, "export-requested", selected=17))),
    "a request for numbers": ("request-form", _disclosed(disclosed(10, "export-requested", selected="[17]"))),
    "a request for an object": ("request-form", _disclosed(disclosed(10, "export-requested", selected='{"c":1}'))),
    "a request for an empty id": ("request-form", _disclosed(disclosed(10, "export-requested", selected='[""]'))),
    "a request for half a character": ("request-form", _disclosed(disclosed(10, "export-requested", selected='["\\ud800"]'))),
    **{f"{kind} {how}": (rule, _disclosed(disclosed(10, kind, at, **details)))
       for kind in ("export-requested", "exported")
       for how, rule, at, details in (
           ("a microsecond after the warrant", "warrant", LAST_MOMENT + SKEW + 1, {"valid_until": WARRANT}),
           ("a year after the warrant", "warrant", AT, {"valid_until": "2025-11-02"}),
           ("by a warrant until no day", "warrant", AT, {"valid_until": "2026-02-30"}),
           ("by a warrant in another form", "warrant", AT, {"valid_until": "20271102"}),
           ("by a warrant that is a number", "warrant", AT, {"valid_until": 20271102}),
           ("before the demand", "export-time", DEMAND - SKEW - 1, {"received": RECEIVED}),
           ("by a demand at no time", "export-time", AT, {"received": "yesterday"}),
           ("by a demand without a zone", "export-time", AT, {"received": "2026-10-31T09:00:00"}),
           ("by a demand whose zone has seconds", "export-time", AT, {"received": "2026-10-31T09:00:00+09:00:01"}),
       )},
    "a call after the end of the log": ("log-ended", lambda made: made.extend([act(10, "log-ended"), leaf("c-9", step(11, "ended"))])),
    "an act after the end of the log": ("log-ended", lambda made: made.extend([act(10, "log-ended"), act(11, "duty")])),
    "a log that ended twice": ("log-ended", lambda made: made.extend([act(10, "log-ended"), act(11, "log-ended")])),
    "a late leaf after the end of the log": ("log-ended", lambda made: made.extend([act(10, "log-ended"), leaf(LATE, step(11, "sound-failed"), after=4)])),
    **{f"an earlier end of the kind {kind!a}": ("leaf-form", lambda made, kind=kind: replace(made, 1, '"sound-started"', f'"{kind}"'))
       for kind in ("Ended", "ENDED", "ended ", "\u0435nded", "ended\u200b", "interrupted\u00a0", "")},
    "half a microsecond": ("leaf-form", lambda made: replace(made, 0, f'"at":{AT}', f'"at":{AT}.5')),
    "a detail that is an array": ("leaf-form", lambda made: replace(made, 0, ":16", ":[16]")),
    "a detail with a fraction": ("leaf-form", lambda made: replace(made, 0, ":16", ":1.5")),
    "a detail twice": ("leaf-form", lambda made: replace(made, 0, ":16", ':16,"hangup_cause":17')),
    "details in another order": ("leaf-form", lambda made: replace(made, 0, '"hangup_cause":16,"status":"CONNECTED"', '"status":"CONNECTED","hangup_cause":16')),
    "a number that is too large": ("leaf-form", lambda made: replace(made, 0, ":16", ":9007199254740993")),
    "an escape that is not needed": ("leaf-form", lambda made: replace(made, 1, "CANCEL", "\\u0043ANCEL")),
    "an id of 0": ("leaf-form", lambda made: replace(made, 0, '"id":1', '"id":0')),
    "a call without an id": ("leaf-form", lambda made: replace(made, 0, '"call":"pbx-1-1793491200.1"', '"call":""')),
    "a call id of 256 characters": ("leaf-form", lambda made: replace(made, 0, "pbx-1-1793491200.1", "x" * 256)),
    "a leaf of no steps": ("leaf-form", lambda made: made.append(leaf("c"))),
    "a leaf of no octets": ("leaf-form", lambda made: made.append(b"")),
}  # fmt: skip


def replace(made: list[bytes], number: int, old: str, new: str) -> None:
    assert old.encode() in made[number], old
    made[number] = made[number].replace(old.encode(), new.encode(), 1)


def trees() -> Iterator[Tree]:
    yield from good_trees()
    for name, (rule, change) in TREES.items():
        made = tree()
        change(made)
        yield name, rule, made


# -- ZIP files --------------------------------------------------------------------------------------------------------


def zipped(files: Files, level: int = 6, **other: int) -> bytes:
    """A ZIP file.

    `other` sets fixed fields in the headers before the files (`local_…`) or in the directory (`listed_…`).
    """
    octets, listed = b"", b""
    for name, content in files.items():
        deflate = zlib.compressobj(level, wbits=-15)
        data = deflate.compress(content) + deflate.flush()
        flags = 0 if name.isascii() else 0x800
        values = {"version": 20, "flags": flags, "method": 8, "time": 0, "date": 33, "crc": zlib.crc32(content),
                  "packed": len(data), "size": len(content), "name": len(name.encode()), "extra": 0}  # fmt: skip
        local, entry = (
            struct.pack(
                "<5H3I2H",
                *{**values, **{k.partition("_")[2]: v for k, v in other.items() if k.startswith(part)}}.values(),
            )
            for part in ("local_", "listed_")
        )
        listed += b"PK\1\2\x14\3" + entry + struct.pack("<3H2I", 0, 0, 0, 0x1800000, len(octets)) + name.encode()
        octets += b"PK\3\4" + local + name.encode() + data
    count = len(files)
    return octets + listed + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(listed), len(octets), 0)


def zips() -> Iterator[Zip]:
    small = Plan(records=[{"call": OTHER, "key": None, "leaves": [2]}], basis=None, cosigned=[]).files()
    one = small
    for level in (1, 6, 9):
        yield f"compressed at level {level}", None, zipped(small, level)
    yield "stored in deflate", None, zipped(small, 0)
    yield "files in another order", None, zipped(dict(reversed(small.items())))
    whole = zipped(one)
    for name, hide in HIDINGS.items():
        yield f"hidden {name}", "zip", hide(whole)
    for field, value in {
        "version": 21,
        "flags": 8,
        "method": 0,
        "time": 1,
        "date": 34,
        "crc": 1,
        "packed": 1,
        "size": 1,
        "extra": 4,
    }.items():
        yield f"{field} differs before the file", "zip", zipped(one, **{f"local_{field}": value})
    for field, value in {"flags": 1, "method": 0, "crc": 1, "packed": 2**31, "size": 2**32 - 1, "extra": 4}.items():
        yield f"{field} differs in the list", "zip", zipped(one, **{f"listed_{field}": value})
    yield "encrypted", "zip", zipped(one, local_flags=1, listed_flags=1)
    yield "a size that is said to be smaller", "zip", zipped(one, local_size=9, listed_size=9)
    yield "a size that is said to be larger", "zip", zipped(one, local_size=99_999, listed_size=99_999)
    yield "a bomb that is announced", "zip", zipped(one, local_size=2**30, listed_size=2**30)
    yield "a bomb", "zip", zipped({"manifest.json": bytes(2**22)}, 9, local_size=9, listed_size=9)
    twice = zipped({"manifest.json": b"1", "manifest.jsom": b"2"}).replace(b"manifest.jsom", b"manifest.json")
    yield "two files of one name", "zip", twice
    yield "a name that is not UTF-8", "zip", zipped({"manifest.json": b"1", "é": b"2"}).replace("é".encode(), b"\xe9x")
    yield "no end", "zip", whole[:-22]
    yield "half of it", "zip", whole[: len(whole) // 2]
    yield "nothing", "zip", b""
    yield "another count of files", "zip", whole[:-12] + b"\1\0" + whole[-10:]
    yield "another place of the list", "zip", whole[:-6] + b"\1\0\0\0\0\0"
    yield "a text", "zip", b"not a pack"
