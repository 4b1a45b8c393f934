// The detector's own tests. `DETECTOR` is its folder, `CORPUS` the one that corpus.py wrote.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { DETECTOR, CORPUS } = process.env;
const { detect, profileFromJson, StreamDetector } = await import(pathToFileURL(`${DETECTOR}/detector.js`));

const AT_S = 0.0005;
const SCORE = 0.2;

const text = (id) => readFileSync(`${CORPUS}/${id}.json`, "utf8");
const cases = JSON.parse(text("cases"));
const profiles = new Map();
function profile(id) {
  if (!profiles.has(id)) profiles.set(id, profileFromJson(text(id)));
  return profiles.get(id);
}
function samples(file) {
  const octets = readFileSync(`${CORPUS}/${file}`);
  return new Float32Array(octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.length));
}
const streamed = (own, leg, rate, size) => {
  const detector = new StreamDetector(own, rate);
  const found = [];
  for (let at = 0; at < leg.length; at += size) found.push(...detector.push(leg.subarray(at, at + size)));
  found.push(...detector.finish());
  return { found, result: detector.result };
};

test("the corpus has every verdict", () => {
  assert.deepEqual(new Set(cases.map((each) => each.verdict)), new Set(["conforms", "present", "cannot-tell", "absent"]));
});

for (const each of cases) {
  test(`${each.name}: ${each.verdict}, as in Python`, () => {
    const result = detect(samples(each.file), each.rate, profile(each.profile));
    assert.equal(result.verdict, each.verdict, result.reason);
    assert.equal(result.at_s === null, each.at_s === null);
    // Of what is not the sound, several places can be equally like it.
    if (each.verdict === "absent") return;
    assert.ok(Math.abs(result.at_s - each.at_s) <= AT_S, `${result.at_s} is not ${each.at_s} s`);
    assert.ok(Math.abs(result.score - each.score) <= SCORE, `${result.score} is not ${each.score}`);
  });
}

for (const [id, grid] of Object.entries(JSON.parse(text("grids")))) {
  test(`the hypotheses of ${id} are Python's`, () => {
    const { places, tempi, pitches } = profile(id).fitter.coarseGrid;
    assert.deepEqual({ places: places.length, tempi: tempi.length, pitches: pitches.length }, grid);
  });
}

test("a stream gives what the whole recording gives, each sound once, whatever the pieces", () => {
  const each = cases.find((one) => one.name === "two-pulses, whole, A-law");
  const one = samples(each.file);
  const leg = new Float32Array(4 * one.length);
  leg.set(one, 0.5 * one.length);
  leg.set(one, 3 * one.length);
  const whole = detect(leg, 8000, profile("two-pulses"));
  for (const size of [128, leg.length]) {
    const { found, result } = streamed(profile("two-pulses"), leg, 8000, size);
    assert.equal(result.verdict, whole.verdict);
    const times = found.filter((place) => place.verdict === "conforms").map((place) => place.at_s);
    const due = [0.5, 3].map((places) => each.at_s + (places * one.length) / 8000);
    assert.equal(times.length, 2);
    times.forEach((time, at) => assert.ok(Math.abs(time - due[at]) <= AT_S, `${time} is not ${due[at]} s`));
  }
});

test("a stream speaks as soon as its look-ahead is over", () => {
  const each = cases.find((one) => one.name === "two-pulses, whole, clean");
  const own = profile("two-pulses");
  const detector = new StreamDetector(own, 8000);
  const leg = new Float32Array(80000);
  leg.set(samples(each.file));
  let heard = 0;
  while (heard < leg.length && !detector.push(leg.subarray(heard, heard + 800)).length) heard += 800;
  const waited = heard / 8000 - each.at_s - own.lookAheadS;
  assert.ok(waited > -0.1 && waited <= 0.6, `${waited} s after the look-ahead`);
});

test("a recording that is shorter than the sound shows nothing", () => {
  const result = detect(new Float32Array(1000), 8000, profile("two-pulses"));
  assert.deepEqual([result.verdict, result.at_s], ["cannot-tell", null]);
});

test("silence and an empty recording pass without an error", () => {
  assert.equal(detect(new Float32Array(48000), 48000, profile("two-pulses")).verdict, "absent");
  assert.equal(detect(new Float32Array(0), 44100, profile("two-pulses")).verdict, "cannot-tell");
  assert.equal(streamed(profile("two-pulses"), new Float32Array(0), 44100, 1).result.verdict, "cannot-tell");
});

for (const [name, change] of Object.entries({
  "another format": (data) => (data.format = 2),
  "a rule missing": (data) => delete data.rules.part_tests.EVEN,
  "no threshold": (data) => delete data.evidence.threshold,
  "no rules": (data) => delete data.rules,
})) {
  test(`a profile with ${name} is refused`, () => {
    const data = JSON.parse(text("two-pulses"));
    change(data);
    assert.throws(() => detect(samples(cases[0].file), 8000, profileFromJson(data)), TypeError);
  });
}

test("a wrong rate and samples that are no numbers are refused", () => {
  assert.throws(() => detect(new Float32Array(8000), 7999, profile("two-pulses")), RangeError);
  assert.throws(() => detect(new Float32Array([0, NaN]), 8000, profile("two-pulses")), TypeError);
});
