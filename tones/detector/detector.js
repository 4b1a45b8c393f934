/** Verifies that a recording, or the sound from a microphone, contains the sound of a profile.
 *
 * A port of tones/verification/verifier.py, which explains the steps: screen, fit, evidence, tests, verdict.
 * All rules and thresholds are in the profile's JSON, which idtone writes.
 */

import { logOdds, toneShare } from "./evidence.js";
import { Fitter, Plan } from "./fit.js";
import { Surroundings, TESTS, heardBurst, remnants, seconds, verdictOf } from "./judging.js";
import { alone, blast, tails } from "./parts.js";
import { Resampler, resampled } from "./resample.js";
import { clamp, roundHalfEven, strict } from "./rules.js";
import { Screen } from "./screen.js";

const FORMAT = 1;
const ORDER = ["conforms", "present", "cannot-tell", "absent"];
const STEP_S = 0.5;
const KEPT = 1000;

const isThere = ({ verdict }) => verdict === "conforms" || verdict === "present";
const isOther = (tests) => tests.some((each) => each.outcome === "failed" && each.certain);
const byWeight = (a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || b.score - a.score;

/** A profile from the JSON that idtone writes (text, or parsed). Throws TypeError for anything else. */
export function profileFromJson(json) {
  const data = strict("text", typeof json === "string" ? JSON.parse(json) : json);
  if (data.format !== FORMAT) throw new TypeError(`the profile has the format ${data.format}, not ${FORMAT}`);
  return new Verifier(data);
}

/** The verdict on one channel of a recording. 1.0 is full scale. */
export function detect(samples, rate, profile) {
  const at8k = resampled(finite(samples), usable(rate), profile.rateHz);
  return profile.summary(profile.findings(at8k), at8k.length);
}

/** Judges one channel piece by piece. It keeps only some seconds of samples. */
export class StreamDetector {
  #samples = new Float32Array(0);
  #begin = 0; // the number of the first sample held
  #from = -Infinity; // places before this one are judged
  #next;
  #findings = [];

  constructor(profile, rate) {
    this.profile = profile;
    this.resampler = new Resampler(usable(rate), profile.rateHz);
    this.#next = STEP_S;
  }

  /** Add samples, and return the places that can now be judged, by time. Usually there are none. */
  push(samples) {
    this.#hold(this.resampler.push(finite(samples)));
    const found = [];
    while (this.heardS >= this.#next + this.profile.lookAheadS) {
      found.push(...this.#judge(this.#next));
      this.#next += STEP_S;
    }
    return found;
  }

  /** The remaining places, judged as if silence followed. */
  finish() {
    this.#hold(this.resampler.finish());
    return this.#judge(Infinity);
  }

  /** The verdict on everything judged so far, in the format of `detect`. */
  get result() {
    return this.profile.summary(this.#findings, this.#end);
  }

  /** Duration of the samples added so far, in seconds. */
  get heardS() {
    return this.#end / this.profile.rateHz;
  }

  get #end() {
    return this.#begin + this.#samples.length;
  }

  #hold(samples) {
    const held = new Float32Array(this.#samples.length + samples.length);
    held.set(this.#samples);
    held.set(samples, this.#samples.length);
    this.#samples = held;
  }

  #judge(to) {
    const { rateHz, lookBackS, lookAheadS } = this.profile;
    const originS = this.#begin / rateHz;
    const until = Math.min(Math.ceil((to + lookAheadS) * rateHz) - this.#begin, this.#samples.length);
    const within = { from: this.#from - originS, to: to - originS };
    const found = this.profile.findings(this.#samples.subarray(0, until), within, originS);
    this.#findings.push(...found);
    if (this.#findings.length > KEPT) this.#findings = this.#findings.sort(byWeight).slice(0, KEPT / 2);
    this.#from = to;
    const drop = clamp(Math.floor((to - lookBackS) * rateHz) - this.#begin, 0, this.#samples.length);
    this.#samples = this.#samples.slice(drop);
    this.#begin += drop;
    return found.sort((a, b) => a.at_s - b.at_s);
  }
}

class Verifier {
  constructor(data) {
    const { id, title } = data;
    Object.assign(this, { id, title, peak: data.peak, tolerance: strict("tolerance", data.tolerance) });
    const rules = strict("rules", data.rules);
    const of = (name) => strict(`rules.${name}`, rules[name]);
    this.rules = of("part_tests");
    this.own = of("verify");
    this.evidenceRules = of("log_odds");
    this.partRules = of("parts");
    this.evidence = strict("evidence", data.evidence);
    this.plan = new Plan(data.components);
    this.screen = new Screen(strict("screen", data.screen), of("screening"));
    this.fitter = new Fitter(this.plan, of("fit"));
    this.surroundings = new Surroundings(this.plan, of("surroundings"), of("fit"));
    // A codec that moves a glide in time changes its apparent pitch.
    this.truePitch = this.own.TRUE_PITCH + (Math.abs(this.fitter.ridge) * this.rules.CODEC_MS) / 1000;
    this.rateHz = this.own.RATE_HZ;
    const contextS = Math.max(this.surroundings.reachS, this.fitter.marginS + this.fitter.reachS) + this.own.SHADOW_S;
    this.lookBackS = contextS + this.plan.length_s;
    this.lookAheadS = contextS + 1.2 * this.plan.length_s;
    this.overlapS = Math.max(this.plan.length_s / 2, this.own.HOP / this.rateHz);
  }

  /** The findings in `samples` at 8 kHz that start within `within`, best first. */
  findings(samples, within = { from: -Infinity, to: Infinity }, originS = 0) {
    let found = this.#judged(samples, within, originS, false);
    if (!found.some(isThere)) {
      // A decoder or a buffer may have lost whole bursts.
      found = [...found, ...this.#judged(samples, within, originS, true).filter((each) => each.verdict !== "absent")];
      if (found.every(({ verdict }) => verdict === "absent")) {
        found.push(...this.#remains(samples, within, originS));
      }
    }
    return this.#withoutShadows(found).sort(byWeight);
  }

  /** The verdict on a recording of `length` samples at 8 kHz. */
  summary(findings, length) {
    const [best] = this.#withoutShadows(findings).sort(byWeight);
    const { verdict, at_s, reason, score, failed } = best ?? {
      verdict: "absent",
      at_s: null,
      reason: "nothing in the recording is like the sound",
      score: this.evidence.grey,
      failed: [],
    };
    if (verdict === "absent" && length < roundHalfEven(this.plan.length_s * this.rateHz)) {
      return { verdict: "cannot-tell", at_s, reason: "the recording is shorter than the sound", score, failed };
    }
    return { verdict, at_s, reason, score, failed };
  }

  /** All places worth judging, likeliest first. No place overlaps a likelier place by half or more. */
  *#fits(samples, { from, to }, damaged, remains = false) {
    const { own, rateHz, overlapS, fitter, plan } = this;
    const reach = (overlapS + fitter.reachS) * rateHz;
    const places = remains
      ? this.screen.remains(samples, own.REMAINS_SCORE)
      : this.screen.candidates(samples, { lossy: damaged, least: damaged ? own.DAMAGED_SCORE : 0 });
    const candidates = places.filter(({ sample }) => sample >= from * rateHz - reach && sample < to * rateHz + reach);
    const needed = damaged || plan.longestRow > 2 ? own.RIVAL : 1;
    const coarse = [];
    for (const { sample, score } of candidates) {
      const beats = (other) => Math.abs(other.sample - sample) < overlapS * rateHz && score < needed * other.score;
      if (candidates.some(beats)) continue;
      const base = fitter.baseband(samples, sample);
      const fitted = fitter.coarse(base);
      if (fitted.score >= (damaged ? own.COARSE_DAMAGED : own.COARSE_SCORE)) coarse.push({ fitted, base, free: true });
    }
    // With losses, the score cannot distinguish a lost burst from a missing one. The energy distinguishes a sound from
    // its shifted copy.
    const weight = damaged ? "explained" : "score";
    coarse.sort((a, b) => b.fitted[weight] - a.fitted[weight]);
    for (const each of coarse) {
      if (!each.free) continue;
      for (const other of coarse) other.free &&= Math.abs(other.fitted.start_s - each.fitted.start_s) >= overlapS;
      const base = plan.steady ? each.base : fitter.baseband(samples, each.fitted.first);
      const fitted = fitter.fine(base, each.fitted);
      if (fitted.start_s >= from && fitted.start_s < to) yield { fitted, base };
    }
  }

  #judged(samples, within, originS, damaged) {
    const { grey } = this.evidence;
    const found = [];
    for (const { fitted, base } of this.#fits(samples, within, damaged)) {
      const score = this.#logOdds(samples, fitted);
      const least = damaged && this.#hasTruePitch(fitted) ? this.own.DAMAGED_GREY : grey;
      if (score >= least) found.push(this.#judge(samples, fitted, base, score, originS, damaged));
    }
    return found;
  }

  /** Places at which the line destroyed most of the phase. Their verdict is cannot-tell. */
  #remains(samples, within, originS) {
    const found = [];
    for (const { fitted, base } of this.#fits(samples, within, true, true)) {
      const score = this.#logOdds(samples, fitted);
      if (score < this.own.REMAINS_GREY || Math.abs(fitted.tempo) > this.own.REMAINS_TEMPO) continue;
      const finding = this.#judge(samples, fitted, base, score, originS, true, true);
      if (finding.verdict !== "absent") found.push(finding);
    }
    return found;
  }

  #logOdds(samples, fitted) {
    const { weights } = this.evidence;
    const options = { rules: this.evidenceRules, weights, tolerance: this.tolerance, judgeErrors: this.#tolerates(fitted) };
    return logOdds(samples, fitted, options);
  }

  /** True if the pitch is the profile's own, which no line changes. A chance pattern is rarely this close. */
  #hasTruePitch({ pitch }) {
    return Math.abs(pitch) <= this.truePitch;
  }

  #tolerates({ pitch, tempo }) {
    const { frequency_percent, time_percent } = this.tolerance;
    return Math.abs(pitch) <= frequency_percent / 100 && Math.abs(tempo) <= time_percent / 100;
  }

  #judge(samples, fitted, base, score, originS, damaged, remains = false) {
    const { own, plan, rules, tolerance, fitter } = this;
    base.partRules = this.partRules;
    const share = toneShare(samples, fitted, this.evidenceRules);
    const gain = share > rules.ALONE ? blast(base, plan, fitted) : null;
    if (gain !== null) {
      // The loud part is the sound's own tone. Its power outweighs the rest of the burst unless it is limited.
      const limit = gain * this.peak;
      base = fitter.baseband(samples.map((value) => clamp(value, -limit, limit)), fitted.first);
      base.partRules = this.partRules;
      fitted = fitter.fine(base, fitted);
    }
    const bursts = Array.from({ length: plan.bursts }, (_, index) =>
      heardBurst(this, index, fitted, base, gain !== null && index === 0),
    );
    const beside = this.surroundings.bursts(samples, fitted);
    const left = remnants(fitted, beside, rules, (each) => toneShare(samples, each, this.evidenceRules));
    const around = { beside, remnants: left, tails: tails(base, plan, fitted), alone: this.#isAlone(samples, fitted) };
    const place = { plan, rules, tolerance, fitted, base, share, originS, bursts, ...around };
    const tests = TESTS.map((test) => test(place));
    let verdict = verdictOf(tests, score, this.evidence.threshold, own);
    if (remains) verdict = isOther(tests) ? "absent" : "cannot-tell";
    else if (damaged) verdict = this.#verdictOfDamaged(verdict, tests, score, place);
    return this.#told({
      verdict,
      at_s: originS + fitted.start_s - plan.components[0].ramp_s / 2,
      end_s: originS + fitted.end_s + plan.components.at(-1).ramp_s / 2,
      score,
      failed: tests.filter((each) => each.outcome !== "passed").map((each) => each.name),
      says: tests.filter((each) => each.outcome !== "passed").map((each) => each.says),
    });
  }

  /** The verdict on one place of a recording in which bursts may be missing without a trace. */
  #verdictOfDamaged(verdict, tests, score, { alone, fitted }) {
    // The stated rate of false alarms applies to the strict screening.
    if (isThere({ verdict })) return alone && score >= this.own.SURE ? "present" : "cannot-tell";
    if (alone && this.#hasTruePitch(fitted)) {
      return isOther(tests) ? "absent" : "cannot-tell";
    }
    return score >= this.evidence.grey ? verdict : "absent";
  }

  #isAlone(samples, fitted) {
    const base = this.fitter.baseband(samples, fitted.first);
    base.partRules = this.partRules;
    return alone(base, fitted);
  }

  /** The finding with the explanation of its verdict. */
  #told(finding) {
    const says = finding.says.join("; ");
    const like = `something at ${seconds(finding.at_s)} s`;
    const reasons = {
      conforms: "the sound is there and passed every test",
      present: says,
      "cannot-tell": says
        ? `${like} is like the sound, but ${says}; losses, echo or an adaptive buffer can cause that`
        : `${like} may be the sound, but other sounds cover too much of it`,
      absent: `${like} is like the sound, but ${says}`,
    };
    return { ...finding, reason: reasons[finding.verdict] };
  }

  /** The findings, without doubtful ones close to a likelier place, which are parts of the same sound. */
  #withoutShadows(found) {
    const reachS = this.plan.length_s + this.own.SHADOW_S;
    return found.filter(
      (each) =>
        each.verdict !== "cannot-tell" ||
        !found.some((other) => Math.abs(each.at_s - other.at_s) < reachS && other.score > each.score),
    );
  }
}

function finite(samples) {
  if (!samples.every(Number.isFinite)) throw new TypeError("the samples are not finite numbers");
  return samples;
}

function usable(rate) {
  if (!(rate >= 8000 && rate <= 384000)) throw new RangeError(`the sample rate ${rate} Hz is not from 8000 to 384000`);
  return rate;
}
