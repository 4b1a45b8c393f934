"""Packs that a verifier must accept or refuse. Each row has the change, the broken rule and the plan."""

# ruff: noqa: E501 - a row of these tables is one thing that was done

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idtone.core.signed_notes import Note, SignatureLine, Signer, VerifierKey

from ..example_pack import WITNESS
from ..sample_evidence import LOG
from .logs_table import bad_logs, good_logs
from .plans import (
    AT,
    BASIS,
    CALL,
    DECIDED,
    LATE,
    OTHER,
    RECORD_KEY,
    SECOND,
    SIGNER,
    STRANGER,
    Files,
    Manifest,
    Plan,
    S,
    canonical,
    leaf,
    numbers_of,
    step,
    time,
    tree,
)

Row = tuple[str, str | None, Plan]
BOTH: Final = [str(WITNESS.cosigner), str(SECOND.cosigner)]
OPENED: Final = base64.b64encode(RECORD_KEY).decode()
ONE: Final = [{"call": CALL, "key": None, "leaves": [0]}]
SECOND_CALL: Final = [{"call": LATE, "key": None, "leaves": [1, 3]}]
ENDED: Final = {"status": "CONNECTED"}
WHO: Final = ("asked", "given")
ODD_TIMES: Final = (
    "2026-11-02T05:00:00.1+00:00", "2026-11-02T05:00:00+00:00:30", "2026-11-02 05:00:00+00:00", "20261102T050000+0000",
    "2026-W45-1T05:00:00+00:00", "2026-11-02T05:00:00-00:00", "2026-11-02T05:00:00Z", "2026-11-02T05:00+00:00",
)  # fmt: skip


def two(**parts: Any) -> Plan:
    return Plan(**{"policy": "two-persons", **parts})


def replaced(number: int, content: bytes, **parts: Any) -> Plan:
    """The plan with another leaf in the tree."""
    leaves = tree()
    leaves[number] = content
    return Plan(
        **{
            "leaves": leaves,
            "records": [{"call": CALL, "key": OPENED, "leaves": [0]}] if number == 0 else SECOND_CALL,
            **parts,
        }
    )


def edited(number: int, old: str, new: str, **parts: Any) -> Plan:
    content = tree()[number]
    assert old.encode() in content, old
    return replaced(number, content.replace(old.encode(), new.encode(), 1), **parts)


def manifest(change: Callable[[Manifest], object], **parts: Any) -> Plan:
    return Plan(change=change, **parts)


def file(name: str, change: Callable[[bytes], bytes], **parts: Any) -> Plan:
    """The plan with a file that was changed before sealing."""
    return Plan(touch=lambda files: files.update({name: change(files[name])}), **parts)


def basis(**texts: Any) -> Plan:
    return Plan(
        basis={
            **{k: v for k, v in BASIS.items() if texts.get(k) is not ...},
            **{k: v for k, v in texts.items() if v is not ...},
        }
    )


def members(name: str, *values: object) -> Iterator[tuple[object, Plan]]:
    for value in values:
        yield value, manifest(lambda made, value=value: made.update({name: value}))


# -- good -------------------------------------------------------------------------------------------------------------

TEXTS: Final = (
    "A", "警視庁 捜査第二課", "令状(刑事訴訟法 第218条)", "α波 と Ωの記録", "x" * 300, "第７号", "😀 call", "été", "Привет", "日本語のみ",
    "a-b_c", "\"quoted\" \\ /", "<&>", "ǅ", "한국어", "العربية", "1/2 ½", "ｶﾀｶﾅ", "naïve café", "№ 7",
)  # fmt: skip
DETAILS: Final[tuple[Any, ...]] = (
    "", "text", "\"\\/\b\f\n\r\t", "\x01\x1f\x7f", "\u2028\u2029", "局", "😀\ufffd", "a" * 900, 0, 1, -1, 2**53 - 1, -(2**53) + 1,
    True, False, None,
)  # fmt: skip


def good_packs() -> Iterator[Row]:
    yield "one person", None, Plan()
    yield "two persons", None, two()
    for text in TEXTS[::2]:
        yield f"case {text[:20]!r}", None, Plan(case=text)
    for text in TEXTS:
        yield f"scope {text[:20]!r}", None, basis(scope=text)
    for word in ("inquiry", "emergency", "consent", "association", "x", "a-2"):
        yield f"basis {word}", None, basis(basis=word)
    for name in ("authority", "court", "received", "scope", "valid_until"):
        yield f"no {name}", None, basis(**{name: ...})
    yield (
        "all facts of a basis",
        None,
        basis(reference="7", deadline="2026-11-03", why="at once", confirm_by="2026-12-01"),
    )
    yield "the first format", None, Plan(basis=None)
    yield "the first format by two persons", None, two(basis=None)
    for number, value in enumerate(DETAILS):
        content = leaf(CALL, step(1, "decided", details={**DECIDED, "why": value}), step(4, "ended", details=ENDED))
        yield f"a detail {str(value)[:12]!r} ({number})", None, replaced(0, content, records=ONE)
    for name in ("x", "a_b", "A", "0", "note", "z" * 60, "ü", "局"):
        content = leaf(CALL, step(1, "decided", details={**DECIDED, name: 1}), step(4, "ended", details=ENDED))
        yield f"a detail named {name[:12]!r}", None, replaced(0, content, records=ONE)
    for call in ("c", "x" * 255, "局" * 255, "😀", "call with spaces", "ACT-1", "ac", "act", "act-1"):
        content = leaf(call, step(1, "decided", details=DECIDED), step(4, "ended", details=ENDED))
        yield f"call id {call[:12]!r}", None, replaced(0, content, records=[{"call": call, "key": None, "leaves": [0]}])
    for at in (0, 1, -1, -(10**15), AT, AT + 7499 * S):
        content = leaf(CALL, step(1, "decided", AT), step(4, "ended", at))
        yield f"a step at {at}", None, replaced(0, content, records=ONE, cosigned=[(WITNESS, AT // S + 7400)])
    for exported in (AT + 7200 * S + 1, AT + 7200 * S - AT % S):
        yield f"exported {exported}", None, Plan(exported=time(exported))
    for exported in (
        "2026-11-01T11:00:00.123456+09:00",
        "2026-11-01T11:00:00+09:00",
        "2026-10-31T21:00:00-05:00",
        "2026-11-01T07:45:00+05:45",
        "2026-11-07T23:59:59.999999+09:00",
    ):
        yield f"exported {exported}", None, Plan(exported=exported)
    yield "the last moment of a warrant", None, Plan(exported="2026-11-07T14:59:59.999999+00:00")
    yield "a demand five minutes later", None, basis(received=time(AT + 7499 * S))
    yield "exported a day after the verifier's time", None, Plan(now=time(AT + 7201 * S - 86_400 * S))
    yield (
        "a sound after the export by less than five minutes",
        None,
        Plan(exported=time(AT + 9 * S - 299 * S), cosigned=[(WITNESS, AT // S - 200)]),
    )
    yield "a cosignature five minutes after the export", None, Plan(cosigned=[(WITNESS, AT // S + 7499)])
    yield "two witnesses", None, Plan(cosigned=[(WITNESS, AT // S + 60), (SECOND, AT // S + 61)], witnesses=BOTH)
    yield "a witness that is not asked for", None, Plan(cosigned=[(WITNESS, AT // S + 60), (SECOND, AT // S + 10**9)])
    yield "no witness is relied on", None, Plan(cosigned=[], witnesses=[])
    yield "two lines of one witness", None, Plan(cosigned=[(WITNESS, AT // S + 60), (WITNESS, AT // S + 90)])
    yield "lines of a stranger", None, Plan(log_lines=lambda text: [STRANGER.sign(text), SIGNER.sign(text)])
    odd = SignatureLine(LOG.name, b"abcd", b"x" * 2000)
    yield "a line of another algorithm", None, Plan(log_lines=lambda text: [odd, SIGNER.sign(text)])
    yield "64 lines", None, Plan(log_lines=lambda text: [SIGNER.sign(text), *[odd] * 62])
    yield "two lines of the log", None, Plan(log_lines=lambda text: [SIGNER.sign(text)] * 2)
    yield "a checkpoint with further lines", None, Plan(text=lambda text: f"{text}more\n– 局\n")
    yield (
        "a proof with extra",
        None,
        Plan(
            touch=lambda files: files.update(
                {"proofs/0.tlog-proof": files["proofs/0.tlog-proof"].replace(b"\n", b"\nextra AAAA\n", 1)}
            )
        ),
    )
    for size in (1, 2, 3, 5, 8, 11):
        leaves = [leaf(f"c-{n}", step(2 * n + 1, "decided"), step(2 * n + 2, "ended")) for n in range(size)]
        for index in sorted({0, size // 2, size - 1}):
            records = [{"call": f"c-{index}", "key": None, "leaves": [index]}]
            yield f"leaf {index} of {size}", None, Plan(leaves=leaves, records=records)
    yield (
        "a call that was interrupted, and whose end came",
        None,
        Plan(records=[{"call": OTHER, "key": None, "leaves": [2, 4]}]),
    )
    yield "the end is left out of the pack", None, Plan(records=[{"call": OTHER, "key": None, "leaves": [2]}])
    yield "calls in another order", None, manifest(lambda made: made["records"].reverse())
    for kind in ("ended", "interrupted", "connected"):
        yield f"{kind} after the end", None, edited(3, '"kind":"sound-failed"', f'"kind":"{kind}"')
    yield "sealed numbers", None, Plan(records=ONE)
    yield (
        "no numbers",
        None,
        replaced(0, leaf(CALL, step(1, "decided", details=numbers_of(CALL, {})), step(4, "ended"))),
    )
    yield "a key without numbers", None, Plan(records=[{"call": LATE, "key": OPENED, "leaves": [1, 3]}])
    yield "members that the page does not name", None, manifest(lambda made: made.update(note="x", zz=[1, {"a": None}]))
    yield "a member of a record that it does not name", None, manifest(lambda made: made["records"][0].update(note=1))
    for name in ("sample", "a", "0", "a-b-c", "x" * 64):
        if name == "sample":
            profile = canonical({"id": name, "played_sha256": "5e" * 32})
            yield "a profile", None, Plan(profiles={name: profile})
    yield (
        "a text that is no report",
        None,
        Plan(touch=lambda files: files.update({"report.html": b"", "report.pdf": b"x"})),
    )
    yield (
        "two persons of the console",
        None,
        two(asked={"by_way": "console"}, given={"by_way": "console", "by_uid": 1001}),
    )
    yield "two persons of one name", None, two(given={"by": "alice"})
    yield "sealed for two persons", None, two(asked={"numbers_sealed": True}, records=ONE)
    yield "a call twice in the request", None, two(asked={"selected": json.dumps([CALL, LATE, CALL]), "calls": 3})
    yield "approved at the same moment", None, two(given_at=AT + 3600 * S)
    yield "approved a little before", None, two(given_at=AT + 3301 * S)
    yield "leaves after the approval", None, two(behind=[leaf("c-9", step(200, "ended"))])


# -- not good ---------------------------------------------------------------------------------------------------------

LEAVES: Final[dict[str, tuple[str, int, str, str]]] = {
    # name: the rule, the leaf, the old text and its replacement
    "a fraction of a microsecond": ("leaf-form", 0, f'"at":{AT}', f'"at":{AT}.5'),
    "a time as 1e15": ("leaf-form", 0, f'"at":{AT}', '"at":1e15'),
    "a time as text": ("leaf-form", 0, f'"at":{AT}', f'"at":"{AT}"'),
    "a time of 2^53": ("leaf-form", 0, f'"at":{AT}', '"at":9007199254740992'),
    "an id of 2^62": ("leaf-form", 0, '"id":1', '"id":4611686018427387904'),
    "an id as 1.0": ("leaf-form", 0, '"id":1', '"id":1.0'),
    "an id of 0": ("leaf-form", 0, '"id":1', '"id":0'),
    "an id below 0": ("leaf-form", 0, '"id":1', '"id":-1'),
    "minus zero": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":-0'),
    "a detail with a fraction": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":1.5'),
    "a detail that is an array": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":[16]'),
    "a detail that is an object": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":{"a":16}'),
    "a detail twice": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":16,"hangup_cause":17'),
    "a detail that is too large": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":9007199254740993'),
    "NaN": ("leaf-form", 0, '"hangup_cause":16', '"hangup_cause":NaN'),
    "details that are an array": ("leaf-form", 1, '"details":{"status":"CANCEL"}', '"details":[]'),
    "details that are missing": ("leaf-form", 1, '"details":{"status":"CANCEL"},', ""),
    "a further member of a step": ("leaf-form", 1, '"id":6', '"id":6,"ip":"x"'),
    "a further member of the leaf": ("leaf-form", 0, '{"call"', '{"also":1,"call"'),
    "after as 0": ("leaf-form", 0, '{"call"', '{"after":0,"call"'),
    "after as true": ("leaf-form", 3, '"after":3', '"after":true'),
    "an escape that is not needed": ("leaf-form", 0, '"ended"', '"\\u0065nded"'),
    "a lone surrogate": ("leaf-form", 1, '"CANCEL"', '"\\ud800"'),
    "a solidus with an escape": ("leaf-form", 1, '"CANCEL"', '"CAN\\/CEL"'),
    "a space": ("leaf-form", 0, ',"steps"', ', "steps"'),
    "members in another order": ("leaf-form", 1, '"kind":"ended","node":"pbx-1"', '"node":"pbx-1","kind":"ended"'),
    "a node that is a number": ("leaf-form", 1, '"node":"pbx-1"', '"node":1'),
    "a kind that is null": ("leaf-form", 1, '"kind":"ended"', '"kind":null'),
    "a leaf of another call": ("leaf-call", 3, f'"call":"{LATE}"', '"call":"c-9"'),
    "after is too small": ("leaf-after", 3, '"after":3', '"after":2'),
    "after is too large": ("leaf-after", 3, '"after":3', '"after":4'),
    "after is missing": ("leaf-after", 3, '"after":3,', ""),
    "the end is no end": ("leaf-end", 0, '"kind":"ended"', '"kind":"connected"'),
    "two ends in one leaf": ("leaf-end", 1, '"kind":"sound-started"', '"kind":"ended"'),
    "an interruption before the end": ("leaf-end", 1, '"kind":"sound-started"', '"kind":"interrupted"'),
    "an act in a call": ("leaf-act", 0, '"kind":"ended"', '"kind":"exported"'),
    "an act after a call": ("leaf-act", 3, '"kind":"sound-failed"', '"kind":"duty"'),
    "steps that descend": ("leaf-steps", 0, '"id":1', '"id":5'),
    "a step twice in a leaf": ("leaf-steps", 1, '"id":5', '"id":2'),
    "a step of an earlier leaf": ("leaf-steps", 1, '"id":5', '"id":4'),
    "the last step descends": ("leaf-order", 1, '"id":6', '"id":3'),
    "the last step twice": ("leaf-order", 3, '"id":8', '"id":6'),
    "later than the pack": ("leaf-time", 3, f'"at":{AT + 3 * S}', f'"at":{AT + 7501 * S}'),
    "later than the cosignature": ("leaf-time", 3, f'"at":{AT + 3 * S}', f'"at":{AT + 5301 * S}'),
}  # fmt: skip


def good_registries() -> Iterator[Row]:
    yield "the registry that decided", None, registry(REGISTRY)
    yield "an unsigned registry, whose digest nobody signed", None, registry(REGISTRY, {})
    alone = step(2, "fallback", details={"outcome": "NOTICE", "reason": "service-unavailable"})
    yield "a registry that decided, and the hook acted alone", None, _showing(REGISTRY, _shown(METADATA), alone)


def bad_leaves() -> Iterator[Row]:
    for name, (rule, number, old, new) in LEAVES.items():
        plan = edited(number, old, new, records=Plan().records)
        yield name, rule, plan
    bytes_of: dict[str, Callable[[bytes], bytes]] = {
        "a newline behind a leaf": lambda content: content + b"\n",
        "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
        "no UTF-8": lambda content: content.replace(b"CANCEL", b"\xff"),
        "overlong UTF-8": lambda content: content.replace(b"CANCEL", b"\xc0\xaf"),
        "an empty leaf": lambda content: b"",
        "a leaf that is an array": lambda content: b"[" + content + b"]",
        "deep nesting": lambda content: b"[" * 5000 + b"]" * 5000,
        "no steps": lambda content: leaf(LATE),
        "a call id of 256 characters": lambda content: content.replace(LATE.encode(), b"x" * 256),
        "an empty call id": lambda content: content.replace(LATE.encode(), b""),
        "steps that are an object": lambda content: canonical({"call": LATE, "steps": {"a": 1}}),
        "null": lambda content: b"null",
    }
    for name, change in bytes_of.items():
        yield name, "leaf-form", replaced(1, change(tree()[1]))
    further = leaf(LATE, step(8, "sound-failed"), step(9, "sound-failed"), after=3)
    yield "two steps after the end", "leaf-further", replaced(3, further)
    yield (
        "the first leaf of a call is left out",
        "leaf-after",
        Plan(records=[{"call": LATE, "key": None, "leaves": [3]}]),
    )
    yield (
        "a leaf twice",
        "leaf-twice",
        manifest(lambda made: made["records"].append({"call": OTHER, "key": None, "leaves": [0]})),
    )


def bad_manifests() -> Iterator[Row]:
    for name, values in {
        "case": ("x\n", "\u202e", "x\x1b[2K", "\xa0", "\u3000", 7),
        "exported": (
            "now",
            "2026-11-01",
            "2026-11-01T02:00:00",
            "2026-11-01T02:00:00Z",
            "2026-11-01 02:00:00+00:00",
            "2026-11-01T02:00:00.1+00:00",
            "2026-11-01T02:00:00.000000+00:00",
            "2026-02-30T02:00:00+00:00",
            "2026-11-01T24:00:00+00:00",
            "20261101T020000+0000",
            "2026-11-01T02:00:00-00:00",
            1793498400,
        ),
        "log_key": (str(STRANGER.key), "", str(WITNESS.cosigner), None, str(LOG) + " "),
        "records": ([], {}, None, [1], "x"),
        "acts": ({}, None, [{"call": CALL, "leaves": [0]}]),
        "files": ([], None),
    }.items():
        for value, plan in members(name, *values):
            yield f"{name} is {value!r:.40}", "manifest", plan
    for name, values in {
        "format": ("idtone-evidence/3", "idtone-evidence/02", 2),
        "policy": ("three-persons", "Two-persons"),
    }.items():
        for value, plan in members(name, *values):
            yield f"{name} is {value!r}", "format", plan
    for name in ("case", "exported", "log_key", "records", "acts", "files"):
        yield f"no {name}", "manifest", manifest(lambda made, name=name: made.pop(name))
    first: dict[str, Callable[[dict[str, Any]], object]] = {
        "leaves that descend": lambda record: record.update(leaves=[3, 1]),
        "a leaf twice in a record": lambda record: record.update(leaves=[1, 1, 3]),
        "no leaves": lambda record: record.update(leaves=[]),
        "leaves that are no array": lambda record: record.update(leaves=1),
        "a leaf below 0": lambda record: record.update(leaves=[-1, 1, 3]),
    }
    for name, change in first.items():
        yield name, "manifest", manifest(lambda made, change=change: change(made["records"][1]))
    yield "a record of no call", "manifest", manifest(lambda made: made["records"][1].pop("call"))
    yield "a key that is a number", "manifest", manifest(lambda made: made["records"][0].update(key=7))
    yield "a record without its key", "manifest", manifest(lambda made: made["records"][1].pop("key"))
    yield "a call twice", "record-twice", manifest(lambda made: made["records"].append(made["records"][1]))
    yield "a manifest with a space", "manifest", Plan(write=lambda made: canonical(made) + b" ")
    yield (
        "a manifest in another order",
        "manifest",
        Plan(write=lambda made: json.dumps(made, separators=(",", ":")).encode()),
    )
    yield "a member twice", "manifest", Plan(write=lambda made: b'{"acts":[],' + canonical(made)[1:])
    yield (
        "escaped letters",
        "manifest",
        Plan(case="局", write=lambda made: json.dumps(made, sort_keys=True, separators=(",", ":")).encode()),
    )
    yield "a manifest that is an array", "manifest", Plan(write=lambda made: b"[]")
    yield "no manifest's JSON", "manifest", Plan(write=lambda made: b"{")
    yield "a manifest of deep nesting", "manifest", Plan(write=lambda made: b"[" * 9000)
    yield "a fraction in the manifest", "manifest", manifest(lambda made: made.update(note=0.5))
    for key, name in (
        ("AAAA", "a key that is too short"),
        ("", "an empty key"),
        ("?", "a key that is no base64"),
        (OPENED[:-1], "a key without padding"),
        (OPENED.replace("U=", "V="), "a key with other bits left over"),
        (base64.b64encode(b"\6" * 32).decode(), "another key"),
    ):
        yield name, "numbers", manifest(lambda made, key=key: made["records"][0].update(key=key))
    for old, name in (('"numbers":"', "numbers that were changed"), ('"numbers":"', "numbers of another call")):
        other = numbers_of(CALL if "changed" in name else LATE)
        text = other["numbers"] if "another" in name else other["numbers"][:-8] + "AAAAAAA="
        content = leaf(CALL, step(1, "decided", details={**DECIDED, **other, "numbers": text}), step(4, "ended"))
        yield name, "numbers", replaced(0, content)
        del old
    for name, rule in (
        ("more.txt", "files"),
        ("profiles/../x.json", "files"),
        ("profiles/A.json", "files"),
        ("profiles/-a.json", "files"),
        ("profiles/x/y.json", "files"),
        ("leaves/4.json", "files"),
        ("proofs/2.tlog-proof", "files"),
        ("profiles/sample.json\n", "files"),
    ):
        yield f"a file {name!r}", rule, Plan(touch=lambda files, name=name: files.update({name: b"{}"}))
    yield (
        "a digest in capitals",
        "files",
        manifest(lambda made: made["files"].update({n: d.upper() for n, d in made["files"].items()})),
    )
    for name in ("leaves/0.json", "proofs/0.tlog-proof"):
        yield f"{name} is not named", "files", manifest(lambda made, name=name: made["files"].pop(name))
        yield (
            f"{name} was changed afterwards",
            "files",
            Plan(after=lambda files, name=name: files.update({name: files[name] + b" "})),
        )
        yield f"{name} was taken away afterwards", "files", Plan(after=lambda files, name=name: files.pop(name))
    yield (
        "the report was changed afterwards",
        "files",
        Plan(
            touch=lambda files: files.update({"report.html": b"1"}),
            after=lambda files: files.update({"report.html": b"2"}),
        ),
    )
    yield (
        "another case afterwards",
        "seal",
        Plan(after=lambda files: files.update({"manifest.json": files["manifest.json"].replace(b"R-7", b"R-8")})),
    )
    yield "no seal", "seal", Plan(after=lambda files: files.pop("manifest.note"))
    yield "no manifest", "manifest", Plan(after=lambda files: files.pop("manifest.json"))
    for name, note in SEALS.items():
        yield name, "seal", Plan(seal=note)
    for name, change in NOTES.items():
        yield (
            name,
            "seal",
            Plan(after=lambda files, change=change: files.update({"manifest.note": change(files["manifest.note"])})),
        )


SEALS: Final[dict[str, Callable[[str], Note]]] = {
    "sealed by another key": lambda text: Note(text, (Signer(LOG.name, bytes(32)).sign(text),)),
    "sealed by another name": lambda text: Note(text, (SIGNER.named("pbx-2/idtone").sign(text),)),
    "a seal for another case": lambda text: Note(
        text.replace("R-7", "R-8"), (SIGNER.sign(text.replace("R-7", "R-8")),)
    ),
    "a seal of version 2": lambda text: Note(text.replace("v1", "v2"), (SIGNER.sign(text.replace("v1", "v2")),)),
    "a seal with another line": lambda text: Note(f"{text}more\n", (SIGNER.sign(f"{text}more\n"),)),
    "a seal on another text": lambda text: Note(text, (SIGNER.sign(text + "x"),)),
    "a seal cosigned, and not signed": lambda text: Note(text, (SIGNER.cosign(text, AT // S),)),
    "a good seal, and a bad one of the same key": lambda text: Note(text, (SIGNER.sign(text), SIGNER.sign(text + "x"))),
}
NOTES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a seal without its last newline": lambda note: note[:-1],
    "a seal without the empty line": lambda note: note.replace(b"\n\n", b"\n"),
    "a hyphen in place of the dash": lambda note: note.replace("\u2014".encode(), b"-"),
    "a seal with carriage returns": lambda note: note.replace(b"\n", b"\r\n"),
    "a signature line with two spaces": lambda note: note.replace("\u2014 ".encode(), "\u2014  ".encode()),
    "a signature that is no base64": lambda note: note[:-3] + b"?\n",
    "65 signature lines": lambda note: note + note[note.index("\u2014".encode()):] * 64,
    "a line that is no signature": lambda note: note + b"x\n",
}  # fmt: skip


def bad_bases() -> Iterator[Row]:
    yield "no law", "basis-form", basis(law=...)
    yield "no basis", "basis-form", basis(basis=...)
    yield "a further member", "basis-form", basis(more="x")
    for name, values in {
        "scope": ("", " ", "x" * 301, "x\n", 7, ["x"]),
        "received": ("2026-11-01", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00"),
        "deadline": ("2026-11-31", "20261107", "2026-W45-6"),
        "valid_until": ("9", "2026-11-07 "),
        "confirm_by": ("soon",),
    }.items():
        for value in values:
            yield f"{name} is {value!r:.30}", "basis-form", basis(**{name: value})
    yield "the first format with a basis", "basis-form", manifest(lambda made: made.update(format="idtone-evidence/1"))
    yield "the second format without one", "basis-form", manifest(lambda made: made.pop("basis"))
    yield "an empty basis", "basis-form", manifest(lambda made: made.update(basis={}))
    yield "a basis that is text", "basis-form", manifest(lambda made: made.update(basis="warrant"))
    for name, text in (
        ("basis", "wаrrant"),
        ("basis", "ｗａｒｒａｎｔ"),
        ("basis", "令状"),
        ("basis", "wárrant"),
        ("law", "令状 / wаrrant"),
        ("law", "Οrder"),
        ("law", "оrdеr of Tokyo"),
        ("scope", "cаlls"),
        ("scope", "e\u0301"),
        ("authority", "\uf9b4署"),
        ("court", "\u2126hm"),
        ("scope", "ꓐank"),
        ("scope", "Ꭺct"),
        ("scope", "Ⲁct"),
        ("scope", "օrder"),
        ("scope", "ᾳbc"),
        ("scope", "a1_е"),
        ("scope", "x\u0301а"),
    ):
        yield f"{name} {text!r}", "basis-alike", basis(**{name: text})
    yield "the warrant of the day before", "warrant", basis(valid_until="2026-10-31")
    yield "a warrant that ended at midnight in Japan", "warrant", Plan(exported="2026-11-07T15:00:00+00:00")
    yield "a demand after the pack", "export-time", basis(received=time(AT + 7501 * S))
    yield (
        "made in 2199",
        "export-time",
        Plan(exported="2199-01-01T00:00:00+00:00", basis={**BASIS, "valid_until": "2199-01-02"}),
    )
    yield "made more than a day after the verifier's time", "export-time", Plan(now=time(AT + 7200 * S - 86_401 * S))


def bad_proofs() -> Iterator[Row]:
    name = "proofs/0.tlog-proof"

    def proof(what: str, change: Callable[[bytes], bytes]) -> Row:
        return what, "proof", file(name, change)

    yield proof("another first line", lambda octets: octets.replace(b"@v1", b"@v2", 1))
    yield proof("another number", lambda octets: octets.replace(b"index 0", b"index 1", 1))
    yield proof("a number beyond the tree", lambda octets: octets.replace(b"index 0", b"index 9", 1))
    yield proof("a number with a leading zero", lambda octets: octets.replace(b"index 0", b"index 00", 1))
    yield proof("a number with a sign", lambda octets: octets.replace(b"index 0", b"index +0", 1))
    yield proof("no number", lambda octets: octets.replace(b"index 0\n", b"", 1))
    yield proof("a hash less", lambda octets: b"\n".join((lines := octets.split(b"\n"))[:2] + lines[3:]))
    yield proof("a hash more", lambda octets: octets.replace(b"\n\n", b"\n" + base64.b64encode(bytes(32)) + b"\n\n", 1))
    yield proof(
        "64 hashes", lambda octets: octets.replace(b"\n\n", (b"\n" + base64.b64encode(bytes(32))) * 61 + b"\n\n", 1)
    )
    yield proof(
        "hashes in another order",
        lambda octets: b"\n".join((lines := octets.split(b"\n"))[:2] + lines[3:1:-1] + lines[4:]),
    )
    yield proof("a short hash", lambda octets: octets.replace(b"=\n", b"\n", 1))
    yield proof("an extra that is no base64", lambda octets: octets.replace(b"\n", b"\nextra ?\n", 1))
    yield proof("no checkpoint", lambda octets: octets.partition(b"\n\n")[0] + b"\n\n")
    yield proof("carriage returns", lambda octets: octets.replace(b"\n", b"\r\n", 2))
    yield proof(
        "no signature of the log",
        lambda octets: (
            octets[: octets.index("\u2014 pbx".encode())] + octets[octets.index("\u2014 witness".encode()) :]
        ),
    )
    yield "a signature of another key", "proof", Plan(log_lines=lambda text: [Signer(LOG.name, bytes(32)).sign(text)])
    yield "a bad signature of the log's key", "proof", Plan(log_lines=lambda text: [SIGNER.sign(text + "x")])
    yield (
        "a good and a bad signature",
        "proof",
        Plan(log_lines=lambda text: [SIGNER.sign(text), SIGNER.sign(text + "x")]),
    )
    for what, change in {
        "another origin": lambda text: text.replace("pbx-1", "pbx-2"),
        "a smaller tree": lambda text: text.replace("\n5\n", "\n4\n"),
        "a larger tree": lambda text: text.replace("\n5\n", "\n9\n"),
        "a size with a leading zero": lambda text: text.replace("\n5\n", "\n05\n"),
        "an empty tree": lambda text: text.replace("\n5\n", "\n0\n"),
        "a root without padding": lambda text: text.replace("=\n", "\n"),
        "no root": lambda text: "\n".join(text.split("\n")[:2]) + "\n",
        "an empty line": lambda text: text + "\nx\n",
    }.items():
        yield what, "proof", Plan(text=change)
    yield (
        "a leaf that was changed",
        "proof",
        Plan(touch=lambda files: files.update({"leaves/0.json": files["leaves/0.json"].replace(b":16", b":17")})),
    )
    yield (
        "two leaves that changed places",
        "proof",
        Plan(
            touch=lambda files: files.update(
                {"leaves/0.json": files["leaves/1.json"], "leaves/1.json": files["leaves/0.json"]}
            )
        ),
    )
    yield "no such leaf", "proof", manifest(lambda made: made["records"][0].update(leaves=[99]))
    fork = Plan(leaves=[*tree()[:4], leaf("c-9", step(10, "ended"))]).files()
    yield (
        "two trees of one size",
        "fork",
        Plan(
            touch=lambda files: files.update({n: c for n, c in fork.items() if n.startswith(("proofs/3", "leaves/3"))})
        ),
    )
    yield "a witness has not cosigned", "cosignature", Plan(cosigned=[])
    yield "one of two witnesses has not cosigned", "cosignature", Plan(witnesses=BOTH)
    yield "cosigned by another key", "cosignature", Plan(cosigned=[(Signer(WITNESS.key.name, bytes(32)), AT // S + 60)])
    yield (
        "signed, and not cosigned",
        "cosignature",
        Plan(cosigned=[], log_lines=lambda text: [SIGNER.sign(text), WITNESS.sign(text)]),
    )
    yield "cosigned in 2199", "cosignature", Plan(cosigned=[(WITNESS, 7_258_118_400)])
    yield "cosigned at the end of time", "cosignature", Plan(cosigned=[(WITNESS, 2**63 - 1)])
    yield (
        "cosigned once in time, and once too late",
        "cosignature",
        Plan(cosigned=[(WITNESS, AT // S + 60), (WITNESS, AT // S + 9999)]),
    )
    yield (
        "cosigned five minutes and a second after the export",
        "cosignature",
        Plan(cosigned=[(WITNESS, AT // S + 7502)]),
    )
    yield "cosigned before a leaf", "leaf-time", Plan(cosigned=[(WITNESS, AT // S - 999)])
    for what, keys in {
        "a witness's key for the log": (str(WITNESS.cosigner), None),
        "a log's key for a witness": (None, [str(LOG)]),
        "a key with another id": (str(LOG).replace("+a", "+b"), None),
    }.items():
        yield what, "keys", Plan(log_key=keys[0], witnesses=keys[1])
    yield "another log's key", "manifest", Plan(log_key=str(Signer(LOG.name, bytes(32)).key))
    yield (
        "another name of the log's key",
        "manifest",
        Plan(log_key=str(VerifierKey("pbx-2/idtone", LOG.algorithm, LOG.public))),
    )


def bad_requests() -> Iterator[Row]:
    yield "no act", "request-form", two(change=lambda made: made.update(acts=[]))
    yield "the request alone", "request-form", two(change=lambda made: made["acts"].pop())
    yield "the approval alone", "request-form", two(change=lambda made: made["acts"].pop(0))
    yield "by the same person", "request-form", two(given={"by": "alice", "by_uid": 1001})
    yield "by the same account of another name", "request-form", two(given={"by_uid": 1001})
    yield "one in the console", "request-form", two(given={"by_way": "console"})
    yield (
        "by the same user of the console",
        "request-form",
        two(asked={"by_way": "console"}, given={"by_way": "console", "by": "alice"}),
    )
    yield "of another request", "request-form", two(given={"request": "act-7"})
    yield "of no request", "request-form", two(given={"request": ...})
    yield "a refusal", "request-form", two(kinds=("export-requested", "export-refused"))
    yield "two requests", "request-form", two(kinds=("export-requested", "export-requested"))
    yield "an act by a call's id", "leaf-act", two(act_ids=("c-1", "act-2"))
    yield "another selection", "selection", two(given={"selection": "0" * 64})
    yield "both of another selection", "selection", two(asked={"selection": "0" * 64}, given={"selection": "0" * 64})
    yield "another case than was shown", "selection", two(asked={"case": "R-8"})
    yield "other calls than were shown", "selection", two(asked={"selected": json.dumps([CALL, OTHER])})
    yield "calls in another order than shown", "selection", two(asked={"selected": json.dumps([LATE, CALL])})
    yield "a record less than approved", "selection", two(change=lambda made: made["records"].pop())
    yield "another court than was shown", "request-basis", two(asked={"court": "another"})
    yield "a fact that was not shown", "request-basis", two(asked={"scope": ...})
    yield "a fact that was shown, and is missing", "request-basis", two(asked={"why": "at once"})
    yield "opened although sealed", "request-numbers", two(asked={"numbers_sealed": True})
    yield "the approval before the request", "request-time", two(given_at=AT + 3299 * S)
    yield "the approval too late", "request-time", two(asked={"until": time(AT + 3700 * S)})
    yield "the pack too late", "request-time", two(given={"until": time(AT + 5000 * S)})
    yield "the pack when the approval expired", "request-time", two(given={"until": time(AT + 7200 * S)})
    yield "requested before the calls", "request-order", two(acts_first=True, leaves=tree(10))
    yield "approved before the request", "request-order", two(approval_first=True)
    yield "the approval named before the request", "request-form", two(change=lambda made: made["acts"].reverse())
    for number, text in enumerate(ODD_TIMES):
        who = WHO[number % 2]
        yield f"{who} until {text}", "request-form", two(**{who: {"until": text}})
    odd = {"by": (None, 5), "by_uid": (True, "1002", ...), "by_way": ("CONSOLE", "console ", None)}
    for number, (name, value) in enumerate((name, value) for name, values in odd.items() for value in values):
        who, said = WHO[number % 2], "missing" if value is ... else repr(value)
        yield f"{who}: {name} is {said}", "request-form", two(**{who: {name: value}})
    for sealed in (0, None):
        yield f"numbers_sealed is {sealed!r}", "selection", two(asked={"numbers_sealed": sealed})
    yield "calls is another number than are selected", "request-form", two(asked={"calls": 3})
    yield "calls is a text", "request-form", two(asked={"calls": "2"})
    one = {"records": [{"call": CALL, "key": None, "leaves": [0]}]}
    yield "calls is true", "request-form", two(asked={"calls": True}, **one)


def bad_numbers() -> Iterator[Row]:
    """Yield packs whose sealed numbers two programs could read differently, or a person could misread."""
    for what, plain in {
        "no object": b"[]",
        "a number": b"5",
        "a text": b'"x"',
        "nothing": b"",
        "a name twice": b'{"called":"+81312345678","called":"+81312345679"}',
        "spaces in it": b'{ "called":"+81312345678"}',
        "names in another order": b'{"forwarding":"+81312345678","called":"+81312345679"}',
        "an unknown role": b'{"victim":"+81312345678"}',
        "__proto__": b'{"__proto__":"+81312345678"}',
        "a number that is no text": b'{"called":5}',
        "an object as a number": b'{"called":{"a":"b"}}',
        "a number in another form": b'{"called":"0312345678"}',
        "a word as a number": b'{"called":"hello"}',
        "a number with a mark that turns it": '{"called":"+8131\u202e2345678"}'.encode(),
        "a fraction": b'{"called":1e3}',
        "NaN": b'{"called":NaN}',
        "a byte order mark": b'\xef\xbb\xbf{"called":"+81312345678"}',
    }.items():
        yield f"sealed: {what}", "numbers", sealed(plain.ljust(96))
    number = b'{"called":"+81312345678"}'
    yield "sealed: UTF-16", "numbers", sealed(number.decode().encode("utf-16").ljust(96))
    yield "sealed: without spaces behind", "numbers", sealed(number)
    yield "sealed: more spaces behind", "numbers", sealed(number.ljust(97))
    yield "sealed: tabs behind", "numbers", sealed(number.ljust(96, b"\t"))
    for kind in (None, "", "nonsense", "FIXED", True):
        yield f"sealed: of the kind {kind!r}", "numbers", sealed(number.ljust(96), called_kind=kind)
    yield (
        "a short key of a call without numbers",
        "numbers",
        manifest(lambda made: made["records"][1].update(key="AA==")),
    )
    yield "a key that is no base64", "numbers", manifest(lambda made: made["records"][0].update(key="!" * 44))


def sealed(plain: bytes, **more: object) -> Plan:
    """The plan with these octets in place of a call's numbers."""
    octets = AESGCM(RECORD_KEY).encrypt(bytes(12), plain, CALL.encode())
    kinds = {f"{role}_kind": "fixed" for role in ("forwarding", "caller", "called")}
    details = {
        **DECIDED, **kinds, "day": "2026-11-01", "numbers": base64.b64encode(octets).decode(),
        "numbers_key": base64.b64encode(bytes(60)).decode(), **more,
    }  # fmt: skip
    decided = leaf(CALL, step(1, "decided", details=details), step(4, "ended", details=ENDED))
    return replaced(0, decided)


METADATA: Final = {"root.json": b"{}", "registry.json": b'{"signed":{"targets":{"registry.yaml":{}},"version":1}}'}
REGISTRY: Final = hashlib.sha256(
    "".join(f"{hashlib.sha256(octets).hexdigest()}  {name}\n" for name, octets in sorted(METADATA.items())).encode()
).hexdigest()
"""Digest of a registry with this metadata (6.6)."""


def registry(digest: str, metadata: dict[str, bytes] = METADATA) -> Plan:
    """Plan of a pack with a call that `REGISTRY` decided, and with the file of a registry."""
    return _showing(digest, _shown(metadata))


def _shown(metadata: dict[str, bytes]) -> dict[str, object]:
    shown = {name: base64.b64encode(octets).decode() for name, octets in metadata.items()}
    return {"metadata": shown, "trust": "signed" if metadata else "unsigned"}


def _showing(digest: str, shown: dict[str, object], *more: dict[str, object], **trust: object) -> Plan:
    content = canonical({"numbers": {}, "policy": {}, **shown})
    details = {**DECIDED, **numbers_of(CALL), "registry_sha256": REGISTRY, **trust}
    decided = leaf(CALL, step(1, "decided", details=details), *more, step(4, "ended"))
    return replaced(0, decided, touch=lambda files: files.update({f"registry/{digest}.json": content}))


def bad_registries() -> Iterator[Row]:
    yield "a registry of no call", "registry", registry("ab" * 32)
    yield "a registry with other metadata", "registry", registry(REGISTRY, {**METADATA, "root.json": b"{ }"})
    yield "a registry without a part of its metadata", "registry", registry(REGISTRY, {"root.json": b"{}"})
    for what, shown in {
        "an unsigned one in the place of a signed one": {"metadata": {}, "trust": "unsigned"},
        "a signed one without metadata": {"metadata": {}, "trust": "signed"},
        "one of another trust": {"metadata": {}, "trust": "x"},
        "one that does not say its trust": {"metadata": {}},
    }.items():
        yield what, "registry", _showing(REGISTRY, shown, registry_trust="signed")
    for trust in (5, True):
        yield f"a trust that is {trust}", "registry", _showing(REGISTRY, _shown(METADATA), registry_trust=trust)
    for digest in (None, 5, [], "x", "AB" * 32):
        yield (
            f"the registry of the export is {digest!r:.9}",
            "manifest",
            manifest(lambda made, digest=digest: made.update(registry=digest)),
        )


def unknown_kinds() -> Iterator[Row]:
    """Yield packs with unknown kinds of steps in their leaves. A tree may contain such steps."""
    for kind in ("-", "en-ded", "interrupted-", "later"):
        yield f"a step of the kind {kind!r}", "leaf-form", edited(1, '"sound-started"', f'"{kind}"')


def bad_packs() -> Iterator[Row]:
    yield from unknown_kinds()
    for rows in (bad_leaves, bad_manifests, bad_bases, bad_proofs, bad_requests, bad_numbers, bad_registries, bad_logs):
        yield from rows()


def packs() -> Iterator[Row]:
    yield from good_packs()
    yield from good_registries()
    yield from good_logs()
    yield from bad_packs()


__all__ = ["Files", "packs"]
