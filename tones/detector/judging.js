/** Tests of single parts of a sound. A port of tones/verification/part_tests.py, which explains them. */

import { Fitter, Plan, lengthS, middleHz } from "./fit.js";
import { between, edgeErrors, weakestSlice } from "./parts.js";
import { maxOf, minOf, roundHalfEven, sum } from "./rules.js";

const [PASSED, FAILED, UNKNOWN] = ["passed", "failed", "unknown"];

const test = (name, outcome, says, certain = true, explained = false) => ({ name, outcome, says, certain, explained });
const decibels = (a, b) => 20 * Math.log10(Math.max(a, 1e-9) / Math.max(b, 1e-9));
const sameTone = (a, b) => a.from_hz === b.from_hz && a.to_hz === b.to_hz;

/** Search for bursts of the sound's own tones before and after the sound. */
export class Surroundings {
  constructor(plan, rules, fitRules) {
    const { components } = plan;
    const gaps = components.slice(1).map((later, at) => later.start_s - components[at].end_s);
    this.gapS = maxOf([rules.SHORTEST_GAP_S, ...gaps]) + 0.05;
    this.rules = rules;
    this.tones = [];
    const tones = new Map();
    components.forEach(({ from_hz, to_hz }, index) => {
      const key = `${from_hz} ${to_hz}`;
      tones.set(key, [...(tones.get(key) ?? []), index]);
    });
    for (const same of tones.values()) {
      for (const index of new Set([same[0], same.at(-1)])) {
        const single = { ...components[index], start_s: 0, end_s: lengthS(components[index]) };
        const fitter = new Fitter(new Plan([single]), fitRules, rules.TEMPI);
        this.tones.push({ fitter, first: same[0], last: same.at(-1) });
      }
    }
  }

  /** Distance from the sound up to which a burst is searched, in seconds. */
  get reachS() {
    const { LONGEST_LOOK_S } = this.rules;
    return maxOf(this.tones.map(({ fitter }) => Math.min(this.gapS + fitter.plan.length_s, LONGEST_LOOK_S) + fitter.marginS));
  }

  /** The best burst at each place around the sound, with its level relative to the sound's own burst (dB). */
  bursts(samples, fitted) {
    const found = [];
    for (const { fitter, first, last } of this.tones) {
      const own = fitted.components[first];
      const after = fitted.components[last].end_s;
      const length = fitter.plan.length_s;
      const lookS = Math.min(this.gapS + length, this.rules.LONGEST_LOOK_S);
      for (const place of steps(fitted.start_s - lookS, own.start_s - length, 2 * fitter.reachS)) {
        const burst = this.#burst(fitter, samples, place);
        if (burst.end_s <= own.start_s) found.push([burst, decibels(burst.components[0].amplitude, own.amplitude)]);
      }
      for (const place of steps(after, fitted.end_s + lookS - length, 2 * fitter.reachS)) {
        const burst = this.#burst(fitter, samples, place);
        if (burst.start_s >= after) found.push([burst, decibels(burst.components[0].amplitude, own.amplitude)]);
      }
    }
    return found;
  }

  #burst(fitter, samples, placeS) {
    const found = fitter.coarse(fitter.baseband(samples, roundHalfEven(placeS * this.rules.RATE_HZ)));
    // The coarse grid cannot show if a glide is pure.
    if (fitter.plan.steady || found.components[0].coherence <= this.rules.GLIDE_COHERENCE) return found;
    return fitter.fine(fitter.baseband(samples, found.first), found);
  }
}

function steps(firstS, lastS, stepS) {
  const count = Math.max(1, Math.ceil((lastS - firstS) / stepS));
  return Array.from({ length: count + 1 }, (_, index) => firstS + ((lastS - firstS) * index) / count);
}

/** Measurements of one burst. Its edges are null if another sound covers the burst. */
export function heardBurst(judge, number, fitted, base, blasted) {
  const { plan, rules } = judge;
  const indices = [...plan.components.keys()].filter((index) => plan.components[index].burst === number);
  const components = indices.map((index) => fitted.components[index]);
  const loudest = (edge) =>
    indices.reduce((a, b) => {
      const off = edge(plan.components[b]) - edge(plan.components[a]);
      return off > 0 || (off === 0 && fitted.components[b].amplitude > fitted.components[a].amplitude) ? b : a;
    });
  const [first, last] = [loudest((each) => -each.start_s), loudest((each) => each.end_s)];
  const reachS = edgeLimitMs(judge) / 1000 + rules.EDGE_BEYOND_S;
  const [start] = edgeErrors(base, first, plan.components[first], fitted, reachS);
  const [, end] = edgeErrors(base, last, plan.components[last], fitted, reachS);
  const coherence = minOf(components.map((each) => each.coherence));
  const power = sum(components.map((each) => each.amplitude ** 2));
  const covered = coherence <= (blasted ? rules.PURE_BLASTED : rules.PURE);
  return {
    components: indices.map((index) => plan.components[index]),
    coherence,
    covered,
    levelDb: 10 * Math.log10(Math.max(power, 1e-12) / sum(components.map((each) => each.component.amplitude ** 2))),
    edgesMs: covered ? null : [1000 * start, 1000 * end],
    weakest: minOf(indices.map((index) => weakestSlice(base, index, plan.components[index], fitted))),
  };
}

const edgeLimitMs = ({ tolerance, plan, rules }) => 10 * tolerance.time_percent * plan.length_s + rules.CODEC_MS;
const worstMs = (edges) => Math.max(...edges.map(Math.abs));
const resounds = ({ tails }) => tails.some(Boolean);
const clean = (found) => !resounds(found) && found.bursts.every((each) => each.coherence > found.rules.CLEAN);

/** True if deviating times prove that this is another sound. A single burst fits any length. */
const precise = (found) =>
  found.bursts.length > 1 &&
  clean(found) &&
  found.bursts.every(({ edgesMs }) => edgesMs && worstMs(edgesMs) <= found.rules.PRECISE_MS);

function frequency(found) {
  const limit = found.tolerance.frequency_percent;
  const error = 100 * found.fitted.pitch;
  const says = `the frequency is ${off(error, "higher", "lower")}; ${limit} % are allowed`;
  const certain = Math.abs(error) > found.rules.STRETCH * limit || clean(found);
  return test("frequency", Math.abs(error) <= limit ? PASSED : FAILED, says, certain);
}

function cadence(found) {
  const limit = found.tolerance.time_percent;
  const error = 100 * found.fitted.tempo;
  const says = `the cadence is ${off(error, "slower", "faster")}; ${limit} % are allowed`;
  const certain = Math.abs(error) > found.rules.STRETCH * limit && precise(found);
  return test("cadence", Math.abs(error) <= limit ? PASSED : FAILED, says, certain);
}

/** Test that every burst is complete, and that the levels of the bursts differ only as in the profile. */
function complete(found) {
  const { MISSING_DB, SILENT_DB, CLEAN, ALONE, EVEN, EVEN_ALONE } = found.rules;
  const { bursts } = found;
  const loudest = maxOf(bursts.map((each) => each.levelDb));
  const missing = bursts.filter((each) => each.levelDb < loudest + MISSING_DB);
  const numbers = (those) => numbered(those.map((each) => bursts.indexOf(each) + 1));
  if (missing.length) {
    const others = bursts.filter((each) => !missing.includes(each));
    // A remnant left by a codec shows that the line lost packets, so it may have lost the other bursts too.
    const silent = missing.every((each) => each.levelDb < loudest + SILENT_DB);
    const certain = silent && others.every((each) => each.coherence > CLEAN) && !lostWhole(found, missing);
    return test("bursts", FAILED, `${numbers(missing)} missing`, certain);
  }
  const uneven = bursts.filter((each) => each.weakest < (found.share > ALONE ? EVEN_ALONE : EVEN));
  if (uneven.length) {
    return test("bursts", UNKNOWN, `${numbers(uneven)} partly missing, or other sounds cover it`);
  }
  return test("bursts", PASSED, `all ${bursts.length} bursts are there`);
}

/** True if a few lost packets can explain the missing bursts: one short burst between others. */
function lostWhole({ bursts, rules }, missing) {
  if (missing.length > 1 || missing[0] === bursts[0] || missing[0] === bursts.at(-1)) return false;
  const { components } = missing[0];
  return maxOf(components.map((each) => each.end_s)) - minOf(components.map((each) => each.start_s)) <= rules.PACKETS_S;
}

/** True if a missing part, or a room that extends the burst, can explain the errors of its edges.
 *
 * A burst with one edge inside its planned time and the other outside it has moved, so this is false.
 */
function explains([start, end], limit, found) {
  const shorter = start > limit || end < -limit;
  const longer = start < -limit || end > limit;
  return !longer || (resounds(found) && !shorter);
}

/** Test that each edge of a burst is within the tolerance of the whole cadence. */
function edges(found) {
  const limit = edgeLimitMs(found);
  const covered = found.bursts.some((each) => each.covered);
  const measured = found.bursts
    .map(({ edgesMs }, index) => edgesMs && { worst: worstMs(edgesMs), index: index + 1 })
    .filter(Boolean);
  if (!measured.length) {
    const says = "single edges cannot be measured here; the test of the cadence covers them";
    return test("edges", covered ? UNKNOWN : PASSED, says);
  }
  const { worst, index } = measured.reduce((a, b) => (b.worst >= a.worst ? b : a));
  const some = measured.length < found.bursts.length ? ` of ${measured.length} bursts that can be measured` : "";
  const says = `the largest edge error${some} is ${worst.toFixed(1)} ms, in burst ${index}; ${limit.toFixed(0)} ms are allowed`;
  if (worst > limit) {
    const explained = found.alone && found.bursts.every(({ edgesMs }) => !edgesMs || explains(edgesMs, limit, found));
    return test("edges", FAILED, says + (explained ? ", as where a part is missing or a room resounds" : ""), false, explained);
  }
  return test("edges", covered ? UNKNOWN : PASSED, says);
}

/** Bursts after the sound that may be the remains of a further burst. They contain only its tone. */
export function remnants(fitted, beside, rules, shareOf) {
  const near = ([each, loudness]) =>
    each.start_s > fitted.end_s + rules.REMNANT_AFTER_S &&
    loudness > rules.REMNANT_DB &&
    each.components[0].coherence > rules.REMNANT_COHERENCE &&
    shareOf(each) > rules.REMNANT_SHARE;
  return beside.filter(near).map(([each]) => each);
}

/** Test that no further burst comes before or after the sound.
 *
 * A further burst is as pure and as long as the sound's own bursts, and nearly as loud.
 */
function further(found) {
  const { SAME_PITCH, FURTHER_DB, FURTHER_COHERENCE, FURTHER_DAMAGED } = found.rules;
  const close = found.beside
    .filter(
      ([each, loudness]) =>
        Math.abs(each.pitch - found.fitted.pitch) < SAME_PITCH &&
        loudness > FURTHER_DB &&
        each.components[0].coherence > FURTHER_DAMAGED,
    )
    .map(([each]) => each);
  const others = close.filter((each) => each.components[0].coherence > FURTHER_COHERENCE);
  close.push(...found.remnants);
  if (close.length && !others.length) {
    const where = `${seconds(found.originS + close[0].start_s)} s`;
    return test("further", UNKNOWN, `something like a damaged further burst is at ${where}`);
  }
  if (!others.length) return test("further", PASSED, "there is no further burst");
  const at = `${seconds(found.originS + others[0].start_s)} s`;
  if (playedBefore(found, others)) {
    return test("further", UNKNOWN, `the sound was played before too, at least a part of it, at ${at}`);
  }
  const says = `a further burst of ${middleHz(others[0].components[0].component).toFixed(0)} Hz is at ${at}`;
  // For a damaged sound, this may be one of its own bursts, found one place later.
  const whole = [cadence, complete, edges].every((each) => each(found).outcome === PASSED);
  // In a room, a repetition of the last burst by a decoder looks like a further burst.
  return test("further", FAILED, says, whole && !resounds(found));
}

/** True if all further bursts are parts of one earlier playback of the sound, and not of a longer series. */
function playedBefore({ plan, fitted, rules }, others) {
  const { REPLAY_S, REPLAY, ROW } = rules;
  const tempo = 1 + fitted.tempo;
  // A burst with a missing part is found slightly off its place.
  const near = (each, placeS) =>
    Math.abs(each.start_s - placeS) < Math.max(REPLAY_S, REPLAY * lengthS(each.components[0].component));
  const same = (each) => plan.components.filter((own) => sameTone(own, each.components[0].component));
  if (others.some((each) => each.start_s > fitted.start_s)) return false;
  const earlier = same(others[0]).map((own) => others[0].start_s - tempo * own.start_s);
  const fits = (startS) => others.every((each) => same(each).some((own) => near(each, startS + tempo * own.start_s)));
  if (!earlier.some((startS) => startS < fitted.start_s - REPLAY_S && fits(startS))) return false;
  // In a series, the next burst follows at the interval of the profile's own bursts of the same tone.
  return !others.some((each) => {
    const row = same(each);
    const apartS = fitted.start_s + tempo * row[0].start_s - each.start_s;
    return row.slice(1).some((after, at) => {
      const intervalS = tempo * (after.start_s - row[at].start_s);
      return Math.abs(apartS - intervalS) < Math.max(REPLAY_S, ROW * intervalS);
    });
  });
}

/** Test that a tone is silent in the pauses between its bursts. */
function pauses(found) {
  const levels = pauseLevelsDb(found);
  const loud = levels.filter((each) => each.following > found.rules.PAUSE_DB);
  // A voice after the sound can look like a room, but not after every burst.
  if (!loud.length && resounds(found) && found.tails.every(Boolean)) {
    const says = "the tones die away slowly, as in a room, which can fill what is missing of a burst";
    return test("pauses", UNKNOWN, says);
  }
  if (!loud.length) return test("pauses", PASSED, "the pauses are quiet");
  // A room, an echo or concealment fills a pause for a while. A continuous tone fills all pauses up to the next burst.
  // It has no edges, so its bursts are pure.
  const continuous = minOf(levels.map((each) => each.louder)) > found.rules.CONTINUOUS_DB && !resounds(found);
  const ended = found.bursts.some(({ edgesMs }) => edgesMs && worstMs(edgesMs) <= edgeLimitMs(found));
  const uncovered = !found.bursts.some((each) => each.covered);
  const says = `the tone continues in the pause before ${(1000 * loud[0].startS).toFixed(0)} ms`;
  const filled = found.alone && resounds(found) && maxOf(levels.map((each) => each.louder)) < found.rules.CONTINUOUS_DB;
  return test("pauses", FAILED, says + (filled ? ", as in a room" : ""), continuous && uncovered && !ended, filled);
}

/** The end of each pause of a tone in the plan, and the tone's level in the pause.
 *
 * The level is given relative to the next burst, and relative to the louder burst beside the pause.
 */
function pauseLevelsDb({ plan, base, fitted }) {
  const latest = new Map();
  const found = [];
  plan.components.forEach((each, index) => {
    const track = base.trackOf[index];
    const before = latest.get(track);
    latest.set(track, index);
    if (before === undefined) return;
    const level = between(base, index, each, fitted, plan.components[before].end_s, each.start_s);
    if (level === null) return;
    const [own, other] = [index, before].map((one) => fitted.components[one].amplitude);
    found.push({ startS: each.start_s, following: decibels(level, own), louder: decibels(level, Math.max(own, other)) });
  });
  return found;
}

function level(found) {
  const { components } = found.fitted;
  const limit = found.tolerance.level_db;
  const energy = (amplitude) => sum(components.map((each) => amplitude(each) ** 2 * lengthS(each.component)));
  const wanted = energy((each) => each.component.amplitude);
  const error = 10 * Math.log10(Math.max(energy((each) => each.amplitude), 1e-12) / wanted);
  const says = `the level is ${off(error, "above", "below", "dB")} the profile's`;
  if (limit === null) return test("level", PASSED, `${says}; not judged`);
  return test("level", Math.abs(error) <= limit ? PASSED : FAILED, `${says}; ${limit} dB are allowed`);
}

export const TESTS = [frequency, cadence, complete, edges, further, pauses, level];

/** The verdict on one place. A change that the line can have caused is not evidence of another sound. */
export function verdictOf(tests, score, threshold, { EVEN_ODDS, SURE }) {
  const failed = tests.filter((each) => each.outcome === FAILED);
  if (failed.length) {
    const needed = failed.some((each) => each.name === "frequency") ? threshold : EVEN_ODDS;
    if (score < needed || failed.some((each) => each.certain)) return "absent";
    return score >= SURE && failed.every((each) => each.explained) ? "present" : "cannot-tell";
  }
  if (score < threshold) return "cannot-tell";
  return tests.some((each) => each.outcome === UNKNOWN) ? "present" : "conforms";
}

const off = (error, over, under, unit = "%") => `${Math.abs(error).toFixed(2)} ${unit} ${error >= 0 ? over : under}`;
export const seconds = (value) => value.toFixed(2).replace(/^-(?=0\.00$)/, "");

function numbered(numbers) {
  if (numbers.length === 1) return `burst ${numbers[0]} is`;
  return `bursts ${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)} are`;
}
