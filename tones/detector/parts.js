/** Measurements of parts of a fitted sound.
 *
 * A port of tones/verification/part_measurements.py, which explains them.
 */

import { isSteady, lengthS, softness } from "./fit.js";
import { inverse, maxOf, minOf, quantile } from "./rules.js";

/** Offsets of a component's start and end from the fit of the whole sound, in seconds, at most `reachS`. */
export function edgeErrors(base, index, each, fitted, reachS) {
  const { EDGE_REACH, EDGE_STEP_S } = base.partRules;
  const { start_s, end_s } = fitted.components[index];
  const reach = Math.min(reachS, EDGE_REACH * lengthS(each));
  const count = Math.ceil((2 * reach) / EDGE_STEP_S);
  const offsets = Array.from({ length: count }, (_, at) => at * EDGE_STEP_S - reach);
  const starts = offsets.map((off) => start_s - base.originS + off);
  const ends = offsets.map((off) => end_s - base.originS + off);
  const fixed = (value) => offsets.map(() => value - base.originS);
  const best = (found) => offsets[found.indexOf(maxOf([...found]))];
  return [
    best(base.explainedSpans(index, each, fitted, starts, fixed(end_s))),
    best(base.explainedSpans(index, each, fitted, fixed(start_s), ends)),
  ];
}

/** Amplitude of a component's weakest slice of 24 ms, relative to its louder slices. 1 is an even burst. */
export function weakestSlice(base, index, each, fitted) {
  const { SLICE_S, SLICES, SLICE_STEP_S, ASIDE_S } = base.partRules;
  const { start_s, end_s } = fitted.components[index];
  const [startS, endS] = [start_s - base.originS, end_s - base.originS];
  const band = base.demodulated(index, each, fitted);
  const inside = [];
  base.times.forEach((time, at) => time >= startS && time <= endS && inside.push(at));
  if (!inside.length) return 0;
  // Counted from their middle, equally spaced times make the correlation of two lines real.
  const middle = (base.times[inside[0]] + base.times[inside.at(-1)]) / 2;
  const angles = (line) => inside.map((at) => 2 * Math.PI * line * (base.times[at] - middle));
  const lines = each.lines_hz.map((line) => {
    const turns = angles(line);
    return { re: turns.map(Math.cos), im: turns.map(Math.sin) };
  });
  const matrix = each.lines_hz.map((a, i) =>
    each.lines_hz.map((b, j) => angles(b - a).reduce((total, angle) => total + Math.cos(angle), i === j ? 1e-9 : 0)),
  );
  const matched = lines.map(({ re, im }) => {
    let [a, b] = [0, 0];
    inside.forEach((at, k) => {
      a += re[k] * band.re[at] + im[k] * band.im[at];
      b += re[k] * band.im[at] - im[k] * band.re[at];
    });
    return [a, b];
  });
  const amplitudes = inverse(matrix).map((row) =>
    [0, 1].map((part) => row.reduce((total, value, line) => total + value * matched[line][part], 0)),
  );
  const count = inside.length;
  const [productRe, productIm, power] = Array.from({ length: 3 }, () => new Float64Array(count + 1));
  inside.forEach((at, k) => {
    let [x, y] = [0, 0];
    lines.forEach(({ re, im }, line) => {
      const [a, b] = amplitudes[line];
      x += re[k] * a - im[k] * b;
      y += re[k] * b + im[k] * a;
    });
    productRe[k + 1] = productRe[k] + x * band.re[at] + y * band.im[at];
    productIm[k + 1] = productIm[k] + x * band.im[at] - y * band.re[at];
    power[k + 1] = power[k] + x * x + y * y;
  });
  const width = Math.min(SLICE_S, (endS - startS - 2 * ASIDE_S) / SLICES);
  const stop = endS - ASIDE_S - width + SLICE_STEP_S / 2;
  const gains = [];
  for (let number = 0; startS + ASIDE_S + number * SLICE_STEP_S < stop; number++) {
    const begin = startS + ASIDE_S + number * SLICE_STEP_S;
    let first = 0;
    while (first < count && base.times[inside[first]] < begin) first++;
    let last = first;
    while (last < count && base.times[inside[last]] <= begin + width) last++;
    if (last <= first) continue;
    const product = Math.hypot(productRe[last] - productRe[first], productIm[last] - productIm[first]);
    gains.push(product / Math.max(power[last] - power[first], 1e-20));
  }
  return gains.length ? minOf(gains) / Math.max(quantile(gains, 0.75), 1e-9) : 0;
}

/** Amplitude of a component's tone in a pause of the plan, or null if the pause is too short to measure. */
export function between(base, index, each, fitted, gapStartS, gapEndS) {
  const { FRAMES_PER_S } = base.rules;
  const insetS = softness(each, base.rules) / FRAMES_PER_S;
  const placeS = fitted.start_s - base.originS;
  const start = placeS + (1 + fitted.tempo) * gapStartS + insetS;
  const end = placeS + (1 + fitted.tempo) * gapEndS - insetS;
  if (end - start < base.partRules.SHORTEST_PAUSE_S) return null;
  const [energy] = base.explainedSpans(index, each, fitted, [start], [end]);
  return Math.sqrt(energy / ((end - start) * FRAMES_PER_S));
}

/** The amplitudes of a component's band between two times of the recording. */
function amplitudes(base, index, fromS, untilS) {
  const { re, im } = base.bands[base.trackOf[index]];
  const found = [];
  base.times.forEach((time, at) => {
    if (time + base.originS >= fromS && time + base.originS <= untilS) found.push(Math.hypot(re[at], im[at]));
  });
  return found;
}

/** One value per measurable burst: true if the tone dies away slowly after it, as in a room. */
export function tails(base, plan, fitted) {
  const { TAIL_S, LATE_S, TAIL, CONTINUED, DECAY } = base.partRules;
  const level = (index, [fromS, untilS]) => {
    const endS = fitted.components[index].end_s;
    const found = amplitudes(base, index, endS + fromS, endS + untilS);
    return found.length ? Math.sqrt(found.reduce((total, value) => total + value * value, 0) / found.length) : 0;
  };
  const found = [];
  plan.components.forEach((each, index) => {
    const following = plan.components
      .slice(index + 1)
      .filter((_, after) => base.trackOf[index + 1 + after] === base.trackOf[index]);
    if (!isSteady(each) || minOf(following.map((other) => other.start_s)) < each.end_s + 1.2 * LATE_S[1]) return;
    const own = fitted.components[index].amplitude;
    const [tail, late] = [level(index, TAIL_S), level(index, LATE_S)];
    found.push(TAIL * own < tail && tail < CONTINUED * own && late < DECAY * tail);
  });
  return found;
}

/** True if the sound's tones are quiet before the sound, and after a room's tail has died away. */
export function alone(base, fitted) {
  const { AROUND_S, TAIL_S, LATE_S, QUIET } = base.partRules;
  const [beginS, endS] = [fitted.start_s - AROUND_S, fitted.end_s + LATE_S[0] + AROUND_S];
  if (base.originS + base.times[0] > beginS || base.originS + base.times.at(-1) < endS) return false;
  const windows = [[beginS, fitted.start_s - TAIL_S[0]], [fitted.end_s + LATE_S[0], endS]];
  const loudest = new Map();
  fitted.components.forEach(({ amplitude }, index) => {
    const track = base.trackOf[index];
    if (!(loudest.get(track)?.amplitude >= amplitude)) loudest.set(track, { amplitude, index });
  });
  return [...loudest.values()].every(({ amplitude, index }) =>
    windows.every(([fromS, untilS]) => {
      const found = amplitudes(base, index, fromS, untilS);
      return found.reduce((total, value) => total + value * value, 0) / found.length <= (QUIET * amplitude) ** 2;
    }),
  );
}

/** The sound's level as a factor of the profile's, if its first burst is temporarily much louder. Otherwise null. */
export function blast(base, plan, fitted) {
  let [middle, peak] = [0, 0];
  plan.components.forEach((each, index) => {
    const component = fitted.components[index];
    const found = amplitudes(base, index, component.start_s, component.end_s);
    if (!found.length) return;
    middle = Math.max(middle, quantile(found, 0.5) / each.amplitude);
    if (each.burst === 0) peak = Math.max(peak, maxOf(found) / each.amplitude);
  });
  return peak > base.partRules.BLAST * middle && middle > 0 ? middle : null;
}
