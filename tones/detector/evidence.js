/** Evidence that a fit is the sound. A port of tones/verification/log_odds.py, which explains it. */

import { clamp, cut, hann, maxOf, minOf, roundHalfEven, sum } from "./rules.js";

/** Natural logarithm of the odds that the fit is the sound and not speech or noise. */
export function logOdds(samples, fitted, { rules, weights, tolerance, judgeErrors }) {
  const { components } = fitted;
  const levels = components.map((each) => 20 * Math.log10(Math.max(each.amplitude, 1e-6) / each.component.amplitude));
  const off = (error, limit) => (judgeErrors ? Math.min(Math.abs(error) / (limit / 2), 1) ** 2 : 0);
  const share = clamp(toneShare(samples, fitted, rules), 0.005, 0.995);
  const features = {
    score: Math.min(fitted.score, 80) / 10,
    share: Math.log(share / (1 - share)),
    weakest: -Math.log(Math.max(1 - minOf(components.map((each) => each.coherence)), 0.01)),
    spread: Math.min(maxOf(levels) - minOf(levels), 30) / 6,
    pitch: off(fitted.pitch, tolerance.frequency_percent / 100),
    tempo: off(fitted.tempo, tolerance.time_percent / 100),
    quiet: clamp(sum(levels) / levels.length, -20, 0) / 10,
    few: 1 / new Set(components.map((each) => each.component.burst)).size,
    constant: 1,
  };
  return sum(Object.entries(weights).map(([name, weight]) => weight * features[name]));
}

/** The tones' share of the total power while they sound. */
export function toneShare(samples, fitted, { WINDOW, HOP, NEAR_HZ, LOWEST_HZ, HIGHEST_HZ, RATE_HZ }) {
  const begin = roundHalfEven(fitted.start_s * RATE_HZ);
  const count = Math.max(roundHalfEven((fitted.end_s - fitted.start_s) * RATE_HZ), WINDOW);
  const piece = cut(samples, begin, count);
  const shape = symmetricHann(WINDOW);
  const bins = Array.from({ length: WINDOW / 2 + 1 }, (_, bin) => (bin * RATE_HZ) / WINDOW);
  const tracks = fitted.components.map((each) => {
    const { from_hz, to_hz } = each.component;
    const low = Math.min(from_hz, to_hz) * (1 + fitted.pitch) - NEAR_HZ;
    const high = Math.max(from_hz, to_hz) * (1 + fitted.pitch) + NEAR_HZ;
    return { first: each.start_s + 0.01, last: each.end_s - 0.01, near: bins.map((hz) => hz >= low && hz <= high) };
  });
  const anyTone = bins.map((_, bin) => tracks.some((each) => each.near[bin]));
  const [re, im] = [new Float64Array(WINDOW), new Float64Array(WINDOW)];
  let [tone, rest] = [0, 0];
  for (let at = 0; at + WINDOW <= count; at += HOP) {
    const time = (at + WINDOW / 2 + begin) / RATE_HZ;
    const sounding = tracks.filter((each) => time >= each.first && time <= each.last);
    if (!sounding.length) continue;
    for (let tap = 0; tap < WINDOW; tap++) re[tap] = piece[at + tap] * shape[tap];
    im.fill(0);
    transform(re, im);
    bins.forEach((hz, bin) => {
      if (hz < LOWEST_HZ || hz > HIGHEST_HZ) return;
      const power = re[bin] ** 2 + im[bin] ** 2;
      if (sounding.some((each) => each.near[bin])) tone += power;
      if (!anyTone[bin]) rest += power;
    });
  }
  return tone / (tone + rest + 1e-20);
}

/** The same window as numpy's hanning(size). */
const symmetricHann = (size) => Float64Array.from([...hann(size - 1), 0]);

/** Transform the arrays in place (discrete Fourier transform). Their length must be a power of two. */
function transform(re, im) {
  const size = re.length;
  for (let at = 1, other = 0; at < size; at++) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) {
      [re[at], re[other]] = [re[other], re[at]];
      [im[at], im[other]] = [im[other], im[at]];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2;
    for (let k = 0; k < half; k++) {
      const angle = (-2 * Math.PI * k) / length;
      const [x, y] = [Math.cos(angle), Math.sin(angle)];
      for (let at = k; at < size; at += length) {
        const [a, b] = [re[at + half] * x - im[at + half] * y, re[at + half] * y + im[at + half] * x];
        [re[at + half], im[at + half]] = [re[at] - a, im[at] - b];
        [re[at], im[at]] = [re[at] + a, im[at] + b];
      }
    }
  }
}
