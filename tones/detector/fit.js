/** Fit of a plan to a candidate. A port of tones/verification/fit.py and running_sums.py, which explain it.
 *
 * No losses are known here, because a browser receives only the output of its decoder.
 */

import { clamp, cut, hann, inverse, linspace, maxOf, roundHalfEven } from "./rules.js";

const TURN = 2 * Math.PI;

export const isSteady = (each) => each.from_hz === each.to_hz;
export const middleHz = (each) => (each.from_hz + each.to_hz) / 2;
export const lengthS = (each) => each.end_s - each.start_s;

export class Plan {
  constructor(components) {
    this.components = components;
    this.length_s = maxOf(components.map((each) => each.end_s));
    this.steady = components.every(isSteady);
    this.bursts = 1 + maxOf(components.map((each) => each.burst));
    const rows = new Map();
    for (const { from_hz, to_hz } of components) rows.set(`${from_hz} ${to_hz}`, (rows.get(`${from_hz} ${to_hz}`) ?? 0) + 1);
    this.longestRow = maxOf([...rows.values()]);
  }
}

export class Fitter {
  constructor(plan, rules, tempi = rules.COARSE_TEMPI) {
    const { RATE_HZ, SCREEN_HOP, HOP, FILTER, MARGIN_S, GUARD_S, PITCH_REACH, COARSE_PLACE_S, COARSE_PLACES } = rules;
    Object.assign(this, { plan, rules });
    const { components } = plan;
    const longestS = Math.min(0.25, maxOf(components.map(lengthS)));
    this.pitchStep = 1 / (2.5 * longestS * maxOf(components.map((each) => Math.max(each.from_hz, each.to_hz))));
    this.window = hann(FILTER);
    const scale = 2 / this.window.reduce((a, b) => a + b, 0);
    this.window.forEach((value, at) => (this.window[at] = scale * value));
    const gaps = components.slice(1).map((later, at) => later.start_s - components[at].end_s);
    const margin = roundHalfEven(Math.max(MARGIN_S, Math.min(longestS + maxOf([0.05, ...gaps]) + GUARD_S, 1)) * RATE_HZ);
    this.marginS = margin / RATE_HZ;
    this.lead = margin + FILTER / 2;
    this.frames = Math.floor((roundHalfEven(plan.length_s * RATE_HZ) + 2 * margin) / HOP);
    this.count = (this.frames + FILTER / HOP - 1) * HOP;
    this.times = Float64Array.from({ length: this.frames }, (_, at) => (at * HOP + FILTER / 2 - this.lead) / RATE_HZ);
    const numbers = new Map();
    const carried = [];
    this.trackOf = components.map((each) => {
      const { from_hz, to_hz, start_s, end_s } = each;
      const key = isSteady(each) ? `${from_hz}` : `${from_hz} ${to_hz} ${start_s} ${end_s}`;
      if (!numbers.has(key)) {
        numbers.set(key, carried.length);
        carried.push(each);
      }
      return numbers.get(key);
    });
    this.carriers = carried.map((each) => {
      const re = new Float64Array(this.count);
      const im = new Float64Array(this.count);
      for (let at = 0; at < this.count; at++) {
        const angle = -TURN * phase(each, (at - this.lead) / RATE_HZ);
        re[at] = Math.cos(angle);
        im[at] = Math.sin(angle);
      }
      return { re, im };
    });
    const ridges = components.filter((each) => !isSteady(each)).map((each) => slope(each) / middleHz(each));
    this.ridge = ridges.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    this.reachS = (SCREEN_HOP / RATE_HZ) * 1.5 + 0.1 * plan.length_s;
    const places = Math.min(roundHalfEven(this.reachS / COARSE_PLACE_S), COARSE_PLACES);
    const pitches = roundHalfEven(PITCH_REACH / this.pitchStep);
    this.coarseGrid = {
      pitches: Array.from({ length: 2 * pitches + 1 }, (_, at) => (at - pitches) * this.pitchStep),
      places: linspace(-this.reachS, this.reachS, 2 * places + 1),
      tempi,
    };
  }

  /** The baseband around a candidate at sample `first`. */
  baseband(samples, first) {
    const { HOP, FILTER } = this.rules;
    const { window, frames, times, trackOf, plan, rules } = this;
    const piece = cut(samples, first - this.lead, this.count);
    const mixed = [new Float64Array(this.count), new Float64Array(this.count)];
    const bands = this.carriers.map((carrier) => {
      for (let at = 0; at < this.count; at++) {
        mixed[0][at] = piece[at] * carrier.re[at];
        mixed[1][at] = piece[at] * carrier.im[at];
      }
      const [re, im] = mixed.map((wave) => {
        const band = new Float64Array(frames);
        for (let frame = 0; frame < frames; frame++) {
          let total = 0;
          for (let tap = 0, at = frame * HOP; tap < FILTER; tap++, at++) total += wave[at] * window[tap];
          band[frame] = total;
        }
        return band;
      });
      return { re, im };
    });
    return new Baseband(first, bands, trackOf, times, plan, rules);
  }

  /** The best hypothesis in the coarse grid, which covers a wide range. */
  coarse(base) {
    return base.best(this.coarseGrid);
  }

  /** The best hypothesis near `coarse`.
   *
   * Its error is less than a frame, and less than a hundredth of the pitch's resolution.
   */
  fine(base, coarse) {
    const originS = base.first / this.rules.RATE_HZ;
    let best = coarse;
    let [tempoStep, pitchStep] = [0.02, this.pitchStep / 2];
    const around = (middle, step, count) =>
      Array.from({ length: 2 * count + 1 }, (_, at) => middle + (at - count) * step);
    if (this.plan.steady) {
      let placeStep = 0.002;
      for (let round = 0; round < 4; round++) {
        best = base.best({
          pitches: around(best.pitch, pitchStep, 3),
          places: around(best.start_s - originS, placeStep, 3),
          tempi: around(1 + best.tempo, tempoStep, 3),
        });
        [placeStep, tempoStep, pitchStep] = [placeStep / 2.5, tempoStep / 2.5, pitchStep / 2.5];
      }
      return best;
    }
    // If a later start is assumed, a glide seems higher. The search moves along this ridge and then across it.
    let reachS = 0.012;
    for (let round = 0; round < 5; round++) {
      const place = best.start_s - originS;
      const tempi = around(1 + best.tempo, tempoStep, 1);
      const pitch = best.pitch;
      best = linspace(-reachS, reachS, 41)
        .map((off) => base.best({ pitches: [pitch + this.ridge * off], places: [place + off], tempi }))
        .reduce((a, b) => (b.explained > a.explained ? b : a));
      best = base.best({ pitches: around(best.pitch, pitchStep, 6), places: [best.start_s - originS], tempi });
      [reachS, tempoStep, pitchStep] = [reachS / 3, tempoStep / 2, pitchStep / 2.5];
    }
    return best;
  }
}

export class Baseband {
  constructor(first, bands, trackOf, times, plan, rules) {
    Object.assign(this, { first, bands, trackOf, times, plan, rules });
    this.originS = first / rules.RATE_HZ;
  }

  /** The hypothesis in `grid` that explains the most energy. */
  best(grid) {
    const { components, length_s } = this.plan;
    const { places, tempi, pitches } = grid;
    const total = new Float64Array(places.length * tempi.length * pitches.length);
    const sums = new Map();
    const each = components.map((component, index) => {
      const found = new Float64Array(total.length);
      let key;
      if (isSteady(component)) {
        key = `${this.trackOf[index]} ${softness(component, this.rules)} ${component.lines_hz}`;
        if (!sums.has(key)) sums.set(key, this.#sums(index, component, pitches));
      }
      let at = 0;
      for (const place of places) {
        for (const tempo of tempi) {
          const [startS, endS] = [place + tempo * component.start_s, place + tempo * component.end_s];
          if (key) this.#energies(component, sums.get(key), startS, endS, found, at);
          else this.#glide(index, component, place, tempo, startS, endS, pitches, found, at);
          at += pitches.length;
        }
      }
      for (let cell = 0; cell < total.length; cell++) total[cell] += found[cell];
      return found;
    });
    let at = 0;
    for (let cell = 1; cell < total.length; cell++) if (total[cell] > total[at]) at = cell;
    const row = Math.floor(at / pitches.length);
    const place = places[Math.floor(row / tempi.length)];
    const tempo = tempi[row % tempi.length];
    return new Fitted(
      this.originS + place,
      this.originS + place + tempo * length_s,
      pitches[at % pitches.length],
      tempo - 1,
      total[at],
      components.map((component, index) => this.#component(index, component, place, tempo, each[index][at])),
      this.rules,
    );
  }

  /** The energy that a component would explain in each span, in seconds from sample `first`. */
  explainedSpans(index, each, fitted, starts, ends) {
    const sums = this.#sums(index, each, [fitted.pitch], this.#bend(each, fitted.start_s - this.originS, 1 + fitted.tempo));
    const found = new Float64Array(starts.length);
    starts.forEach((start, at) => this.#energies(each, sums, start, ends[at], found, at));
    return found;
  }

  /** The band of a component at its fitted place.
   *
   * While the component sounds, the band is constant for a single line, and otherwise the sum of the lines.
   */
  demodulated(index, each, fitted) {
    const bend = this.#bend(each, fitted.start_s - this.originS, 1 + fitted.tempo);
    return this.#turned(index, fitted.pitch * middleHz(each), bend);
  }

  /** Phase difference between a measured glide and its carrier, in turns at each time. Null for a steady tone. */
  #bend(each, place, tempo) {
    if (isSteady(each)) return null;
    const rise = slope(each);
    return this.times.map((time) => rise * (((1 / tempo - 1) * time * time) / 2 - (place / tempo) * time));
  }

  /** The band with its frequency lowered by `hz`, and by the phase `bend` if given. */
  #turned(index, hz, bend) {
    const { re, im } = this.bands[this.trackOf[index]];
    const found = { re: new Float64Array(re.length), im: new Float64Array(re.length) };
    this.times.forEach((time, at) => {
      const angle = -TURN * (hz * time + (bend ? bend[at] : 0));
      const [x, y] = [Math.cos(angle), Math.sin(angle)];
      found.re[at] = re[at] * x - im[at] * y;
      found.im[at] = re[at] * y + im[at] * x;
    });
    return found;
  }

  /** Running sums of the demodulated band for each line, smoothed like the edges, of shape edges × pitches. */
  #sums(index, each, pitches, bend = null) {
    const frames = this.times.length;
    const soft = softness(each, this.rules);
    const half = (soft - 1) / 2;
    const count = pitches.length;
    const running = [new Float64Array(frames + 1), new Float64Array(frames + 1)];
    const step = this.times[1] - this.times[0];
    let { re, im } = this.bands[this.trackOf[index]];
    if (bend) ({ re, im } = this.#turned(index, 0, bend));
    return each.lines_hz.map((line) => {
      const found = { re: new Float64Array((frames + 1) * count), im: new Float64Array((frames + 1) * count) };
      for (let pitch = 0; pitch < count; pitch++) {
        const turn = -TURN * (pitches[pitch] * middleHz(each) + line);
        const [stepRe, stepIm] = [Math.cos(turn * step), Math.sin(turn * step)];
        let [x, y] = [Math.cos(turn * this.times[0]), Math.sin(turn * this.times[0])];
        let [a, b] = [0, 0];
        for (let at = 0; at < frames; at++) {
          a += re[at] * x - im[at] * y;
          b += re[at] * y + im[at] * x;
          running[0][at + 1] = a;
          running[1][at + 1] = b;
          const next = x * stepRe - y * stepIm;
          y = x * stepIm + y * stepRe;
          x = next;
        }
        [found.re, found.im].forEach((sums, part) => {
          const own = running[part];
          let window = 0;
          for (let at = -half; at <= half; at++) window += own[clamp(at, 0, frames)];
          for (let at = 0; at <= frames; at++) {
            sums[at * count + pitch] = window / soft;
            window += own[Math.min(at + 1 + half, frames)] - own[Math.max(at - half, 0)];
          }
        });
      }
      return found;
    });
  }

  /** Write the energy that a component explains from `startS` to `endS` to `found`, one value per pitch from `at`. */
  #energies(each, sums, startS, endS, found, at) {
    const frames = this.times.length;
    const count = sums[0].re.length / (frames + 1);
    const [first, firstShare] = this.#position(startS);
    const [last, lastShare] = this.#position(endS);
    const [before, after] = [first * count, last * count];
    const lines = sums.length;
    const mix = lines > 1 ? this.#unmixing(each, startS, endS) : null;
    const norm = this.#norm(each, startS, endS);
    const [partsRe, partsIm] = [new Float64Array(lines), new Float64Array(lines)];
    for (let pitch = 0; pitch < count; pitch++) {
      for (let line = 0; line < lines; line++) {
        const { re, im } = sums[line];
        const [i, j] = [after + pitch, before + pitch];
        partsRe[line] = re[i] + (re[i + count] - re[i]) * lastShare - re[j] - (re[j + count] - re[j]) * firstShare;
        partsIm[line] = im[i] + (im[i + count] - im[i]) * lastShare - im[j] - (im[j + count] - im[j]) * firstShare;
      }
      found[at + pitch] = mix ? mix(partsRe, partsIm) / norm : (partsRe[0] ** 2 + partsIm[0] ** 2) / norm;
    }
  }

  /** Write the energies of a glide, as `#energies` does. Its carrier fits only one place and one tempo. */
  #glide(index, each, place, tempo, startS, endS, pitches, found, at) {
    const soft = softness(each, this.rules);
    const half = (soft - 1) / 2;
    const { re, im } = this.bands[this.trackOf[index]];
    const [first, firstShare] = this.#position(startS);
    const [last, lastShare] = this.#position(endS);
    const begin = Math.max(first - half - 1, 0);
    const end = Math.min(last + half + 2, re.length);
    const size = Math.max(end - begin, 0);
    const [ownRe, ownIm] = [new Float64Array(size), new Float64Array(size)];
    const rise = slope(each);
    const weight = (edge, share, k) =>
      (1 - share) * clamp((edge + half - k) / soft, 0, 1) + share * clamp((edge + 1 + half - k) / soft, 0, 1);
    for (let k = begin; k < end; k++) {
      const time = this.times[k];
      const angle = -TURN * rise * (((1 / tempo - 1) * time * time) / 2 - (place / tempo) * time);
      const share = weight(last, lastShare, k) - weight(first, firstShare, k);
      const [x, y] = [share * Math.cos(angle), share * Math.sin(angle)];
      ownRe[k - begin] = re[k] * x - im[k] * y;
      ownIm[k - begin] = re[k] * y + im[k] * x;
    }
    const step = this.times[1] - this.times[0];
    const norm = this.#norm(each, startS, endS);
    const mix = each.lines_hz.length > 1 ? this.#unmixing(each, startS, endS) : null;
    pitches.forEach((pitch, number) => {
      const parts = each.lines_hz.map((line) => {
        const turn = -TURN * (pitch * middleHz(each) + line);
        const [stepRe, stepIm] = [Math.cos(turn * step), Math.sin(turn * step)];
        let [x, y, a, b] = [Math.cos(turn * this.times[begin]), Math.sin(turn * this.times[begin]), 0, 0];
        for (let k = 0; k < size; k++) {
          a += ownRe[k] * x - ownIm[k] * y;
          b += ownRe[k] * y + ownIm[k] * x;
          const next = x * stepRe - y * stepIm;
          y = x * stepIm + y * stepRe;
          x = next;
        }
        return [a, b];
      });
      const energy = mix
        ? mix(parts.map((part) => part[0]), parts.map((part) => part[1]))
        : parts[0][0] ** 2 + parts[0][1] ** 2;
      found[at + number] = energy / norm;
    });
  }

  /** A function for the energy that lines close to each other explain together, by least squares.
   *
   * Their phases are taken at the middle of the span, where their correlation is real.
   */
  #unmixing(each, startS, endS) {
    const lines = each.lines_hz;
    const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
    const [lengthOf, middle] = [endS - startS, (startS + endS) / 2];
    const matrix = lines.map((a, i) =>
      lines.map((b, j) => sinc((b - a) * lengthOf) + (i === j ? this.rules.INSEPARABLE : 0)),
    );
    const own = inverse(matrix);
    const turns = lines.map((line) => [Math.cos(TURN * line * middle), Math.sin(TURN * line * middle)]);
    const size = lines.length;
    const [re, im] = [new Float64Array(size), new Float64Array(size)];
    return (partsRe, partsIm) => {
      for (let line = 0; line < size; line++) {
        const [x, y] = turns[line];
        re[line] = partsRe[line] * x - partsIm[line] * y;
        im[line] = partsRe[line] * y + partsIm[line] * x;
      }
      let energy = 0;
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) energy += own[i][j] * (re[i] * re[j] + im[i] * im[j]);
      }
      return energy;
    };
  }

  #norm(each, startS, endS) {
    return Math.max((endS - startS) * this.rules.FRAMES_PER_S - softness(each, this.rules) / 3, 1);
  }

  #position(timeS) {
    // The middle of frame 0 is half a frame after the edge at which the sums begin.
    const at = clamp((timeS - this.times[0]) * this.rules.FRAMES_PER_S + 0.5, 0, this.times.length - 0.001);
    return [Math.floor(at), at - Math.floor(at)];
  }

  #component(index, component, place, tempo, explained) {
    const { GUARD_S, FRAMES_PER_S, BAND_HZ } = this.rules;
    const [startS, endS] = [place + tempo * component.start_s, place + tempo * component.end_s];
    const guardS = Math.min(GUARD_S, lengthS(component) / 2);
    const { re, im } = this.bands[this.trackOf[index]];
    let [energy, inside] = [0, 0];
    this.times.forEach((time, at) => {
      if (time < startS - guardS || time > endS + guardS) return;
      energy += re[at] * re[at] + im[at] * im[at];
      inside += 1;
    });
    const frames = (endS - startS) * FRAMES_PER_S - softness(component, this.rules) / 3;
    const coherence = Math.min(explained / (energy + 1e-12), 1);
    const cells = (inside / FRAMES_PER_S) * BAND_HZ;
    return {
      component,
      start_s: this.originS + startS,
      end_s: this.originS + endS,
      amplitude: Math.sqrt(Math.max(explained, 0) / Math.max(frames, 1)),
      coherence,
      score: -Math.max(cells - component.lines_hz.length, 0) * Math.log10(Math.max(1 - coherence, 1e-3)),
    };
  }
}

class Fitted {
  constructor(start_s, end_s, pitch, tempo, explained, components, rules) {
    Object.assign(this, { start_s, end_s, pitch, tempo, explained, components });
    this.score = components.reduce((total, each) => total + each.score, 0);
    this.first = roundHalfEven(start_s * rules.RATE_HZ);
  }
}

const trackS = (each) => [each.start_s - each.ramp_s / 2, each.end_s + each.ramp_s / 2];

/** Slope of a component's frequency, in Hz per second. */
function slope(each) {
  const [startS, endS] = trackS(each);
  return (each.to_hz - each.from_hz) / (endS - startS);
}

/** Phase of the carrier in turns, at `time` in seconds from the start of the sound.
 *
 * Before and after the component, the frequency stays constant.
 */
function phase(each, time) {
  if (isSteady(each)) return each.from_hz * time;
  const [startS, endS] = trackS(each);
  const inside = clamp(time - startS, 0, endS - startS);
  const outside = each.from_hz * Math.min(time - startS, 0) + each.to_hz * Math.max(time - endS, 0);
  return outside + each.from_hz * inside + (slope(each) * inside ** 2) / 2;
}

/** Number of frames over which an edge rises, always odd so that its middle is the middle of a frame. */
export function softness(each, { EDGE_S, FRAMES_PER_S }) {
  return 2 * roundHalfEven((Math.hypot(EDGE_S, each.ramp_s / 2) * FRAMES_PER_S) / 2) + 1;
}
