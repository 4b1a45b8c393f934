// Looks numbers up as the page does, with the site's own scripts: node lookups.mjs SITE SERVICE < questions > answers

import { readFileSync } from "node:fs";
import { lookedUp, readNumber } from "./number.js";
import { licenceOf, sha256, verifiedStatement } from "./trust.js";
import { stateOf } from "./widget.js";

const [site, service] = process.argv.slice(2);
const { now, root, asked, altered, members } = JSON.parse(readFileSync(0, "utf8"));

// `altered` has the files that a host has changed, as text by name.
const load = async (name) =>
  new Uint8Array(name in altered ? Buffer.from(altered[name], "base64") : readFileSync(`${site}/${name}`));
async function ask(question) {
  const answer = await fetch(`${service}/numbers/evaluate`, { method: "POST", body: JSON.stringify(question) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}
const at = new Date(now);
const told = { answers: {}, members: {} };
try {
  const { statement, digest } = await verifiedStatement(load, at, root);
  told.digest = digest;
  for (const words of asked) {
    const number = readNumber(words);
    told.answers[words] = number
      ? await lookedUp(number, statement, load, ask, at).then(
          ({ answer, holder }) => (holder ? `${answer} ${holder.member}` : answer), (error) => `cannot: ${error.message}`)
      : "no number";
  }
} catch (error) {
  told.error = `${error.constructor.name}: ${error.message}`;
}
for (const member of members) told.members[member] = (await stateOf(member, at, root, load))?.member ?? "grey";
console.log(JSON.stringify(told));
