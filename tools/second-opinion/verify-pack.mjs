// Verifies an evidence pack by docs/evidence-format.md, whose sections the comments name. Plain Node.js 18 or newer:
//
//     node verify-pack.mjs PACK.zip --log-key VKEY [--witness-key VKEY ...] [--root FILE] [--registry FOLDER] [--tsa-root FILE]
//
// Exit 0: good. 1: not good. 2: no pack, or wrong use. Nothing is installed, and nothing of idtone is used.

import { createDecipheriv, createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateRawSync } from "node:zlib";

import { rootsOf, stampedAt } from "./timestamp.mjs";

const PACK_LIMIT = 512 * 2 ** 20; // 6.1
const NOTE_LIMIT = 262144; // 3.2
const SKEW = 300e6; // 7: five minutes, in microseconds like all times here
const DAY = 86400e6;
const JAPAN = 9 * 3600e6;
const AWAITED_LIMIT = 1e6; // 4.1
const ACTS = new Set([
  "export-requested", "export-approved", "export-refused", "exported", "export-received", "export-confirmed",
  "forgotten", "numbers-opened", "duty", "gap", "continued", "quarantined", "clock", "log-ended", "end-given-up",
]); // 2.1
const ENDS = new Set(["ended", "interrupted", ...ACTS]);
const SOUND = ["sound-started", "sound-ended", "sound-failed", "sound-reported"];
const KINDS = new Set(["decided", "fallback", "answered", ...SOUND, "connected", "suspended", ...ENDS]); // 2.1
const ANSWERS = new Set(["export-approved", "export-refused", "exported"]);
const BASIS_DAYS = ["deadline", "valid_until", "confirm_by"]; // 6.2
const BASIS = new Set(["basis", "law", "authority", "reference", "scope", "received", "court", "why", ...BASIS_DAYS]);
const WORD = /[\p{L}\p{N}_\u0300-\u036f]+/gu; // 7, for 13
const LATIN = /[A-Za-z\u00c0-\u024f\u1e00-\u1eff]/u;
const ALIKE = /[\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u1f00-\u1fff\u2c80-\u2cff\ua4d0-\ua4ff\uab70-\uabbf]/u;
const ROLES = new Set(["forwarding", "caller", "called"]); // 5.1
const NUMBERS = new Set(["fixed", "050", "0120", "mobile", "other", "emergency", "withheld", "malformed"]); // 2.2
const WAYS = new Set(["login", "sudo", "account", "console"]); // 2.2
const FURTHER = /^(?:profiles\/[a-z0-9][a-z0-9-]*\.json|registry\/[0-9a-f]{64}\.json|timestamps\/[1-9][0-9]*\.tsr)$/u;
const PRINTABLE = /^(?:[^\p{C}\p{Z}]| )*$/u; // 1

/** What is wrong, and the rule of section 7.1 that it breaks. */
class Broken extends Error {
  constructor(rule, what) {
    super(what);
    this.rule = rule;
  }
}

function need(fact, rule, what) {
  if (!fact) throw new Broken(rule, what);
}

// -- 1: encodings -----------------------------------------------------------------------------------------------------

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const characters = (text) => [...text].length;
const isWhole = (value) => Number.isSafeInteger(value) && !Object.is(value, -0);
const isText = (value) => typeof value === "string";
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Strict UTF-8; null for other bytes. */
function utf8(octets) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return null;
  }
}

/** Strict base64; null for other texts. */
function unbase64(text) {
  if (!isText(text)) return null;
  const octets = Buffer.from(text, "base64");
  return octets.toString("base64") === text ? octets : null;
}

/** RFC 8785, for whole numbers. Throws for what has no such text. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isObject(value)) {
    // JavaScript compares texts by their UTF-16 units, as RFC 8785 demands.
    return `{${Object.keys(value).sort().map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !isWhole(value)) throw new Error("a number that is not whole");
  if (isText(value) && /\p{Cs}/u.test(value)) throw new Error("a lone surrogate");
  return JSON.stringify(value);
}

/** What canonical JSON says; undefined if the bytes are none. An object that names a member twice is none. */
function fromCanonical(octets) {
  try {
    const text = utf8(octets);
    const value = JSON.parse(text);
    return canonical(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Microseconds since 1970 of a time as text, null if it has another form. */
function moment(text) {
  const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{6}))?([+-])(\d\d):(\d\d)$/u;
  const parts = isText(text) && form.exec(text);
  if (!parts) return null;
  const [, year, month, date, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = parts;
  const exists = day(`${year}-${month}-${date}`) !== null && hour < 24 && minute < 60 && second < 60;
  if (!exists || fraction === "000000" || offsetHours > 23 || offsetMinutes > 59) return null;
  const offset = (offsetHours * 60 + Number(offsetMinutes)) * 60;
  if (sign === "-" && offset === 0) return null;
  const seconds = day(`${year}-${month}-${date}`) / 1e6 + hour * 3600 + minute * 60 + Number(second);
  return (seconds - (sign === "-" ? -offset : offset)) * 1e6 + Number(fraction ?? 0);
}

/** Microseconds since 1970 at the beginning of a day in UTC, null if the day does not exist. */
function day(text) {
  const parts = isText(text) && /^(\d{4})-(\d\d)-(\d\d)$/u.exec(text);
  if (!parts || parts[1] === "0000") return null;
  const found = new Date(0);
  found.setUTCFullYear(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]));
  return found.toISOString().slice(0, 10) === text ? found.getTime() * 1000 : null;
}

/** The day in Japan at a time, in microseconds since 1970. */
const dayInJapan = (at) => new Date((at + JAPAN) / 1000).toISOString().slice(0, 10);

// -- 2: leaves and the tree -------------------------------------------------------------------------------------------

/** The leaf of these bytes (2.1). */
function readLeaf(octets) {
  const leaf = fromCanonical(octets);
  const has = (object, names) => isObject(object) && Object.keys(object).sort().join() === names;
  const isScalar = (value) => value === null || isText(value) || typeof value === "boolean" || isWhole(value);
  const isStep = (step) =>
    has(step, "at,details,id,kind,node") && isWhole(step.at) && isWhole(step.id) && step.id > 0 && isText(step.kind) &&
    /^[a-z-]+$/u.test(step.kind) && isText(step.node) && isObject(step.details) && Object.values(step.details).every(isScalar);
  const fits =
    (has(leaf, "call,steps") || (has(leaf, "after,call,steps") && isWhole(leaf.after) && leaf.after > 0)) &&
    isText(leaf.call) && characters(leaf.call) >= 1 && characters(leaf.call) <= 255 && Array.isArray(leaf.steps) &&
    leaf.steps.length > 0 && leaf.steps.every(isStep);
  need(fits, "leaf-form", "it is not the canonical JSON of a leaf");
  return leaf;
}

/** The rules for leaves (7.1), which come in the order of their numbers. `hasAll`: they are those of a whole tree. */
class LeafRules {
  constructor(hasAll) {
    this.hasAll = hasAll;
    this.calls = new Map(); // id -> how many steps its leaves have
    this.selected = new Set(); // calls without a leaf that a request has selected
    this.requests = new Set();
    this.givenUp = new Set(); // acts by which a first person gives up an end
    this.hasEnded = false;
    this.reached = 0;
    this.seen = new Set(); // of a whole tree: the steps that are still awaited
  }

  add(octets) {
    const leaf = readLeaf(octets);
    const kinds = leaf.steps.map((step) => step.kind);
    need(!this.hasAll || !this.hasEnded, "log-ended", "it follows the leaf with which its log has ended");
    this.hasEnded = kinds[0] === "log-ended";
    const before = this.calls.get(leaf.call) ?? 0;
    const isLate = this.selected.delete(leaf.call);
    this.calls.set(leaf.call, before + kinds.length);
    this.ofCall(leaf, kinds, before);
    this.order(leaf.steps.map((step) => step.id));
    if (kinds[0] === "export-requested") this.requests.add(leaf.call);
    const isFirst = kinds[0] === "end-given-up" && (leaf.steps[0].details.request ?? null) === null;
    if (isFirst) this.givenUp.add(leaf.call);
    need(!isLate, "act-calls", "its call was selected by a request before it was over");
    this.act(kinds[0], leaf.steps[0]);
    return leaf;
  }

  /** What the acts of a disclosure say of each other, of calls, and of times. */
  act(kind, { at, details }) {
    const selected = kind === "export-requested" ? selectedBy(details.selected ?? null) : [];
    if (this.hasAll) selected.forEach((call) => this.calls.has(call) || this.selected.add(call));
    if (kind === "export-requested" || kind === "exported") {
      const [received, until] = [details.received ?? null, details.valid_until ?? null];
      const isValid = until === null || (isText(until) && day(until) && until >= dayInJapan(at - SKEW));
      need(isValid, "warrant", "its warrant was not valid any more");
      const demand = received === null ? null : isText(received) ? moment(received) ?? Infinity : Infinity;
      need(demand === null || demand <= at + SKEW, "export-time", "its demand was received later");
    }
    const known = kind === "end-given-up" ? this.givenUp : this.requests;
    const request = ANSWERS.has(kind) || kind === "end-given-up" ? details.request ?? null : null;
    need(!this.hasAll || request === null || known.has(String(request)), "act-request", "its request is not before it");
  }

  ofCall(leaf, kinds, before) {
    need((leaf.after ?? 0) === before, "leaf-after", `${before} steps of its call come before`);
    const isAct = kinds.some((kind) => ACTS.has(kind));
    const isAlone = before === 0 && kinds.length === 1;
    need(!isAct || (isAlone && leaf.call.startsWith("act-")), "leaf-act", "an act is one step, and no call");
    if (before) {
      need(kinds.length === 1, "leaf-further", "its call was over, and it has several steps");
    } else {
      const ends = kinds.findIndex((kind) => ENDS.has(kind));
      need(ends === kinds.length - 1, "leaf-end", "the call is not over with its last step, or was over before");
    }
  }

  order(ids) {
    const last = ids[ids.length - 1];
    need(last > this.reached, "leaf-order", "its last step is not after those of the leaf before");
    if (this.hasAll) {
      const awaited = last - this.reached + this.seen.size;
      need(awaited <= AWAITED_LIMIT, "leaf-steps-missing", "the steps before its last one are missing");
      for (let id = this.reached + 1; id <= last; id += 1) this.seen.add(id);
    }
    this.reached = last;
    ids.forEach((id, place) => {
      const isFree = this.hasAll ? this.seen.delete(id) : !this.seen.has(id) && this.seen.add(id);
      need(isFree && (place === 0 || id > ids[place - 1]), "leaf-steps", `step ${id} is in another leaf, or not in order`);
    });
  }
}

/** The calls that a request selects, of which it says so. */
function selectedBy(text) {
  if (text === null) return [];
  let calls = null;
  try {
    calls = isText(text) ? JSON.parse(text) : null;
  } catch {
    // it is not JSON
  }
  const isId = (each) => isText(each) && each !== "" && !/\p{Cs}/u.test(each);
  need(Array.isArray(calls) && calls.every(isId), "request-form", "`selected` is not the list of its calls");
  return calls;
}

/** The root to which a proof leads (2.3); null if it has too few or too many hashes. */
function rootOf(index, size, leaf, path) {
  let [number, last, reached] = [index, size - 1n, sha256("\0", leaf)];
  const left = [...path];
  while (last > 0n) {
    if (number & 1n || number < last) {
      if (left.length === 0) return null;
      const sibling = left.shift();
      reached = number & 1n ? sha256("\x01", sibling, reached) : sha256("\x01", reached, sibling);
    }
    [number, last] = [number >> 1n, last >> 1n];
  }
  return left.length === 0 ? reached : null;
}

// -- 3: keys, notes, checkpoints --------------------------------------------------------------------------------------

const ed25519 = (octets) =>
  createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: octets.toString("base64url") }, format: "jwk" });

/** A verifier key (3.1) of a type: 1 for a log, 4 for a witness. */
function verifierKey(text, type) {
  const [name, id, ...rest] = String(text).trim().split("+");
  const octets = unbase64(rest.join("+"));
  const isKey = /^[^\s+]+$/u.test(name) && octets?.length === 33 && octets[0] === type;
  need(isKey && sha256(name, "\n", octets).toString("hex", 0, 4) === id, "keys", `${text} is no key of type ${type}`);
  return { name, type, id, text: `${name}+${id}+${octets.toString("base64")}`, key: ed25519(octets.subarray(1)) };
}

/** The text and the signature lines of a note (3.2). */
function readNote(octets, rule) {
  const whole = octets && octets.length <= NOTE_LIMIT ? utf8(octets) : null;
  need(whole !== null && !/[\0-\x09\x0b-\x1f]/u.test(whole), rule, "it is no signed note");
  const gap = whole.lastIndexOf("\n\n");
  need(gap >= 0 && whole.endsWith("\n"), rule, "the note has no signatures below an empty line");
  const below = whole.slice(gap + 2, -1).split("\n");
  need(below.length <= 64, rule, "the note has more than 64 signatures");
  const lines = below.map((line) => {
    const [dash, name, encoded, ...more] = line.split(" ");
    const signature = unbase64(encoded);
    const fits = dash === "\u2014" && /^[^\s+]+$/u.test(name ?? "") && signature?.length >= 5 && more.length === 0;
    need(fits, rule, "a line below the note is no signature line");
    return { name, id: signature.toString("hex", 0, 4), signature: signature.subarray(4) };
  });
  return { text: whole.slice(0, gap + 1), lines };
}

/** The times (null for a log) of the signatures of a key on a note; empty if it has not signed. Each has to be good. */
function signatures(note, { name, id, type, key }, rule) {
  return note.lines.filter((line) => line.name === name && line.id === id).map(({ signature }) => {
    let [message, at] = [note.text, null];
    if (type === 4 && signature.length >= 8) {
      at = signature.readBigUInt64BE();
      message = `cosignature/v1\ntime ${at}\n${note.text}`; // 3.4
    }
    const octets = type === 4 ? signature.subarray(8) : signature;
    need(octets.length === 64 && verifySignature(null, Buffer.from(message), key, octets), rule, `not signed by ${name}`);
    return at === null ? null : Number(at) * 1e6;
  });
}

/** Size and root of a checkpoint (3.3) that the log has signed. */
function readCheckpoint(note, log) {
  need(signatures(note, log, "proof").length > 0, "proof", `${log.name} has not signed the checkpoint`);
  const [origin, size, root, ...more] = note.text.slice(0, -1).split("\n");
  const octets = unbase64(root);
  const fits = origin === log.name && /^(?:0|[1-9]\d{0,18})$/u.test(size ?? "") && octets?.length === 32;
  need(fits && more.every((line) => line !== ""), "proof", "it is no checkpoint of this log");
  return { size: BigInt(size), root: octets };
}

/** Number, hashes and checkpoint's note of a proof (4). */
function readProof(octets) {
  const whole = octets ?? Buffer.alloc(0);
  const end = whole.indexOf("\n\n");
  const lines = (end < 0 ? null : utf8(whole.subarray(0, end)))?.split("\n") ?? [];
  need(lines.shift() === "c2sp.org/tlog-proof@v1", "proof", "it is no proof");
  if (lines[0]?.startsWith("extra ")) need(unbase64(lines.shift().slice(6)) !== null, "proof", "its extra is no base64");
  const index = /^index (0|[1-9]\d{0,18})$/u.exec(lines.shift() ?? "");
  const path = lines.map(unbase64);
  const fits = index && path.length <= 63 && path.every((hash) => hash?.length === 32);
  need(fits, "proof", "it is no proof");
  return { index: BigInt(index[1]), path, note: readNote(whole.subarray(end + 2), "proof") };
}

// -- 6.1: the ZIP file ------------------------------------------------------------------------------------------------

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(octets) {
  let value = 0xffffffff;
  for (const octet of octets) value = CRC[(value ^ octet) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Name -> contents of the files of a ZIP file. */
function unzip(octets) {
  const end = octets.length - 22;
  const isEnd = end >= 0 && octets.readUInt32LE(end) === 0x06054b50 && octets.readUInt32LE(end + 4) === 0;
  need(isEnd && octets.readUInt16LE(end + 20) === 0, "zip", "its end is not that of a ZIP file");
  const count = octets.readUInt16LE(end + 8);
  let listed = octets.readUInt32LE(end + 16);
  const fits = count === octets.readUInt16LE(end + 10) && listed + octets.readUInt32LE(end + 12) === end;
  need(fits, "zip", "there are octets that belong to no file");
  const files = new Map();
  let [at, total] = [0, 0];
  const list = listed;
  for (let number = 0; number < count; number += 1) {
    need(listed + 46 <= end && octets.readUInt32LE(listed) === 0x02014b50, "zip", "its list is cut off");
    const fixed = octets.subarray(listed + 6, listed + 32);
    const [method, packed, size] = [fixed.readUInt16LE(4), fixed.readUInt32LE(14), fixed.readUInt32LE(18)];
    const [length, flags] = [fixed.readUInt16LE(22), fixed.readUInt16LE(2)];
    const rest = octets.subarray(listed + 30, listed + 36);
    const name = octets.subarray(listed + 46, listed + 46 + length);
    const isPlain = method === 8 && (flags & ~0x0800) === 0 && rest.every((octet) => octet === 0);
    need(isPlain && octets.readUInt32LE(listed + 42) === at, "zip", "an entry of its list has another form");
    const header = Buffer.concat([Buffer.from("PK\x03\x04"), fixed.subarray(0, 24), Buffer.from([0, 0]), name]);
    need(octets.subarray(at, at + header.length).equals(header), "zip", "a header differs from the list");
    total += size;
    need(total <= PACK_LIMIT, "zip", "it is larger than any pack");
    const begin = at + header.length;
    at = begin + packed;
    need(at <= list, "zip", "a file is cut off");
    const content = inflated(octets.subarray(begin, at), size);
    need(content.length === size && crc32(content) === fixed.readUInt32LE(10), "zip", "a file is damaged");
    const text = utf8(name);
    need(text !== null && (flags !== 0 || /^[\0-\x7f]*$/u.test(text)), "zip", "the name of a file cannot be read");
    need(!files.has(text), "zip", "two files have one name");
    files.set(text, content);
    listed += 46 + length;
  }
  need(at === list && listed === end, "zip", "there are octets that belong to no file");
  return files;
}

function inflated(octets, size) {
  try {
    const { buffer, engine } = inflateRawSync(octets, { info: true, maxOutputLength: Math.max(size, 1) });
    if (engine.bytesWritten === octets.length) return buffer;
  } catch {
    // falls through
  }
  throw new Broken("zip", "a file is damaged, or octets stand behind it");
}

// -- 6.8: whose log it is ---------------------------------------------------------------------------------------------

const METADATA = ["root.json", "targets.json", "registry.json"];

function read(octets) {
  try {
    return JSON.parse(utf8(octets));
  } catch {
    throw new Broken("registry", "metadata of the registry cannot be read");
  }
}

const SCHEMES = { "ed25519/ed25519": [], "ecdsa/ecdsa-sha2-nistp256": ["prime256v1", "sha256"], "ecdsa/ecdsa-sha2-nistp384": ["secp384r1", "sha384"] };

/** Whether it is a signature of a key of TUF; one that cannot be read is none. */
function isSignature({ keytype, scheme, keyval }, octets, signature) {
  try {
    const [curve, hash = null] = SCHEMES[`${keytype}/${scheme}`];
    const key = curve ? createPublicKey(keyval.public) : ed25519(Buffer.from(keyval.public, "hex"));
    return key.asymmetricKeyDetails.namedCurve === curve && verifySignature(hash, octets, key, signature);
  } catch {
    return false;
  }
}

/** TUF: enough keys of a role, which `parent` names, have signed it. */
function delegated(keys, role, octets) {
  const { signatures: lines, signed } = read(octets);
  const unescaped = (each) => (/^\\["\\]/u.test(each) ? each : JSON.parse(`"${each}"`)); // 6.8
  const said = Buffer.from(canonical(signed).replace(/\\(?:u....|.)/gu, unescaped));
  const isGood = ({ keyid, sig }) => role.keyids.includes(keyid) && isSignature(keys[keyid] ?? {}, said, Buffer.from(sig, "hex"));
  const signers = new Set(lines.filter(isGood).map(({ keyid }) => keys[keyid].keyval.public));
  need(signers.size >= role.threshold, "registry", "the association has not signed it");
  return signed;
}

function verifyRegistry(metadata, trusted) {
  const parents = [read(trusted).signed, read(metadata["root.json"]).signed];
  for (const { keys, roles } of parents) delegated(keys, roles.root, metadata["root.json"]);
  const targets = delegated(parents[1].keys, parents[1].roles.targets, metadata["targets.json"]);
  const role = targets.delegations.roles.find(({ name }) => name === "registry");
  delegated(targets.delegations.keys, role, metadata["registry.json"]);
}

function term(said, type) {
  const key = verifierKey(said.key, type);
  const [since, until] = [moment(said.since), said.until === null ? Infinity : moment(said.until)];
  need(key.text === said.key && since !== null && until !== null, "registry", "a term has another form");
  return { key, since, until, said };
}

const holds = ({ since, until }, at) => since <= at && at < until;

/** What the registry says of logs; null if it says nothing. */
function namedLogs(metadata) {
  const { signed } = read(metadata["registry.json"]);
  const said = signed.targets["registry.yaml"].custom?.logs;
  if (said === undefined) return null;
  try {
    const owners = said.members.flatMap((member) => member.logs.map((each) => ({ member, ...term(each, 1) })));
    const witnesses = said.witnesses.map((each) => term(each, 4));
    need(isWhole(signed.version) && isWhole(said.cosignatures), "registry", "no whole number");
    return { version: signed.version, owners, witnesses, number: said.cosignatures };
  } catch {
    throw new Broken("registry", "what the registry says of logs has another form");
  }
}

// -- 6 and 7: the pack ------------------------------------------------------------------------------------------------

class Pack {
  constructor(files, log, witnesses, now, root, later, authority) {
    Object.assign(this, { files, log, witnesses, now, faults: [], told: [], leaves: new Map(), sizes: new Map() });
    Object.assign(this, { root, later, authority, heads: new Map(), stamped: new Map(), notes: [], licensed: new Set(), shown: [], registries: [] });
    this.attempt("manifest.json", () => this.verify());
  }

  attempt(where, check) {
    try {
      return check();
    } catch (error) {
      const rule = error instanceof Broken ? error.rule : "manifest"; // a member of another type, or a missing one
      this.faults.push({ rule, where, what: error.message });
      return null;
    }
  }

  verify() {
    const octets = this.files.get("manifest.json") ?? Buffer.alloc(0);
    const manifest = fromCanonical(octets);
    need(isObject(manifest), "manifest", "it is missing, or not canonical");
    this.manifest = manifest;
    need(["idtone-evidence/1", "idtone-evidence/2"].includes(manifest.format), "format", "its format is not known");
    need(["one-person", "two-persons"].includes(manifest.policy), "format", "its policy is not known");
    const texts = [manifest.case, manifest.exported];
    need(texts.every((text) => isText(text) && PRINTABLE.test(text)), "manifest", "case or exported is not printable");
    this.exported = moment(manifest.exported);
    need(this.exported !== null, "manifest", "exported is no time");
    const areEntries = (list) => list.every((entry) => isText(entry.call) && isAscending(entry.leaves));
    need(areEntries(manifest.records) && manifest.records.length > 0, "manifest", "records has another form, or none");
    need(areEntries(manifest.acts) && isObject(manifest.files), "manifest", "acts or files has another form");
    this.attempt("manifest.json", () => this.log_key());
    this.attempt("manifest.json", () => this.basis());
    const calls = manifest.records.map((entry) => entry.call);
    this.attempt("manifest.json", () => need(new Set(calls).size === calls.length, "record-twice", "a call is there twice"));
    this.attempt("manifest.note", () => this.seal(sha256(octets).toString("hex")));
    this.belonging();
    for (const entry of manifest.records) this.attempt(`call ${entry.call}`, () => this.record(entry));
    const isOne = manifest.policy === "one-person";
    this.attempt("manifest.json", () => need(!isOne || manifest.acts.length === 0, "manifest", "it has acts of a request"));
    if (!isOne) this.attempt("the approval", () => this.approval());
    const isDigest = manifest.registry === undefined || (isText(manifest.registry) && /^[0-9a-f]{64}$/u.test(manifest.registry));
    this.attempt("manifest.json", () => need(isDigest, "manifest", "its registry is no digest"));
    this.registries.push([manifest.registry, "signed"]);
    for (const name of this.files.keys()) {
      if (name.startsWith("registry/")) this.attempt(name, () => this.registry(name));
    }
    for (const name of this.files.keys()) {
      const [, size] = /^timestamps\/(\d+)\.tsr$/u.exec(name) ?? [];
      this.attempt(name, () => need(!size || this.heads.has(BigInt(size)), "timestamp", "no proof leads to its tree"));
    }
    for (const size of this.authority ? this.heads.keys() : []) {
      this.attempt(`timestamps/${size}.tsr`, () => this.timestamp(size));
    }
    this.attempt("registry/", () => this.whose());
    this.rules();
    this.attempt("manifest.json", () => this.times());
  }

  log_key() {
    let named = null;
    try {
      named = verifierKey(this.manifest.log_key, 1);
    } catch {
      // falls through
    }
    need(named?.text === this.log.text && this.manifest.log_key === named.text, "manifest", "it names another log's key");
  }

  basis() {
    const { basis, format } = this.manifest;
    if (format === "idtone-evidence/1") return need(basis === undefined, "basis-form", "this format names no legal basis");
    need(isObject(basis) && Object.keys(basis).every((name) => BASIS.has(name)), "basis-form", "it has other members");
    const fits = (text) => isText(text) && PRINTABLE.test(text) && text.trim() !== "" && characters(text) <= 300;
    need(Object.values(basis).every(fits) && basis.basis && basis.law, "basis-form", "a text is missing, or of another form");
    const isDay = (name) => basis[name] === undefined || day(basis[name]) !== null;
    const isTime = basis.received === undefined || moment(basis.received) !== null;
    need(BASIS_DAYS.every(isDay) && isTime, "basis-form", "a day or a time of it is none");
    const isMixed = (text) => (text.match(WORD) ?? []).some((word) => LATIN.test(word) && ALIKE.test(word));
    const isAlike = Object.values(basis).some((text) => isMixed(text) || text.normalize("NFC") !== text);
    return need(!isAlike && /^[ -~]*$/u.test(basis.basis), "basis-alike", "a text of the legal basis looks like another");
  }

  seal(digest) {
    const note = readNote(this.files.get("manifest.note"), "seal");
    const text = `idtone evidence pack v1\n${this.manifest.case}\n${digest}\n`;
    need(note.text === text, "seal", "it is not about this manifest and this case");
    need(signatures(note, this.log, "seal").length > 0, "seal", `${this.log.name} has not signed it`);
  }

  belonging() {
    const named = this.manifest.files;
    const own = new Set(["report.html", "report.pdf"]);
    for (const { leaves } of [...this.manifest.records, ...this.manifest.acts]) {
      for (const index of leaves) own.add(`leaves/${index}.json`).add(`proofs/${index}.tlog-proof`);
    }
    const found = new Set([...Object.keys(named), ...this.files.keys()]);
    for (const name of ["manifest.json", "manifest.note"]) found.delete(name);
    for (const name of [...found].sort()) {
      this.attempt(name, () => {
        need(this.files.has(name), "files", "it is missing");
        need(Object.hasOwn(named, name), "files", "it is not in the manifest's files");
        need(own.has(name) || FURTHER.test(name), "files", "it belongs to no record");
        need(sha256(this.files.get(name)).toString("hex") === named[name], "files", "it was changed");
      });
    }
  }

  /** 6.7 */
  timestamp(size) {
    const { text, latest } = this.heads.get(size);
    let at = null;
    try {
      at = stampedAt(this.files.get(`timestamps/${size}.tsr`), text, this.authority);
    } catch (error) {
      throw new Broken("timestamp", `the tree of ${size} leaves has no timestamp that counts: ${error.message}`);
    }
    need(latest <= at + SKEW && at <= this.exported + SKEW, "timestamp", "it was stamped before it was written, or after the export");
    this.stamped.set(size, at);
    this.told.push(`stamped ${shownTime(at)}: the tree of ${size} leaves`);
  }

  /** 6.8 */
  whose() {
    const counting = this.later ? [this.later] : this.shown; // a pack may hold any version
    try {
      if (this.root) new Set([...this.shown, ...counting]).forEach((metadata) => verifyRegistry(metadata, this.root));
    } catch (error) {
      throw new Broken("registry", error.message);
    }
    const known = counting.map(namedLogs).filter((logs) => logs !== null).sort((one, other) => other.version - one.version);
    if (known.length === 0) {
      this.told.push("whose log: not known, since no registry that counts says it");
      return need(!this.root, "log-member", "no registry that counts says whose log it is");
    }
    const { version, owners, witnesses, number } = known[0];
    const names = [this.log.name, this.log.name.replace(/\.[0-9]+$/u, "")];
    const isOurs = ({ key }) => names.includes(key.name) && key.key.equals(this.log.key);
    const mine = owners.find(isOurs);
    const counted = this.notes.map(({ note, size }) => {
      const times = (witness) => signatures(note, witness.key, "cosignature");
      const inTime = (witness) => times(witness).some((at) => holds(witness, at) && (!mine || holds(mine, at)));
      return { size, some: new Set(witnesses.filter(inTime).map(({ key }) => key.name)) };
    });
    const isMet = number > 0 && counted.every(({ some }) => some.size >= number);
    const all = [...new Set(witnesses.map(({ key }) => key.name))];
    const by = all.filter((name) => counted.length > 0 && counted.every(({ some }) => some.has(name)));
    if (mine) {
      const { member, said } = mine;
      const legal = `${member.name.ja} / ${member.name.en}, ${member.corporate_number ?? "no corporate number"}`;
      this.told.push(`whose log: ${member.member}, ${legal}; from ${said.since} until ${said.until ?? "further notice"}`);
    } else this.told.push("whose log: NOT NAMED, the registry has no member with this key");
    const verdict = number === 0 ? "none is demanded" : isMet ? "as demanded" : "NOT as demanded";
    this.told.push(`witnesses: ${verdict}, ${number} of ${all.join(", ")}; cosigned in time by ${by.join(", ")}; registry.json ${version}`);
    if (!this.root) this.told.push("the association's signatures were not verified: give --root");
    const isAnothers = owners.some(({ member }) => this.licensed.has(member.member));
    need(mine || !(this.root || isAnothers), "log-member", "the registry names other logs for the member");
    need(!mine || this.exported >= mine.since, "log-member", "the log is the member's only after the pack was made");
    need(!mine || [...this.licensed].every((id) => id === mine.member.member), "log-member", "a licence in it is another member's");
    this.attempt("registry/", () => need(!this.root || number === 0 || isMet, "witness-policy", "too few witnesses have cosigned"));
    const isSeen = ({ size, some }) => some.size >= Math.max(1, number) || holds(mine, this.stamped.get(size) ?? Infinity);
    const isExpired = mine && mine.until <= this.now;
    return need(!isExpired || counted.every(isSeen), "log-until", "the key had expired before others saw it");
  }

  /** 6.6; what the registry says of the numbers is not looked at. */
  registry(name) {
    const shown = fromCanonical(this.files.get(name));
    const digest = name.slice("registry/".length, -".json".length);
    const trusts = this.registries.filter(([each]) => each === digest).map(([, trust]) => trust || shown?.trust);
    need(trusts.length > 0 && isObject(shown?.metadata), "registry", "no call of the pack was decided by it");
    const trust = Object.keys(shown.metadata).length > 0 ? "signed" : "unsigned";
    need(shown.trust === trust && trusts.every((each) => each === trust), "registry", "it was trusted in another way");
    const lines = Object.entries(shown.metadata).map(([role, text]) => [role, unbase64(text)]).sort(([a], [b]) => (a < b ? -1 : 1));
    need(lines.every(([, octets]) => octets), "registry", "its metadata is not base64");
    const sums = lines.map(([role, octets]) => `${sha256(octets).toString("hex")}  ${role}\n`).join("");
    need(sums === "" || sha256(sums).toString("hex") === digest, "registry", "its metadata has another digest");
    if (sums !== "") this.shown.push(Object.fromEntries(lines));
  }

  /** The steps of the proven leaves of a record or an act. */
  proven(entry) {
    const steps = [];
    for (const index of entry.leaves) {
      const content = this.files.get(`leaves/${index}.json`);
      const proof = readProof(this.files.get(`proofs/${index}.tlog-proof`));
      const { size, root } = readCheckpoint(proof.note, this.log);
      const isOfLeaf = content && proof.index === BigInt(index) && proof.index < size;
      need(isOfLeaf && rootOf(proof.index, size, content, proof.path)?.equals(root), "proof", `leaf ${index} is not in the tree`);
      this.notes.push({ note: proof.note, size });
      const known = this.sizes.get(size) ?? root;
      this.sizes.set(size, known);
      this.attempt(`leaf ${index}`, () => need(known.equals(root), "fork", `the log has signed two trees of ${size} leaves`));
      this.attempt(`leaf ${index}`, () => need(!this.leaves.has(index), "leaf-twice", "it is there twice"));
      this.leaves.set(index, { content, cosigned: this.cosigned(index, proof.note) });
      const leaf = readLeaf(content);
      need(leaf.steps.every(({ kind }) => KINDS.has(kind)), "leaf-form", `leaf ${index} has a step of an unknown kind`);
      need(leaf.call === entry.call, "leaf-call", `leaf ${index} is of another call`);
      const latest = Math.max(this.heads.get(size)?.latest ?? 0, ...leaf.steps.map((step) => step.at));
      this.heads.set(size, { text: proof.note.text, latest });
      steps.push(...leaf.steps);
    }
    return steps;
  }

  /** The times of all cosignatures of the witnesses. */
  cosigned(index, note) {
    return this.witnesses.flatMap((witness) => {
      const times = this.attempt(`leaf ${index}`, () => signatures(note, witness, "cosignature")) ?? [null];
      const late = times.filter((at) => at !== null && at > this.exported + SKEW);
      this.attempt(`leaf ${index}`, () => {
        need(times.length > 0, "cosignature", `${witness.name} has not cosigned its checkpoint`);
        need(late.length === 0, "cosignature", `${witness.name} has cosigned it after the pack was made`);
      });
      return times.filter((at) => at !== null);
    });
  }

  record(entry) {
    need(entry.key === null || isText(entry.key), "manifest", "its key is no text");
    const steps = this.proven(entry);
    this.told.push(`call ${entry.call}, leaves ${entry.leaves.join(", ")}`);
    const first = steps.find((step) => step.kind === "decided" || step.kind === "fallback")?.details ?? {};
    this.registries.push([first.registry_sha256, first.registry_trust]);
    if ("licence" in first) this.licensed.add(first.member);
    for (const [role, number] of Object.entries(this.numbers(entry, first))) {
      this.told.push(`  ${role} ${number} (${first[`${role}_kind`]})`);
    }
    for (const { at, kind, details } of steps) this.told.push(`  ${shownTime(at)} ${kind} ${canonical(details)}`);
  }

  /** 5.1 */
  numbers(entry, first) {
    if (entry.key === null) return {};
    const key = unbase64(entry.key);
    need(key?.length === 32, "numbers", "its key is no base64 of 32 bytes");
    if (!("numbers_key" in first)) return {};
    const sealed = unbase64(first.numbers);
    need(sealed?.length > 16, "numbers", "its sealed numbers are no base64");
    try {
      const opening = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12));
      opening.setAAD(Buffer.from(entry.call)).setAuthTag(sealed.subarray(-16));
      const plain = utf8(Buffer.concat([opening.update(sealed.subarray(0, -16)), opening.final()]));
      const numbers = JSON.parse(plain);
      const isNumber = ([role, number]) =>
        ROLES.has(role) && isText(number) && /^\+[0-9]+$/u.test(number) && NUMBERS.has(first[`${role}_kind`]);
      const fits = isObject(numbers) && canonical(numbers).padEnd(96) === plain && Object.entries(numbers).every(isNumber);
      if (!fits) throw new Error("numbers of another form");
      return numbers;
    } catch {
      throw new Broken("numbers", "its key does not open what was sealed");
    }
  }

  /** 6.4 */
  approval() {
    const { acts, records, files, basis } = this.manifest;
    need(acts.length === 2, "request-form", "it has no request and approval");
    const [[request], [approval]] = acts.map((entry) => this.proven(entry));
    const [asked, given] = [request.details, approval.details];
    const isPair = request.kind === "export-requested" && approval.kind === "export-approved";
    need(isPair && given.request === acts[0].call, "request-form", "the acts are no request and its approval");
    const isPerson = ({ by, by_uid: uid, by_way: way }) => isText(by) && isWhole(uid) && WAYS.has(way);
    need([asked, given].every(isPerson), "request-form", "it does not say who requested or approved it");
    const consoles = [asked, given].filter((act) => act.by_way === "console").length;
    const isAnother = [asked.by_uid !== given.by_uid, false, asked.by !== given.by][consoles];
    need(isAnother, "request-form", "it was not approved by another person");
    const latest = Math.max(...records.flatMap((entry) => entry.leaves));
    const inOrder = latest < acts[0].leaves[0] && acts[0].leaves[0] < acts[1].leaves[0];
    need(inOrder, "request-order", "records, request and approval are not in this order");
    const calls = records.map((entry) => [entry.call, entry.leaves.map((index) => files[`leaves/${index}.json`])]);
    need(typeof asked.numbers_sealed === "boolean", "selection", "it does not say whether the numbers stay sealed");
    const chosen = { case: this.manifest.case, numbers_sealed: asked.numbers_sealed, calls, ...(basis ? { basis } : {}) };
    const selection = sha256(canonical(chosen)).toString("hex");
    need(asked.selection === selection && given.selection === selection, "selection", "it is of another selection");
    need(asked.calls === selectedBy(asked.selected ?? null).length, "request-form", "it selects another number of calls than it says");
    const shown = [...new Set(JSON.parse(asked.selected))];
    const isShown = asked.case === this.manifest.case && canonical(shown) === canonical(calls.map(([call]) => call));
    need(isShown, "selection", "the second person was shown another case, or other calls");
    const named = Object.fromEntries(Object.entries(asked).filter(([name]) => BASIS.has(name)));
    need(canonical(named) === canonical(basis ?? {}), "request-basis", "it is of another legal basis");
    const isOpened = asked.numbers_sealed && records.some((entry) => entry.key !== null);
    need(!isOpened, "request-numbers", "the numbers are opened");
    const [until, late] = [moment(asked.until), moment(given.until)];
    need(until !== null && late !== null, "request-form", "it does not say until when it counts");
    const inTime = approval.at < until && this.exported < late;
    need(inTime && approval.at >= request.at - SKEW, "request-time", "it is too early, or too late");
    this.told.push(`requested by ${asked.by}, approved by ${given.by}`);
  }

  /** The rules for all leaves (7, check 10), and their times (check 12). */
  rules() {
    const rules = new LeafRules(false);
    for (const index of [...this.leaves.keys()].sort((one, other) => one - other)) {
      const { content, cosigned } = this.leaves.get(index);
      this.attempt(`leaf ${index}`, () => {
        const at = Math.max(...rules.add(content).steps.map((step) => step.at));
        const isLate = at > this.exported + SKEW || cosigned.some((time) => at > time + SKEW);
        need(!isLate, "leaf-time", "it is later than the pack, or than a cosignature");
      });
    }
  }

  times() {
    const { received, valid_until: until } = this.manifest.basis ?? {};
    need(this.exported <= this.now + DAY, "export-time", "the pack was made in the future");
    const demand = received === undefined ? null : moment(received);
    need(demand === null || demand <= this.exported + SKEW, "export-time", "the demand came after the pack was made");
    need(until === undefined || until >= dayInJapan(this.exported), "warrant", "the warrant was not valid any more");
  }
}

const isAscending = (leaves) =>
  leaves.length > 0 && leaves.every((index, place) => isWhole(index) && index >= 0 && (!place || index > leaves[place - 1]));

function shownTime(at) {
  const date = new Date(Math.floor(at / 1000));
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

// -- the program ------------------------------------------------------------------------------------------------------

/** The faults of a pack that `files` gives as name -> contents, and what is proven. */
function judge(files, logKey, witnessKeys, now, root = null, later = null, authority = null) {
  try {
    const [log, witnesses] = [verifierKey(logKey, 1), witnessKeys.map((key) => verifierKey(key, 4))];
    return new Pack(files(), log, witnesses, now, root, later, authority);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { faults: [{ rule: error.rule, where: "the pack", what: error.message }], told: [] };
  }
}

function main(given) {
  const [keys, witnesses, places] = [[], [], []];
  let [root, later, authority] = [null, null, null];
  while (given.length > 0) {
    const word = given.shift();
    if (word === "--log-key") keys.push(given.shift());
    else if (word === "--witness-key") witnesses.push(given.shift());
    else if (word === "--root") root = readFileSync(given.shift());
    else if (word === "--tsa-root") authority = rootsOf(readFileSync(given.shift()));
    else if (word === "--registry") {
      const folder = given.shift();
      later = Object.fromEntries(METADATA.map((name) => [name, readFileSync(join(folder, name))]));
    } else places.push(word);
  }
  if (places.length !== 1 || keys.length !== 1) {
    process.stderr.write("node verify-pack.mjs PACK.zip --log-key VKEY [--witness-key VKEY ...] [--root FILE] [--registry FOLDER] [--tsa-root FILE]\n");
    return 2;
  }
  const pack = judge(() => unzip(readFileSync(places[0])), keys[0], witnesses, Date.now() * 1000, root, later, authority);
  const lines = pack.faults.map(({ rule, where, what }) => `${where}: ${what} [${rule}]`);
  lines.push(pack.faults.length > 0 ? "NOT GOOD" : "good");
  if (pack.manifest) lines.push(`case ${pack.manifest.case}, exported ${pack.manifest.exported}, ${pack.manifest.policy}`);
  lines.push(...Object.entries(pack.manifest?.basis ?? {}).map(([name, text]) => `${name} ${text}`), ...pack.told);
  lines.push("report.html, report.pdf and profiles/ were not compared with the leaves");
  if (!authority) lines.push("timestamps were not checked: give --tsa-root");
  const shown = (line) => line.replace(/[\p{C}\p{Z}]/gu, (each) => (each === " " ? each : `\\u{${each.codePointAt(0).toString(16)}}`));
  process.stdout.write(`${lines.map(shown).join("\n")}\n`);
  if (pack.faults.some((fault) => fault.rule === "zip" || fault.rule === "keys")) return 2;
  return pack.faults.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}

export { LeafRules, judge, moment, unzip };
