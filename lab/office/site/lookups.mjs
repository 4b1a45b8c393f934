// Looks numbers up as the page does, with the site's own scripts: node lookups.mjs SITE SERVICE < questions > answers

import { readFileSync } from "node:fs";
import { lookedUp, readNumber } from "./number.js";
import { currentStatement, verifiedStatement } from "./trust.js";
import { stateOf } from "./widget.js";

const [site, service] = process.argv.slice(2);

async function ask(question) {
  const answer = await fetch(`${service}/numbers/evaluate`, { method: "POST", body: JSON.stringify(question) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

// `altered` has the files that a host has changed, in base64 by name.
async function told({ now, root, asked, altered, once, without, seen, members }) {
  const load = async (name) => {
    const file = name in altered ? Buffer.from(altered[name], "base64") : readFileSync(`${site}/${name}`);
    if (once) delete altered[name];
    return new Uint8Array(file);
  };
  crypto.subtle.importKey = (format, bytes, algorithm, ...more) =>
    algorithm === without
      ? Promise.reject(new DOMException("unknown", "NotSupportedError"))
      : Object.getPrototypeOf(crypto.subtle).importKey.call(crypto.subtle, format, bytes, algorithm, ...more);
  const storage = { getItem: () => seen || null, setItem() {} };
  const at = new Date(now);
  const found = { answers: {}, members: {} };
  try {
    const { statement, digest } = await (root ? verifiedStatement(load, at, root) : currentStatement(load, at, storage, 0));
    found.digest = digest;
    for (const words of asked) {
      const number = readNumber(words);
      found.answers[words] = number
        ? await lookedUp(number, statement, load, ask, at).then(
            ({ answer, holder }) => (holder ? `${answer} ${holder.member}` : answer), (error) => `cannot: ${error.message}`)
        : "no number";
    }
  } catch (error) {
    found.error = `${error.constructor.name}: ${error.message}`;
  }
  for (const member of members) found.members[member] = (await stateOf(member, at, root, load))?.member ?? "grey";
  return found;
}
const answers = [];
for (const question of JSON.parse(readFileSync(0, "utf8"))) answers.push(await told(question));
console.log(JSON.stringify(answers));
