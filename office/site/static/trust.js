// Verifies what the association has signed, with WebCrypto alone: the roots, the metadata of the registry, and the
// statement of this site. A host of the site has none of the keys: it cannot change an answer, but show an older edition until
// that expires.

import { joined } from "./oprf.js";

const KEYS_OF_STATEMENT = "timestamp";
const SEEN = "idtone-issued";
const text = (words) => new TextEncoder().encode(words);
const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (each) => parseInt(each, 16));
const toHex = (bytes) => Array.from(new Uint8Array(bytes), (each) => each.toString(16).padStart(2, "0")).join("");
export const fromBase64 = (words) => Uint8Array.from(atob(words), (each) => each.charCodeAt(0));
export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
export const sha256 = async (bytes) => toHex(await crypto.subtle.digest("SHA-256", bytes));

// OLPC's canonical JSON, the form that TUF signs.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort((one, other) => compare(text(one), text(other)));
    return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  if (typeof value === "string") return `"${value.replace(/[\\"]/g, "\\$&")}"`;
  if (typeof value === "number" && !Number.isInteger(value)) throw new Error("a fraction is not signed");
  return String(value);
}
function compare(one, other) {
  const at = one.findIndex((each, place) => each !== other[place]);
  return at < 0 ? one.length - other.length : one[at] - (other[at] ?? -1);
}

const CURVES = { "ecdsa-sha2-nistp256": ["P-256", "SHA-256", 32], "ecdsa-sha2-nistp384": ["P-384", "SHA-384", 48] };
export async function verifies({ keytype, scheme, keyval }, signature, bytes) {
  if (keytype === "ed25519" && scheme === "ed25519") {
    const key = await crypto.subtle.importKey("raw", fromHex(keyval.public), "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, fromHex(signature), bytes);
  }
  if (!Object.hasOwn(CURVES, scheme)) return false;
  const [namedCurve, hash, size] = CURVES[scheme];
  const der = fromBase64(keyval.public.replace(/-----[^-]+-----|\s/g, ""));
  const key = await crypto.subtle.importKey("spki", der, { name: "ECDSA", namedCurve }, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash }, key, plain(fromHex(signature), size), bytes);
}
// WebCrypto takes both numbers of a signature with `size` bytes each; keys sign in DER.
function plain(der, size) {
  const number = (at) => der.slice(at + 2, at + 2 + der[at + 1]);
  const first = number(2);
  const fixed = (bytes) => joined(new Uint8Array(Math.max(0, size - bytes.length)), bytes.slice(-size));
  return joined(fixed(first), fixed(number(4 + first.length)));
}

// `parent` names the keys, as the metadata of a root or of `targets` do.
async function check(whole, role, keys) {
  const bytes = text(canonical(whole.signed));
  const given = new Map(whole.signatures.map((each) => [each.keyid, each.sig]));
  let [good, unsupported] = [0, null];
  for (const keyid of new Set(role.keyids)) {
    if (!given.get(keyid) || !keys[keyid]) continue;
    try {
      if (await verifies(keys[keyid], given.get(keyid), bytes)) good += 1;
    } catch (error) {
      if (error.name === "NotSupportedError") unsupported = error; // an old browser: the host has not lied
    }
  }
  if (role.threshold < 1 || good < role.threshold) throw unsupported ?? new Error("not signed by the association");
  return whole.signed;
}
const byRoot = (root, role) => [root.roles[role], root.keys];

// `load` gives the bytes of a file of the site. Returns the statement and the digest of the first root; throws if
// anything is not signed, is mixed with another edition, or has expired. `firstRoot` is the digest that the caller
// trusts; without one, the caller shows the digest, and a person compares it.
export async function verifiedStatement(load, now, firstRoot = "") {
  const json = async (name) => JSON.parse(new TextDecoder().decode(await load(name)));
  const { root: last } = await json("statement/versions.json");
  const firstBytes = await load("metadata/1.root.json");
  const digest = await sha256(firstBytes);
  if (firstRoot && digest !== firstRoot) throw new Error("another association");
  let whole = JSON.parse(new TextDecoder().decode(firstBytes));
  let root = await check(whole, ...byRoot(whole.signed, "root"));
  for (let version = 2; version <= last; version += 1) {
    whole = await json(`metadata/${version}.root.json`);
    await check(whole, ...byRoot(root, "root"));
    root = await check(whole, ...byRoot(whole.signed, "root"));
    if (root.version !== version) throw new Error("not the next root");
  }
  const statement = await check(await json("statement/statement.json"), ...byRoot(root, KEYS_OF_STATEMENT));
  if (statement._type !== "idtone-public" || statement.format !== 1) throw new Error("another statement");
  const ends = [statement.expires];
  const role = async (name, file, type, keys) => {
    const signed = await check(await json(`metadata/${file}`), ...keys);
    if (signed._type !== type) throw new Error("metadata of another kind");
    ends.push(signed.expires);
    return signed;
  };
  const timestamp = await role("timestamp", "timestamp.json", "timestamp", byRoot(root, "timestamp"));
  const version = timestamp.meta["snapshot.json"].version;
  const snapshot = await role("snapshot", `${version}.snapshot.json`, "snapshot", byRoot(root, "snapshot"));
  const of = (name) => snapshot.meta[`${name}.json`].version;
  const targets = await role("targets", `${of("targets")}.targets.json`, "targets", byRoot(root, "targets"));
  ends.push(root.expires);
  for (const [name, edition] of Object.entries(statement.editions)) {
    const delegated = targets.delegations.roles.find((each) => each.name === name);
    const signed = await role(name, `${of(name)}.${name}.json`, "targets", [delegated, targets.delegations.keys]);
    const target = Object.entries(signed.targets).find(([file]) => file === `${name}.yaml`);
    if (signed.version !== edition.version || signed.version !== of(name) || target[1].hashes.sha256 !== edition.sha256) {
      throw new Error("files of several editions");
    }
  }
  if (ends.some((each) => !(now < new Date(each)))) throw new ExpiredError("expired");
  return { statement, digest };
}
export class ExpiredError extends Error {}
export class OlderError extends Error {}

// As `verifiedStatement`, for a page. It tries once more, as the host may just be replacing the edition. `storage` remembers
// when the newest edition was issued that this browser has seen at this site; an older one is refused.
export async function currentStatement(load, now, storage = null, pauseMs = 2000) {
  const verified = await verifiedStatement(load, now).catch(async (error) => {
    if (error instanceof ExpiredError || error.name === "NotSupportedError") throw error;
    await new Promise((resolve) => { setTimeout(resolve, pauseMs); });
    return verifiedStatement(load, now);
  });
  const { issued } = verified.statement;
  if (Date.parse(issued) < Date.parse(storage?.getItem(SEEN))) throw new OlderError("older than one that was seen");
  storage?.setItem(SEEN, issued);
  return verified;
}

// The state of a member by the statement: its name, and until when its licence is valid; null if it has none.
export function licenceOf(statement, member, now) {
  const holder = statement.holders.find((each) => each.member === member);
  return holder && now < new Date(holder.until) ? holder : null;
}
