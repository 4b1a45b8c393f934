// Looks a number up without telling it to anyone: the service evaluates a blinded element, and the page finds the answer in
// the signed table by itself.

import { blinded, finalized, sha512 } from "./oprf.js";
import { fromBase64, sha256, toBase64 } from "./trust.js";

export const ANSWERS = { 1: "licensed", 2: "stopped", 3: "never", 4: "unlicensed" };
const [TOKEN, MASK] = [8, 2];
const LONG = /^0[25-9]0/;

// E.164; null if this is no number of Japan that can be looked up.
export function readNumber(words) {
  const digits = words.normalize("NFKC").replace(/[\s().‐-―−ー-]/gu, "").replace(/^(?:\+|00|010)81\(?0?\)?/, "0");
  if (!/^0[1-9]\d{8,9}$/.test(digits) || digits.length !== (LONG.test(digits) ? 11 : 10)) return null;
  return `+81${digits.slice(1)}`;
}

export class BusyError extends Error {}

// `load` gives the bytes of a file, `ask` the JSON that the service answers to JSON. The answer is one of `ANSWERS`, or
// "none"; with the holder if the association names it. Throws if the answer cannot be verified.
export async function lookedUp(number, statement, load, ask, now) {
  const { numbers } = statement;
  const area = numbers.tables[number.slice(3, 3 + numbers.area_digits)];
  if (!area) return { answer: "none" };
  const table = await load(`numbers/${area.file}`);
  if ((await sha256(table)) !== area.sha256) throw new Error("another table");
  const sent = await blinded(new TextEncoder().encode(number));
  const answer = await ask({ blinded: toBase64(sent.element) });
  const output = await finalized(
    sent, fromBase64(answer.evaluated), fromBase64(answer.proof), fromBase64(numbers.public),
  );
  const value = await valueIn(table, output, fromBase64(area.salt));
  if (value === null) return { answer: "none" };
  const found = ANSWERS[value % 8];
  if (!found) throw new Error("no answer");
  const holder = statement.holders[(value >> 3) - 1];
  if (found === "licensed" && holder && !(now < new Date(holder.until))) return { answer: "unlicensed" };
  return { answer: found, holder };
}

async function valueIn(table, output, salt) {
  const rows = table.length / (TOKEN + MASK);
  let [low, high] = [0, rows];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(table, middle * TOKEN, output) < 0) low = middle + 1;
    else high = middle;
  }
  if (low === rows || order(table, low * TOKEN, output) !== 0) return null;
  const at = rows * TOKEN + low * MASK;
  const mask = await sha512(output, salt);
  return ((table[at] ^ mask[0]) << 8) | (table[at + 1] ^ mask[1]);
}
function order(table, at, output) {
  for (let place = 0; place < TOKEN; place += 1) {
    if (table[at + place] !== output[place]) return table[at + place] - output[place];
  }
  return 0;
}
