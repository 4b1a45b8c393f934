// Judges the vectors of docs/evidence-format.md, section 9, and prints a line of JSON for each:
//
//     node vectors.mjs FOLDER     those of a folder
//     node vectors.mjs -          lines of JSON on standard input, the first of which is the content of bases.json
//
// Exit 0: each verdict is the one that its vector demands. 1: one is not.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { LeafRules, judge, moment, unzip } from "./verify-pack.mjs";

const octetsOf = (value) => (typeof value === "string" ? Buffer.from(value) : Buffer.from(value.base64, "base64"));

/** The faults of a vector. `bases`: what it refers to. */
function judgeVector(vector, bases) {
  if (vector.leaves) {
    const [rules, faults] = [new LeafRules(true), []];
    vector.leaves.forEach((leaf, number) => {
      try {
        rules.add(octetsOf(leaf));
      } catch (error) {
        faults.push({ rule: error.rule ?? "leaf-form", where: `leaf ${number}`, what: error.message });
      }
    });
    return faults;
  }
  const read = () => {
    if (vector.zip !== undefined) return unzip(Buffer.from(vector.zip, "base64"));
    const files = new Map(Object.entries({ ...bases.packs[vector.base], ...vector.files }));
    for (const [name, value] of files) value === null ? files.delete(name) : files.set(name, octetsOf(value));
    return files;
  };
  const now = moment(vector.now ?? bases.now);
  const root = vector.root === undefined ? null : octetsOf(vector.root);
  const later = vector.registry && Object.fromEntries(Object.entries(vector.registry).map(([name, text]) => [name, octetsOf(text)]));
  return judge(read, vector.log_key ?? bases.log_key, vector.witness_keys ?? bases.witness_keys, now, root, later).faults;
}

function tellVector(vector, bases) {
  const rules = [...new Set(judgeVector(vector, bases).map((fault) => fault.rule))].sort();
  process.stdout.write(`${JSON.stringify({ name: vector.name, good: rules.length === 0, rules })}\n`);
  return vector.rule === undefined || (vector.rule === null ? rules.length === 0 : rules.includes(vector.rule));
}

const folder = process.argv[2];
let isGood = true;
if (folder === "-") {
  let bases = null;
  for await (const line of createInterface({ input: process.stdin })) {
    if (bases === null) bases = JSON.parse(line);
    else isGood = tellVector(JSON.parse(line), bases) && isGood;
  }
} else {
  const bases = JSON.parse(readFileSync(join(folder, "bases.json"), "utf8"));
  for (const name of ["packs", "zips", "trees"]) {
    for (const line of readFileSync(join(folder, `${name}.jsonl`), "utf8").trim().split("\n")) {
      isGood = tellVector(JSON.parse(line), bases) && isGood;
    }
  }
}
process.exitCode = isGood ? 0 : 1;
