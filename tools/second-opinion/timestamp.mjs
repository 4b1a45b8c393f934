// Verifies a timestamp of an authority (RFC 3161) by docs/evidence-format.md, 6.7. Plain Node.js 18 or newer.

import { X509Certificate, constants, createHash, verify as verifySignature } from "node:crypto";

const DEPTH = 8; // of a chain of certificates
const HASHES = { "2b0e03021a": "sha1", "608648016503040201": "sha256", "608648016503040202": "sha384", "608648016503040203": "sha512" };
const IMPRINTS = new Set(["sha256", "sha384", "sha512"]);
const SIGNED_DATA = "2a864886f70d010702";
const TIMESTAMP = "2a864886f70d0109100104"; // id-ct-TSTInfo
const CONTENT_TYPE = "2a864886f70d010903";
const DIGEST = "2a864886f70d010904";
const CERTIFICATES = { "2a864886f70d010910020c": "sha1", "2a864886f70d010910022f": "sha256" }; // ESS, RFC 2634 and 5035
const STAMPING = "2b06010505070308";
const EXTENSIONS = { "551d0f": "keyUsage", "551d13": "basic", "551d25": "purposes" };
const SIGNATURES = {
  "2a864886f70d010101": null, "2a864886f70d01010a": "pss", "2a864886f70d01010b": "sha256", "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512", "2a8648ce3d040302": "sha256", "2a8648ce3d040303": "sha384", "2a8648ce3d040304": "sha512",
}; // RSA by the digest of the signer, RSA-PSS, RSA and ECDSA with a digest of their own

function need(fact, what) {
  if (!fact) throw new Error(what);
  return fact;
}

// -- DER (X.690) ------------------------------------------------------------------------------------------------------

/** The element of `octets` that begins at `at`: its tag, its content, and the whole of it. */
function element(octets, at) {
  need(at + 2 <= octets.length, "it is cut off");
  let [length, begin] = [octets[at + 1], at + 2];
  if (length > 127) {
    const count = length - 128;
    need(count > 0 && count < 5 && begin + count <= octets.length, "it is no DER");
    [length, begin] = [octets.readUIntBE(begin, count), begin + count];
  }
  const end = begin + length;
  need((octets[at] & 31) !== 31 && end <= octets.length, "it is no DER, or cut off");
  return { tag: octets[at], content: octets.subarray(begin, end), whole: octets.subarray(at, end) };
}

function elements(octets) {
  const found = [];
  for (let at = 0; at < octets.length; at += found[found.length - 1].whole.length) found.push(element(octets, at));
  return found;
}

/** The elements in one of this tag, which has to be there. */
function within(found, tag) {
  need(found?.tag === tag, `an element ${tag.toString(16)} is missing`);
  return elements(found.content);
}

function text(found, tag) {
  need(found?.tag === tag, `an element ${tag.toString(16)} is missing`);
  return found.content;
}

const SEQUENCE = 0x30;
const oid = (found) => text(found, 6).toString("hex");
const algorithm = (found) => oid(within(found, SEQUENCE)[0]);
const hashOf = (found) => need(HASHES[algorithm(found)], "a digest is of an unknown kind");
const digest = (hash, octets) => createHash(hash).update(octets).digest();

// -- certificates -----------------------------------------------------------------------------------------------------

/** A certificate with what Node.js does not say of it. */
function certificate(octets) {
  const known = new X509Certificate(octets);
  const extensions = within(within(element(known.raw, 0), SEQUENCE)[0], SEQUENCE).find(({ tag }) => tag === 0xa3);
  const found = { known, depth: Infinity, isStamping: false };
  for (const each of extensions ? within(elements(extensions.content)[0], SEQUENCE) : []) {
    const [id, ...rest] = within(each, SEQUENCE);
    const name = EXTENSIONS[oid(id)];
    const isCritical = rest.length > 1 && text(rest[0], 1)[0] !== 0;
    need(name || !isCritical, "a certificate has a critical extension that is not known");
    const value = name ? element(text(rest[rest.length - 1], 4), 0) : null;
    if (name === "basic") {
      const limit = within(value, SEQUENCE).find(({ tag }) => tag === 2);
      if (limit) found.depth = limit.content.readUIntBE(0, limit.content.length);
    } else if (name === "purposes") {
      const purposes = within(value, SEQUENCE).map(oid);
      found.isStamping = isCritical && purposes.length === 1 && purposes[0] === STAMPING;
    }
  }
  return found;
}

const isValid = ({ known }, at) => Date.parse(known.validFrom) * 1000 <= at && at < Date.parse(known.validTo) * 1000 + 1e6;

/** Whether certificates lead from this one to a root; each has to be valid at that time, and is looked at once. */
function leads(from, others, roots, at, depth = 0, seen = new Set()) {
  if (depth > DEPTH || seen.has(from) || !isValid(from, at)) return false;
  seen.add(from);
  if (roots.some(({ known }) => known.raw.equals(from.known.raw))) return true;
  const isIssuer = ({ known, depth: limit }) =>
    known.ca && depth <= limit && from.known.checkIssued(known) && from.known.verify(known.publicKey);
  return [...roots, ...others].some((each) => isIssuer(each) && leads(each, others, roots, at, depth + 1, seen));
}

/** The certificates of a file (PEM). */
function rootsOf(octets) {
  const found = octets.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu) ?? [];
  need(found.length > 0, "the file of roots has no certificates (PEM)");
  return found.map(certificate);
}

// -- the timestamp ----------------------------------------------------------------------------------------------------

/** Microseconds since 1970 of a GeneralizedTime in UTC. */
function time(found) {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z$/u.exec(text(found, 0x18).toString("latin1"));
  need(parts, "its time has another form");
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second) * 1000 + Number((parts[7] ?? "").padEnd(6, "0").slice(0, 6));
}

/** When an authority, to one of whose roots it leads, says that this text was there. Throws what is wrong. */
function stampedAt(reply, said, roots) {
  need(reply && element(reply, 0).whole.length === reply.length, "it is no reply, or has something behind it");
  const [status, token] = within(element(reply, 0), SEQUENCE);
  const granted = within(status, SEQUENCE)[0];
  need(granted.tag === 2 && granted.content.length === 1 && granted.content[0] < 2, "the authority refused");
  const [kind, explicit] = within(token, SEQUENCE);
  need(oid(kind) === SIGNED_DATA, "it has no signed data");
  const [, , encapsulated, ...rest] = within(within(explicit, 0xa0)[0], SEQUENCE);
  const [type, wrapped] = within(encapsulated, SEQUENCE);
  need(oid(type) === TIMESTAMP, "what is signed is no timestamp");
  const content = text(within(wrapped, 0xa0)[0], 4);
  const [, , imprint, , at] = within(element(content, 0), SEQUENCE);
  const [hashed, value] = within(imprint, SEQUENCE);
  const hash = hashOf(hashed);
  need(IMPRINTS.has(hash) && text(value, 4).equals(digest(hash, said)), "it is of something else");
  const given = rest.find(({ tag }) => tag === 0xa0);
  const others = (given ? elements(given.content) : []).filter(({ tag }) => tag === SEQUENCE).map(({ whole }) => certificate(whole));
  const signers = within(rest[rest.length - 1], 0x31);
  need(signers.length === 1, "it has not one signer");
  const signer = signedBy(signers[0], content, [...others, ...roots]);
  need(leads(signer, others, roots, time(at)), "no certificates lead to the roots that were given");
  return time(at);
}

/** The certificate of the signer, which is for timestamps and whose key has signed the content. */
function signedBy(info, content, certificates) {
  const [, , hashed, attributes, signed, signature] = within(info, SEQUENCE);
  const hash = hashOf(hashed);
  const found = new Map(within(attributes, 0xa0).map((each) => [oid(within(each, SEQUENCE)[0]), within(each, SEQUENCE)[1]]));
  const value = (id) => within(need(found.get(id), "a signed attribute is missing"), 0x31)[0];
  need(oid(value(CONTENT_TYPE)) === TIMESTAMP, "what is signed is no timestamp");
  need(hash !== "sha1" && text(value(DIGEST), 4).equals(digest(hash, content)), "its content was changed");
  const id = need(Object.keys(CERTIFICATES).reverse().find((each) => found.has(each)), "it does not name its certificate");
  const named = within(within(within(value(id), SEQUENCE)[0], SEQUENCE)[0], SEQUENCE);
  const own = named[0].tag === SEQUENCE ? hashOf(named[0]) : CERTIFICATES[id];
  const print = text(named.find(({ tag }) => tag === 4), 4);
  const signer = certificates.find(({ known }) => digest(own, known.raw).equals(print));
  need(signer?.isStamping, "the certificate of its signer is missing, or not for timestamps alone");
  const by = algorithm(signed);
  need(by in SIGNATURES, "its signature is of an unknown kind");
  const padding = SIGNATURES[by] === "pss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  const isRsa = signer.known.publicKey.asymmetricKeyType.startsWith("rsa");
  const key = { key: signer.known.publicKey, ...(isRsa ? { padding } : {}) };
  const signs = SIGNATURES[by] === null || SIGNATURES[by] === "pss" ? hash : SIGNATURES[by];
  const octets = Buffer.concat([Buffer.from([0x31]), attributes.whole.subarray(1)]);
  need(verifySignature(signs, octets, key, text(signature, 4)), "its signature is wrong");
  return signer;
}

export { rootsOf, stampedAt };
