// The client of RFC 9497, mode VOPRF, suite ristretto255-SHA512, for one input; RFC 9496 for the group.
// The service that evaluates the blinded element learns nothing of the input. BigInt is not constant in time: what
// leaks here stays on the visitor's own machine.

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a, m = P) => ((a % m) + m) % m;
const power = (base, exponent, m = P) => {
  let result = 1n;
  for (base = mod(base, m); exponent > 0n; exponent >>= 1n, base = (base * base) % m) {
    if (exponent & 1n) result = (result * base) % m;
  }
  return result;
};
const inverse = (a, m = P) => power(a, m - 2n, m);
const D = mod(-121665n * inverse(121666n));
const SQRT_M1 = power(2n, (P - 1n) / 4n);
const isNegative = (a) => (a & 1n) === 1n;
const absolute = (a) => (isNegative(a) ? mod(-a) : a);

// SQRT_RATIO_M1 (RFC 9496, 4.2).
function sqrtRatio(u, v) {
  const v3 = mod(v * v * v);
  let r = mod(u * v3 * power(u * v3 * v3 * v, (P - 5n) / 8n));
  const check = mod(v * r * r);
  const isRoot = check === mod(u);
  const isFlipped = check === mod(-u);
  const isFlippedRoot = check === mod(-u * SQRT_M1);
  if (isFlipped || isFlippedRoot) r = mod(r * SQRT_M1);
  return [isRoot || isFlipped, absolute(r)];
}
const INVSQRT_A_MINUS_D = sqrtRatio(1n, mod(-1n - D))[1];
const ONE_MINUS_D_SQ = mod(1n - D * D);
const D_MINUS_ONE_SQ = mod((D - 1n) * (D - 1n));
// RFC 9496, 4.1; the root that it names is the negative one.
const SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235n;

const fromBytes = (bytes) => bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
const toBytes = (number, length = 32) => Uint8Array.from({ length }, (_, at) => Number((number >> BigInt(8 * at)) & 255n));

// Points are [X, Y, Z, T] on the twisted Edwards curve, extended coordinates.
const IDENTITY = [0n, 1n, 1n, 0n];
function sum([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * D * t1 * t2);
  const d = mod(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}
function times(scalar, point) {
  let result = IDENTITY;
  for (let rest = scalar; rest > 0n; rest >>= 1n, point = sum(point, point)) {
    if (rest & 1n) result = sum(result, point);
  }
  return result;
}
export function decode(bytes) {
  const s = fromBytes(bytes);
  if (bytes.length !== 32 || s >= P || isNegative(s)) throw new Error("no element");
  const ss = mod(s * s);
  const [u1, u2] = [mod(1n - ss), mod(1n + ss)];
  const v = mod(-D * u1 * u1 - u2 * u2);
  const [wasSquare, root] = sqrtRatio(1n, mod(v * u2 * u2));
  const denominator = mod(root * u2);
  const x = absolute(mod(2n * s * denominator));
  const y = mod(u1 * root * denominator * v);
  const t = mod(x * y);
  if (!wasSquare || isNegative(t) || y === 0n || s === 0n) throw new Error("no element");
  return [x, y, 1n, t];
}
export function encode([x, y, z, t]) {
  const u1 = mod((z + y) * (z - y));
  const u2 = mod(x * y);
  const [, root] = sqrtRatio(1n, mod(u1 * u2 * u2));
  const [d1, d2] = [mod(root * u1), mod(root * u2)];
  const zInverse = mod(d1 * d2 * t);
  let denominator = d2;
  if (isNegative(mod(t * zInverse))) {
    [x, y] = [mod(y * SQRT_M1), mod(x * SQRT_M1)];
    denominator = mod(d1 * INVSQRT_A_MINUS_D);
  }
  if (isNegative(mod(x * zInverse))) y = mod(-y);
  return toBytes(absolute(mod(denominator * (z - y))));
}
function mapped(bytes) {
  const t = mod(fromBytes(bytes) & (2n ** 255n - 1n));
  const r = mod(SQRT_M1 * t * t);
  const u = mod((r + 1n) * ONE_MINUS_D_SQ);
  const v = mod((-1n - r * D) * (r + D));
  let [wasSquare, s] = sqrtRatio(u, v);
  let c = mod(-1n);
  if (!wasSquare) {
    s = mod(-absolute(mod(s * t)));
    c = r;
  }
  const n = mod(c * (r - 1n) * D_MINUS_ONE_SQ - v);
  const [w0, w1, w2, w3] = [mod(2n * s * v), mod(n * SQRT_AD_MINUS_ONE), mod(1n - s * s), mod(1n + s * s)];
  return [mod(w0 * w3), mod(w2 * w1), mod(w1 * w3), mod(w0 * w2)];
}
const BASE = decode(
  Uint8Array.from("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76".match(/../g), (hex) => parseInt(hex, 16)),
);

// -- hashing (RFC 9380, 5.3.1; RFC 9497, 4.1) ---------------------------------------------------------------------------

const text = (words) => new TextEncoder().encode(words);
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
const two = (number) => Uint8Array.of(number >> 8, number & 255);
const prefixed = (bytes) => joined(two(bytes.length), bytes);
export const sha512 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-512", joined(...parts)));
const CONTEXT = joined(text("OPRFV1-"), Uint8Array.of(1), text("-ristretto255-SHA512"));

async function expanded(message, tag) {
  const tagged = joined(tag, Uint8Array.of(tag.length));
  const first = await sha512(new Uint8Array(128), message, two(64), Uint8Array.of(0), tagged);
  return sha512(first, Uint8Array.of(1), tagged);
}
async function hashToGroup(input) {
  const bytes = await expanded(input, joined(text("HashToGroup-"), CONTEXT));
  return sum(mapped(bytes.slice(0, 32)), mapped(bytes.slice(32)));
}
const hashToScalar = async (...parts) =>
  mod(fromBytes(await expanded(joined(...parts), joined(text("HashToScalar-"), CONTEXT))), ORDER);

// -- the client ---------------------------------------------------------------------------------------------------------

function randomScalar() {
  const scalar = mod(fromBytes(crypto.getRandomValues(new Uint8Array(64))), ORDER);
  return scalar === 0n ? randomScalar() : scalar;
}

// `element` goes to the service; the rest stays here. `blind` is random unless a test gives it.
export async function blinded(input, blind = randomScalar()) {
  return { input, blind, element: encode(times(blind, await hashToGroup(input))) };
}

// The 64 bytes of the function. Throws unless the key of `publicKey` has evaluated the element.
export async function finalized(sent, evaluated, proof, publicKey) {
  if (proof.length !== 64) throw new Error("not proven");
  const [challenge, response] = [fromBytes(proof.slice(0, 32)), fromBytes(proof.slice(32))];
  if (challenge >= ORDER || response >= ORDER) throw new Error("not proven");
  const [key, before, after] = [decode(publicKey), decode(sent.element), decode(evaluated)];
  const seed = await sha512(prefixed(publicKey), prefixed(joined(text("Seed-"), CONTEXT)));
  const weight = await hashToScalar(
    prefixed(seed), two(0), prefixed(sent.element), prefixed(evaluated), text("Composite"),
  );
  const [composite, image] = [times(weight, before), times(weight, after)];
  const first = sum(times(response, BASE), times(challenge, key));
  const second = sum(times(response, composite), times(challenge, image));
  const transcript = [publicKey, ...[composite, image, first, second].map(encode)].map(prefixed);
  if ((await hashToScalar(...transcript, text("Challenge"))) !== challenge) throw new Error("not proven");
  const unblinded = encode(times(inverse(sent.blind, ORDER), after));
  return sha512(prefixed(sent.input), prefixed(unblinded), text("Finalize"));
}
