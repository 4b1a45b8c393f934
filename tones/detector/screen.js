/** Search for places in a recording at which a sound may be.
 *
 * A port of tones/verification/screening.py, which explains it.
 */

import { clamp, cut, hann } from "./rules.js";

export class Screen {
  #known = new WeakMap();

  constructor(screen, rules) {
    const { RATE_HZ, HOP, WINDOW, BAND_HZ, PITCH_REACH, FRAMES_PER_S } = rules;
    Object.assign(this, { rules, screen, HOP, WINDOW, edge: screen.guard + Math.floor(WINDOW / HOP) });
    const window = hann(WINDOW);
    const scale = 2 / window.reduce((a, b) => a + b, 0);
    this.kernels = screen.frequencies_hz.map((hz) => {
      const turn = (-2 * Math.PI * hz) / RATE_HZ;
      return [Math.cos, Math.sin].map((wave) => window.map((value, at) => scale * value * wave(turn * at)));
    });
    this.pieces = screen.pieces.map((piece) => {
      const reachHz = PITCH_REACH * piece.middle_hz;
      const count = Math.ceil((reachHz * 2.5 * piece.frames) / FRAMES_PER_S);
      const guard = Math.min(2, Math.floor(piece.frames / 2));
      const turns = [];
      for (let pitch = -count; pitch <= count; pitch++) {
        const offset = screen.frequencies_hz[piece.channel] + (count ? (reachHz * pitch) / count : 0);
        turns.push(piece.lines_hz.map((line) => (-2 * Math.PI * (offset + line)) / FRAMES_PER_S));
      }
      const cells = ((piece.frames + 2 * guard) / FRAMES_PER_S) * BAND_HZ - piece.lines_hz.length;
      return { ...piece, guard, turns, cells: Math.max(cells, 0) };
    });
  }

  /** All candidates in `samples` at 8 kHz with a score above `least`, or above the sound's own gate if it is 0.
   *
   * They are in order of score, best first. If `lossy` is true, bursts may be missing.
   */
  candidates(samples, { lossy = false, least = 0 } = {}) {
    const { screen, rules } = this;
    const { values, contrast, balance, power } = this.#compared(samples);
    const needed = screen.contrast * (least ? rules.CONTRAST_DAMAGED : 1);
    for (let at = 0; at < contrast.length; at++) {
      const good = contrast[at] > needed && power[at] > rules.SILENCE && (lossy || balance[at] > screen.balance);
      if (!good) contrast[at] = 0;
    }
    let found = this.#peaks(values, contrast, lossy);
    if (least) found = this.#nearby(values, found, least);
    return this.#ordered(found, least || screen.gate);
  }

  /** The candidates for a sound after a line has destroyed most of its phase.
   *
   * Almost all their power is in the places of the sound's tones.
   */
  remains(samples, least) {
    const { screen, rules } = this;
    const { values, contrast, power } = this.#compared(samples);
    const ownShare = this.#ownShare(values, samples);
    for (let at = 0; at < contrast.length; at++) {
      const good = contrast[at] > screen.remaining && power[at] > rules.SILENCE && ownShare[at] > rules.OWN_SHARE;
      if (!good) contrast[at] = 0;
    }
    return this.#ordered(this.#peaks(values, contrast, true), least);
  }

  /** The places of positive values that no neighbor exceeds, with their scores. */
  #peaks(values, contrast, lossy) {
    const found = [];
    for (let at = 0; at < contrast.length; at++) {
      const value = contrast[at];
      if (value && value >= (contrast[at - 1] ?? 0) && value > (contrast[at + 1] ?? 0)) {
        found.push({ place: at, score: this.#coherence(values, at, lossy) });
      }
    }
    return found;
  }

  #ordered(found, least) {
    const { screen } = this;
    return found
      .filter(({ score }) => score > least)
      .sort((a, b) => b.score - a.score)
      .map(({ place, score }) => ({
        sample: place * this.HOP + this.WINDOW / 2 + (screen.guard - this.edge) * this.HOP,
        score,
      }));
  }

  /** The most coherent place near each peak. In a room, the peak of the power comes later than the sound. */
  #nearby(values, peaks, least) {
    const { NEARLY, AROUND } = this.rules;
    const last = values[0].re.length - this.screen.span - 1;
    const best = new Map();
    const known = new Map();
    for (const { place, score } of peaks) {
      if (score <= NEARLY * least) continue;
      let found = { place: 0, score: -Infinity };
      for (let off = -AROUND; off <= AROUND; off++) {
        const at = clamp(place + off, 0, last);
        if (!known.has(at)) known.set(at, this.#coherence(values, at, true));
        if (known.get(at) > found.score) found = { place: at, score: known.get(at) };
      }
      best.set(found.place, found);
    }
    return [...best.values()];
  }

  /** Values that all searches of the same samples share. Only `contrast` is a copy that the caller may change. */
  #compared(samples) {
    if (!this.#known.has(samples)) {
      const values = this.#values(samples);
      this.#known.set(samples, { values, ...this.#compare(values) });
    }
    const known = this.#known.get(samples);
    return { ...known, contrast: known.contrast.slice() };
  }

  /** Real and imaginary part of each channel's frequency in each window. */
  #values(samples) {
    const { HOP, WINDOW, edge } = this;
    const frames = Math.ceil(samples.length / HOP) + 2 * edge - Math.floor(WINDOW / HOP) + 1;
    const padded = cut(samples, -edge * HOP, (frames - 1) * HOP + WINDOW);
    return this.kernels.map(([cosines, sines]) => {
      const re = new Float64Array(frames);
      const im = new Float64Array(frames);
      for (let frame = 0; frame < frames; frame++) {
        let a = 0;
        let b = 0;
        for (let tap = 0, at = frame * HOP; tap < WINDOW; tap++, at++) {
          const value = padded[at];
          a += value * cosines[tap];
          b += value * sines[tap];
        }
        re[frame] = a;
        im[frame] = b;
      }
      return { re, im };
    });
  }

  /** For each place, the contrast, the ratio of the weakest piece to the mean, and the mean power. */
  #compare(values) {
    const { span } = this.screen;
    const frames = values[0].re.length;
    const places = Math.max(frames - span, 0);
    const sums = values.map(({ re, im }) => {
      const running = new Float64Array(frames + 1);
      for (let at = 0; at < frames; at++) running[at + 1] = running[at] + re[at] * re[at] + im[at] * im[at];
      return running;
    });
    const contrast = new Float64Array(places);
    const balance = new Float64Array(places);
    const power = new Float64Array(places);
    const all = this.pieces.reduce((total, piece) => total + piece.frames, 0);
    for (let at = 0; at < places; at++) {
      let matched = 0;
      let weakest = Infinity;
      for (const { first, frames: length, channel } of this.pieces) {
        const own = sums[channel][at + first + length] - sums[channel][at + first];
        matched += own;
        weakest = Math.min(weakest, own / length);
      }
      let everything = 0;
      for (const running of sums) everything += running[at + span] - running[at];
      contrast[at] = matched / (everything + 1e-12);
      power[at] = matched / all;
      balance[at] = weakest / (power[at] + 1e-12);
    }
    return { contrast, balance, power };
  }

  /** For each place, the share of the sound's frequencies in the total power while the sound lasts. */
  #ownShare(values, samples) {
    const { HOP, edge } = this;
    const { span, guard } = this.screen;
    const frames = values[0].re.length;
    const padded = cut(samples, -edge * HOP, (frames + 2) * HOP);
    const own = new Float64Array(frames + 1);
    const all = new Float64Array(frames + 1);
    for (let at = 0; at < frames; at++) {
      let power = 0;
      for (const { re, im } of values) power += re[at] * re[at] + im[at] * im[at];
      let squares = 0;
      for (let tap = 0; tap < HOP; tap++) squares += padded[(at + 1) * HOP + tap] ** 2;
      own[at + 1] = own[at] + power / 2;
      all[at + 1] = all[at] + squares / HOP;
    }
    const share = new Float64Array(Math.max(frames - span, 0));
    for (let at = 0; at < share.length; at++) {
      const [begin, end] = [at + guard, at + span - guard];
      share[at] = (own[end] - own[begin]) / (all[end] - all[begin] + 1e-12);
    }
    return share;
  }

  /** −log10 of the probability of this much coherence in noise, for all pieces together. */
  #coherence(values, place, lossy) {
    const { SPREAD, FAINTEST } = this.rules;
    let score = 0;
    let loudest = 0;
    let faintest = Infinity;
    for (const { first, frames, channel, guard, turns, cells, power } of this.pieces) {
      const { re, im } = values[channel];
      const begin = place + first;
      let energy = 1e-12;
      for (let at = begin - guard; at < begin + frames + guard; at++) energy += re[at] * re[at] + im[at] * im[at];
      let best = 0;
      for (const lines of turns) {
        let explained = 0;
        for (const turn of lines) {
          const stepRe = Math.cos(turn);
          const stepIm = Math.sin(turn);
          let [a, b, x, y] = [0, 0, 1, 0];
          for (let at = begin; at < begin + frames; at++) {
            a += re[at] * x - im[at] * y;
            b += re[at] * y + im[at] * x;
            [x, y] = [x * stepRe - y * stepIm, x * stepIm + y * stepRe];
          }
          explained += (a * a + b * b) / frames;
        }
        if (explained > best) best = explained;
      }
      score -= cells * Math.log10(1 - Math.min(best / energy, 0.999));
      const relative = best / frames / power;
      loudest = Math.max(loudest, relative);
      faintest = Math.min(faintest, relative);
    }
    if ((!lossy && faintest < loudest * SPREAD) || loudest < FAINTEST) return 0;
    return score;
  }
}
