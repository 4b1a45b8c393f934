"""Verify a pack by docs/evidence-format.md, whose sections the comments name. Exit 0: good, 1: not good, 2: no pack."""

import argparse
import base64
import io
import json
import re
import subprocess
import time
import zipfile
import zlib
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

try:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
except ImportError:
    raise SystemExit("verify_pack.py needs the library cryptography: apt install python3-cryptography") from None

ECDSA = {("ecdsa", "ecdsa-sha2-nistp256", "secp256r1"): SHA256, ("ecdsa", "ecdsa-sha2-nistp384", "secp384r1"): SHA384}
BASIS = {*"basis law authority reference scope received deadline court valid_until why confirm_by".split()}  # 6.2
ACTS = {*"export-requested export-approved export-refused exported export-received export-confirmed forgotten".split()}
ACTS |= {*"numbers-opened duty gap continued quarantined clock log-ended end-given-up".split()}  # 2.1
ENDS = {"ended", "interrupted"} | ACTS
JAPAN, WAYS = timezone(timedelta(hours=9)), ("login", "sudo", "account", "console")  # 2.2
ALIKE = r"[\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u1f00-\u1fff\u2c80-\u2cff\ua4d0-\ua4ff\uab70-\uabbf]"  # 6.2
E164, NUMBERS = re.compile(r"\+[0-9]+").fullmatch, {*"fixed 050 0120 mobile other emergency withheld malformed".split()}
KINDS = ENDS | {*"answered connected decided fallback suspended".split()}
KINDS |= {*"sound-started sound-ended sound-failed sound-reported".split()}  # 2.1
LATIN, WITHIN = r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]", r"[\w\u0300-\u036f]*"
MIXED = f"{LATIN}{WITHIN}{ALIKE}|{ALIKE}{WITHIN}{LATIN}"
canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def need(fact, otherwise, value=None):
    if not fact:
        raise ValueError(otherwise)
    return value


def moment(text):  # 1
    fits = (at := datetime.fromisoformat(text)).isoformat() == text and text[-6] in "+-"
    return need(fits, "a time of another form", at)


def whole(leaf):  # 2.1
    numbers = [leaf.get("after", 1), *(step[name] for step in leaf["steps"] for name in ("id", "at"))]
    texts = [leaf["call"], *(step[name] for step in leaf["steps"] for name in ("node", "kind"))]
    details = [value for step in leaf["steps"] for value in step["details"].values()]
    fits = all(type(each) is int for each in numbers) and all(type(each) is str for each in texts)
    fits &= min(numbers[0], *(step["id"] for step in leaf["steps"])) > 0 and 0 < len(leaf["call"]) < 256
    fits &= {*leaf} - {"after"} == {"call", "steps"}
    fits &= all({*s} == {*"at details id kind node".split()} and s["kind"] in KINDS for s in leaf["steps"])
    fits &= all(each is None or type(each) in (str, bool, int) for each in details)
    return fits and all(abs(each) < 2**53 for each in numbers + details if type(each) is int)


def lawful(kind, at, said):  # 2.1: a request, or what was exported
    received, until, selected = map(said.get, ("received", "valid_until", "selected"))
    need(received is None or moment(received).timestamp() <= at + 300, "an act before its demand")
    today = str(datetime.fromtimestamp(at - 300, JAPAN).date())
    need(until is None or str(date.fromisoformat(until)) == until >= today, "an act after its warrant")
    calls = json.loads(selected) if kind == "export-requested" and selected is not None else []
    fits = type(calls) is list and all(type(each) is str and each.encode() for each in calls)
    need(fits, "a request of another form")


def unbase64(text):  # 1
    return need(base64.b64encode(octets := base64.b64decode(text)).decode() == text, "not canonical base64", octets)


def unzip(octets):  # 6.1
    files, at, size, entries = {}, 0, 0, zipfile.ZipFile(io.BytesIO(octets)).infolist()
    for each in entries:
        head, stream, size = each.FileHeader(), zlib.decompressobj(-15), size + each.file_size
        need(octets.startswith(head, at) and each.header_offset == at and not each.extra, "a header of another form")
        need((each.flag_bits & ~0x800, each.compress_type) == (0, 8), "a file that is not plainly deflated")
        need(each.filename not in files and size <= 2**29, "two files of one name, or larger than any pack")
        begin, at = at + len(head), at + len(head) + each.compress_size
        files[each.filename] = data = stream.decompress(octets[begin:at], each.file_size + 1)
        fits = (len(data), zlib.crc32(data), stream.eof, stream.unused_data) == (each.file_size, each.CRC, True, b"")
        need(fits, "a damaged file, or octets that belong to no file")
    at += sum(46 + len(each.filename.encode()) for each in entries) + 22
    count = len(entries).to_bytes(2, "little")
    return need(len(octets) == at and octets[-14:-10] == count * 2, "octets that belong to no file", files)


def vkey(text, kind):  # 3.1
    name, key_id, encoded = text.strip().split("+", 2)
    octets = unbase64(encoded)
    fits = (sha256(f"{name}\n".encode() + octets).hexdigest()[:8], octets[0]) == (key_id, kind)
    need(fits, f"the key of {name} has another id, or is not of type {kind}")
    return name, kind, bytes.fromhex(key_id), ed25519.Ed25519PublicKey.from_public_bytes(octets[1:])


def signed(note, name, kind, key_id, public, since=0, until=0):  # 3.2, 3.4: its text, "" if the key has not signed it
    parts = re.fullmatch(r"([^\0-\x09\x0b-\x1f]+\n)\n((?:— [^\s+]+ \S{8,}\n){1,64})", note.decode())
    lines = [line.split(" ") for line in need(parts, "not a signed note", parts)[2].splitlines()]
    found = [octets[4:] for _, by, text in lines if (octets := unbase64(text))[:4] == key_id and by == name]
    for octets in found:
        words = b"cosignature/v1\ntime %d\n" % (at := int.from_bytes(octets[:8])) if kind == 4 else b""
        need(not words or since <= at <= until, f"{name} has cosigned it before it was written, or after the export")
        public.verify(octets[8 if words else 0 :], words + parts[1].encode())
    return parts[1] if found else ""


def cosigned(note, key, *terms):  # 6.8: whether a cosignature of this witness is in all these terms
    lines = [line.split(" ") for line in note.decode().partition("\n\n")[2].splitlines()]
    found = [octets for _, by, text in lines if (octets := unbase64(text))[:4] == key[2] and by == key[0]]
    return signed(note, *key, 0, 2**64) and any(all(a <= int.from_bytes(e[4:12]) < b for a, b in terms) for e in found)


def openssl(*words):
    command = ["openssl", "ts", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  of our own words
    why = done.stderr.strip() or done.stdout.strip()
    return need(done.returncode == 0, f"openssl ts {words[0]}: {why}", done.stdout)


def tuf_json(value):  # 6.8: it escapes two characters alone
    plain = re.compile(r"\\(?:[bfnrt]|u....)|(\\.)").sub
    return plain(lambda e: e[1] or json.loads(f'"{e[0]}"'), canonical(value)).encode()


def verify(kind, public, *signed):  # 6.8
    if kind == ("ed25519", "ed25519"):
        return ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(*signed)
    return (key := load_pem_public_key(public.encode())).verify(*signed, ec.ECDSA(ECDSA[*kind, key.curve.name]()))


def delegated(parent, role, metadata, name):  # TUF: the signed part of a role that its keys have signed
    one, done = json.loads(metadata[name]), set()
    for each in one["signatures"]:
        with suppress(Exception):  # a bad signature does not count
            key = parent["keys"][need(each["keyid"] in role["keyids"], "not a key of the role", each["keyid"])]
            kind, public = (key["keytype"], key["scheme"]), key["keyval"]["public"]
            verify(kind, public, bytes.fromhex(each["sig"]), tuf_json(one["signed"]))
            done.add(public)
    return need(len(done) >= role["threshold"], f"{name}: the association has not signed it", one["signed"])


def signed_by(metadata, root):  # 6.8
    trusted, name = json.loads(root)["signed"], "root.json"
    for parent in (trusted, json.loads(metadata[name])["signed"]):
        found = delegated(parent, parent["roles"]["root"], metadata, name)
    targets = delegated(found, found["roles"]["targets"], metadata, "targets.json")
    [role] = [each for each in targets["delegations"]["roles"] if each["name"] == "registry"]
    delegated(targets["delegations"], role, metadata, "registry.json")


def term(said, kind):  # 6.8
    name, _, key_id, public = vkey(said["key"], kind)
    until = float("inf") if said["until"] is None else moment(said["until"]).timestamp()
    return (name, kind, key_id, public), moment(said["since"]).timestamp(), until


class Pack:
    def __init__(self, files, log, witnesses, authority=None, root=None, later=None):
        self.authority, self.heads, self.root, self.later, self.notes = authority, {}, root, later, {}
        self.stamped, self.licensed, self.shown = {}, set(), []
        self.files, self.log, self.cosigners, self.faults, self.told = files, log, witnesses, [], []
        self.leaves, self.roots, self.made, self.registries = {}, {}, 0, set()
        self.attempt("manifest.json", self.verify)
        self.faults += [f"proofs/: {each[0]} has not cosigned" for each in witnesses if each not in self.cosigners]

    def attempt(self, name, check, *arguments):
        try:
            check(*arguments)
        except Exception as error:  # what cannot be read is not good
            self.faults.append(f"{name}: {error if type(error) is ValueError else repr(error)}")

    def verify(self):  # 7
        digests = {name: sha256(octets).hexdigest() for name, octets in self.files.items() if name != "manifest.note"}
        digest, manifest = digests.pop("manifest.json"), json.loads(self.files["manifest.json"], parse_float=int)
        case, at, policy, form, records = map(manifest.get, ("case", "exported", "policy", "format", "records"))
        basis = manifest.get("basis", {})
        fits = (canonical(manifest).encode(), "basis" in manifest) == (self.files["manifest.json"], bool(basis))
        fits &= form == f"idtone-evidence/{1 + bool(basis)}" and (policy != "one-person" or manifest["acts"] == [])
        fits &= len({entry["call"] for entry in records}) == len(records) > 0 and (case + at).isprintable()
        fits &= all(type(text) is str and text.isprintable() and text.strip() for text in basis.values())
        fits &= {*basis} <= BASIS and all(len(text) <= 300 for text in basis.values())
        days = [basis[name] for name in ("deadline", "valid_until", "confirm_by") if name in basis]
        fits &= all(str(date.fromisoformat(day)) == day for day in days)
        fits &= not basis or bool(basis["basis"] and basis["basis"].isascii() and basis.get("law"))
        fits &= not any(re.search(MIXED, text) or normalize("NFC", text) != text for text in basis.values())
        exported = need(fits and moment(at), "of another form, empty, or with a call twice", moment(at))
        self.made = exported.timestamp() + 300
        demand = moment(basis.get("received", at)).timestamp()
        fits = demand <= self.made <= time.time() + 86400 + 300
        fits &= basis.get("valid_until", "9") >= str(exported.astimezone(JAPAN).date())
        need(fits, "made before the demand, after the warrant, or in the future")
        note, self.told = f"idtone evidence pack v1\n{case}\n{digest}\n", [f"case {case}, exported {at}, {policy}"]
        self.told += [f"{name} {text}" for name, text in basis.items()]
        self.attempt("manifest.json", self.same_log, manifest["log_key"])
        self.attempt("manifest.note", lambda: need(signed(self.files["manifest.note"], *self.log) == note, "bad seal"))
        held = "|".join(f"{index:d}" for entry in records + manifest["acts"] for index in entry["leaves"])
        ours = rf"leaves/({held})\.json|proofs/({held})\.tlog-proof|report\.(html|pdf)"
        ours += r"|profiles/[a-z0-9][a-z0-9-]*\.json|registry/[0-9a-f]{64}\.json|timestamps/[1-9][0-9]*\.tsr"
        changed = dict(digests.items() ^ manifest["files"].items())
        for name in sorted({*changed, *(name for name in digests if not re.fullmatch(ours, name))}):  # 6.2
            self.faults.append(f"{name}: missing, changed, or not of the pack")
        for entry in records:
            self.attempt(f"call {entry['call']}", self.record, entry)
        need(re.fullmatch("[0-9a-f]{64}", manifest.get("registry", "0" * 64)), "its registry is no digest")
        self.registries.add((manifest.get("registry"), "signed"))
        for name in (each for each in digests if each.startswith("registry/")):
            self.attempt(name, self.registry, name)
        if need(policy in ("one-person", "two-persons"), "of another policy", policy == "two-persons"):
            self.attempt("the approval", self.approval, manifest, *manifest["acts"])
        for name in (each for each in digests if each.startswith("timestamps/")):
            self.attempt(name, need, name[11:-4] in self.heads, "of a tree that no proof leads to")
        for size in self.heads if self.authority else ():
            self.attempt(f"timestamps/{size}.tsr", self.timestamp, size)
        self.attempt("registry/", self.whose)
        ids = [each for _, each in sorted(self.leaves.items())]
        steps, lasts = [step for each in ids for step in each], [each[-1] for each in ids]
        if len({*steps}) < len(steps) or lasts != sorted(lasts):
            self.faults.append("leaves/: a step is in two of them, or they are not in order")

    def same_log(self, text):
        own, named = ((*key[:3], key[3].public_bytes_raw()) for key in (self.log, vkey(text, 1)))
        need(own == named and text.strip() == text, "it names the key of another log")

    def steps(self, entry):  # 2 to 4
        steps, given = [], entry["leaves"]
        need(given and given == sorted({*given}), "its leaves do not ascend")
        for index in given:
            above, _, note = self.files[f"proofs/{index}.tlog-proof"].partition(b"\n\n")
            form = rf"c2sp\.org/tlog-proof@v1\n(?:extra (\S+)\n)?index {index:d}((?:\n[^\n=]{{43}}=){{0,63}})"
            proof, text = re.fullmatch(form, above.decode()), signed(note, *self.log)
            head = re.fullmatch(r"([^\n]+)\n([1-9][0-9]{0,18})\n([^\n=]{43}=)\n(?:[^\n]+\n)*", text)
            fits = proof and head and head[1] == self.log[0] and index < int(head[2])
            unbase64(need(fits, f"proofs/{index}.tlog-proof: not a proof of this leaf by this log", proof[1] or ""))
            path, leaf = [unbase64(each) for each in proof[2].split()], self.files[f"leaves/{index}.json"]
            number, last, reached, held = index, int(head[2]) - 1, sha256(b"\0" + leaf).digest(), json.loads(leaf)
            while last:
                if number != last or number & 1:
                    reached = sha256(b"\1" + (path.pop(0) + reached if number & 1 else reached + path.pop(0))).digest()
                number, last = number >> 1, last >> 1
            need(reached == unbase64(head[3]) and not path and number == 0, f"leaves/{index}.json: not in the tree")
            need((held["call"], canonical(held).encode()) == (entry["call"], leaf), f"leaves/{index}.json: another's")
            need(whole(held), f"leaves/{index}.json: of another form")
            ids, times, kinds = ([step[name] for step in held["steps"]] for name in ("id", "at", "kind"))
            is_act = not ACTS.isdisjoint(kinds)
            fits = held.get("after", 0) == len(steps) and is_act <= held["call"].startswith("act-")
            fits &= not (is_act and (steps or len(ids) > 1))
            fits &= len(ids) == 1 if steps else [kind in ENDS for kind in kinds] == [*[False] * (len(ids) - 1), True]
            fits &= self.roots.setdefault(head[2], head[3]) == head[3] and index not in self.leaves
            fits &= ids == sorted(ids)
            need(fits and max(times) / 1e6 <= self.made, f"leaves/{index}.json: not as a ledger writes it")
            if kinds[0] in ("export-requested", "exported"):
                lawful(kinds[0], times[0] / 1e6, held["steps"][0]["details"])
            since, self.leaves[index] = max(times) / 1e6 - 300, ids
            self.notes[note] = head[2]
            self.heads[head[2]] = text, max(self.heads.get(head[2], ("", 0))[1], max(times) / 1e6)
            self.cosigners = [w for w in self.cosigners if signed(note, *w, since, self.made)]
            steps += held["steps"]
        return need(steps, "without a leaf", steps)

    def record(self, entry):  # 5
        steps = self.steps(entry)
        self.told.append(f"call {entry['call']}, leaves {entry['leaves']}")
        first = next((each["details"] for each in steps if each["kind"] in ("decided", "fallback")), {})
        self.registries.add((first.get("registry_sha256"), first.get("registry_trust")))
        self.licensed |= {first.get("member")} if "licence" in first else set()
        key = entry["key"] is not None and AESGCM(need(len(k := unbase64(entry["key"])) == 32, "no record key", k))
        if key and "numbers_key" in first:
            plain = key.decrypt(bytes(12), unbase64(first["numbers"]), entry["call"].encode())
            fits = canonical(numbers := json.loads(plain)).encode().ljust(96) == plain
            fits &= {*numbers} <= {"forwarding", "caller", "called"} and all(map(E164, numbers.values()))
            need(fits and all(first[f"{role}_kind"] in NUMBERS for role in numbers), "numbers of another form")
            self.told += [f"  {role} {number} ({first[f'{role}_kind']})" for role, number in numbers.items()]
        self.told += [f"  {datetime.fromtimestamp(s['at'] / 1e6, UTC)} {s['kind']} {s['details']}" for s in steps]

    def registry(self, name):  # 6.6
        shown = json.loads(self.files[name])
        octets = sorted((role, sha256(unbase64(text)).hexdigest()) for role, text in shown["metadata"].items())
        lines = "".join(f"{digest}  {role}\n" for role, digest in octets)
        digest = sha256(lines.encode()).hexdigest() if octets else name[9:73]
        trusts = {trust or shown["trust"] for of, trust in self.registries if of == name[9:73]}
        fits = trusts == {shown["trust"]} == {"signed" if octets else "unsigned"} and digest == name[9:73]
        need(fits and canonical(shown).encode() == self.files[name], "not a registry by which a call was decided")
        self.shown += [{role: unbase64(text) for role, text in shown["metadata"].items()}] * bool(octets)

    def whose(self):  # 6.8
        found = []
        for metadata in [*self.shown, *([self.later] if self.later else [])] if self.root else ():
            signed_by(metadata, self.root)
        for metadata in [self.later] if self.later else self.shown:
            signed = json.loads(metadata["registry.json"])["signed"]
            if "logs" in signed["targets"]["registry.yaml"].get("custom", {}):
                found.append((signed["version"], signed["targets"]["registry.yaml"]["custom"]["logs"]))
        if not found:
            self.told.append("whose log: not known, since no registry that counts says it")
            need(not self.root, "no registry that counts says whose log it is")
            return
        version, said = max(found, key=lambda each: each[0])
        known = [({**member, **each}, *term(each, 1)) for member in said["members"] for each in member["logs"]]
        own, names = self.log[3].public_bytes_raw(), {self.log[0], re.sub(r"\.[0-9]+$", "", self.log[0])}
        mine = [each for each in known if each[1][0] in names and each[1][3].public_bytes_raw() == own]
        witnesses, number = [term(each, 4) for each in said["witnesses"]], said["cosignatures"]
        member, _, since, until = mine[0] if mine else ({"member": None}, None, float("-inf"), float("inf"))
        counted = {note: {key[0] for key, *own in witnesses if cosigned(note, key, (since, until), own)}
                   for note in self.notes}  # fmt: skip
        enough = [len(names) >= number for names in counted.values()]
        if mine:
            name = f"{member['name']['ja']} / {member['name']['en']}, {member.get('corporate_number')}"
            self.told.append(f"whose log: {member['member']}, {name}; from {member['since']} until {member['until']}")
        else:
            self.told.append("whose log: NOT NAMED, the registry has no member with this key")
        by = ", ".join(sorted(set.intersection(*counted.values()))) if counted else ""
        met = "as demanded" if number and all(enough) else "NOT as demanded" if number else "none is demanded"
        every = ", ".join(dict.fromkeys(key[0] for key, *_ in witnesses))
        self.told.append(f"witnesses: {met}, {number} of {every}; cosigned in time by {by}; registry.json {version}")
        self.told += [] if self.root else ["the association's signatures were not verified: give --root"]
        others = {each[0]["member"] for each in known} & self.licensed
        need(mine or not (self.root or others), "the registry names other logs for the member")
        need(not mine or self.licensed <= {member["member"]}, "the log is of another member than a licence in it")
        need(self.made - 300 >= since, "the log is the member's only after the pack was made")
        need(not self.root or not number or all(enough), "fewer witnesses than the registry demands")
        for note, names in counted.items():
            seen = until > time.time() or since <= self.stamped.get(self.notes[note], float("inf")) < until
            need(seen or len(names) >= max(1, number), "the key had expired before others saw it")

    def timestamp(self, size):  # 6.7
        text, latest = self.heads[size]
        with TemporaryDirectory() as folder:
            reply, data = Path(folder, "reply"), Path(folder, "data")
            reply.write_bytes(self.files[f"timestamps/{size}.tsr"])
            data.write_text(text)
            told = openssl("-reply", "-in", reply, "-text")
            said = re.search(r"^Time stamp: (\w+ +\d+ [\d:]+)(?:\.\d+)? (\d+) GMT$", told, re.MULTILINE)
            at = datetime.strptime(f"{said[1]} {said[2]} +0000", "%b %d %H:%M:%S %Y %z").timestamp()
            openssl("-verify", "-in", reply, "-data", data, "-CAfile", self.authority, "-attime", f"{at:.0f}")
        need(latest - 300 <= at <= self.made, "stamped before it was written, or after the export")
        self.stamped[size] = at
        self.told.append(f"stamped {datetime.fromtimestamp(at, UTC)}: the tree of {size} leaves")

    def approval(self, manifest, *acts):  # 6.4
        [asked], [given] = map(self.steps, acts)
        files, records, ask, answer = manifest["files"], manifest["records"], asked["details"], given["details"]
        calls = [[e["call"], [files[f"leaves/{index}.json"] for index in sorted(e["leaves"])]] for e in records]
        basis = {"basis": manifest["basis"]} if "basis" in manifest else {}
        need(basis.get("basis", {}) == {name: ask[name] for name in BASIS & {*ask}}, "of another legal basis")
        chosen = canonical({"calls": calls, "case": manifest["case"], "numbers_sealed": ask["numbers_sealed"], **basis})
        need([asked["kind"], given["kind"]] == ["export-requested", "export-approved"], "no request and approval")
        need(ask["selection"] == answer["selection"] == sha256(chosen.encode()).hexdigest(), "of another selection")
        fits = all(type(a["by"]) is str and type(a["by_uid"]) is int and a["by_way"] in WAYS for a in (ask, answer))
        forms = type(ask["numbers_sealed"]), type(ask["calls"]), len(json.loads(ask["selected"]))
        need(fits and forms == (bool, int, ask["calls"]), "a request or approval of another form")
        names, ways = {ask["by"], answer["by"]}, [ask["by_way"], answer["by_way"]].count("console")
        others = {0: ask["by_uid"] != answer["by_uid"], 1: False, 2: len(names) == 2}[ways]
        need(answer["request"] == acts[0]["call"] and others, "not by another person")
        need(not (ask["numbers_sealed"] and any(each["key"] for each in records)), "the numbers are opened")
        shown = ask["case"], [*dict.fromkeys(json.loads(ask["selected"]))]
        need(shown == (manifest["case"], [each["call"] for each in records]), "of other calls than were shown")
        order = [max(index for each in records for index in each["leaves"]), *(act["leaves"][0] for act in acts)]
        need(order == sorted(order), "the request is older than a leaf that it names")
        made, until, late = map(moment, (manifest["exported"], ask["until"], answer["until"]))
        need(asked["at"] - 3e8 <= given["at"] < until.timestamp() * 1e6 and made < late, "too early, or too late")
        self.told.append(f"requested by {ask['by']}, approved by {answer['by']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack")
    parser.add_argument("--log-key", required=True, metavar="VKEY")
    parser.add_argument("--witness-key", action="append", default=[], metavar="VKEY")
    parser.add_argument("--tsa-root", metavar="FILE", help="certificates (PEM); each tree needs a timestamp of theirs")
    parser.add_argument("--root", metavar="FILE", help="the association's root.json: its registry must name the log")
    parser.add_argument("--registry", metavar="FOLDER", help="root.json, targets.json, registry.json of today")
    given = parser.parse_args()
    try:
        log, witnesses = vkey(given.log_key, 1), [vkey(each, 4) for each in given.witness_key]
        root = given.root and Path(given.root).read_bytes()
        names = ("root.json", "targets.json", "registry.json")
        later = given.registry and {name: Path(given.registry, name).read_bytes() for name in names}
        pack = Pack(unzip(Path(given.pack).read_bytes()), log, witnesses, given.tsa_root, root, later)
    except Exception as error:
        parser.error(f"{given.pack}: {error}")
    note = "report.html, report.pdf and profiles/ were not compared with the leaves: what counts is printed here"
    for line in [*pack.faults, "NOT GOOD" if pack.faults else "good", *pack.told, note]:
        print("".join(each if each.isprintable() else ascii(each)[1:-1] for each in line))
    raise SystemExit(bool(pack.faults))
