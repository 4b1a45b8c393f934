/** Converts samples to another rate, piece by piece.
 *
 * The filter is a windowed sinc with linear phase, so nothing moves in time.
 */

const ZEROS = 32; // of the sinc on each side, at the lower of both rates
const PASSED = 0.94; // of the lower rate's half

export class Resampler {
  #held = new Float32Array(0);
  #heldFrom = 0; // the number of the first sample held
  #made = 0;
  #phases = new Map();

  constructor(fromHz, toHz) {
    this.ratio = fromHz / toHz;
    this.scale = Math.min(1, toHz / fromHz) * PASSED;
    this.reach = Math.ceil(ZEROS / this.scale);
    this.#held = new Float32Array(this.reach);
    this.#heldFrom = -this.reach;
  }

  /** Add samples, and return the output that is now complete. */
  push(samples) {
    if (this.ratio === 1) return Float32Array.from(samples);
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const end = this.#heldFrom + held.length - this.reach;
    const count = Math.max(Math.ceil(end / this.ratio) - this.#made, 0);
    const found = new Float32Array(count);
    for (let index = 0; index < count; index++) {
      const place = (this.#made + index) * this.ratio;
      const whole = Math.floor(place);
      const taps = this.#taps(place - whole);
      let at = whole - this.reach + 1 - this.#heldFrom;
      let total = 0;
      for (const tap of taps) total += tap * (held[at++] ?? 0);
      found[index] = total;
    }
    this.#made += count;
    const next = Math.max(Math.floor(this.#made * this.ratio) - this.reach - this.#heldFrom, 0);
    this.#held = held.slice(next);
    this.#heldFrom += next;
    return found;
  }

  /** The remaining output, as if silence followed. */
  finish() {
    return this.ratio === 1 ? new Float32Array(0) : this.push(new Float32Array(this.reach));
  }

  #taps(share) {
    const key = Math.round(share * 1e6);
    let taps = this.#phases.get(key);
    if (taps) return taps;
    taps = Float64Array.from({ length: 2 * this.reach }, (_, tap) => {
      const x = (tap - this.reach + 1 - share) * this.scale;
      const edge = Math.min(Math.abs(x) / ZEROS, 1);
      const window = 0.42 + 0.5 * Math.cos(Math.PI * edge) + 0.08 * Math.cos(2 * Math.PI * edge);
      return x === 0 ? window : (window * Math.sin(Math.PI * x)) / (Math.PI * x);
    });
    const total = taps.reduce((a, b) => a + b, 0);
    taps.forEach((tap, at) => (taps[at] = tap / total));
    // With some rates, every sample has its own phase, so the number of kept phases is limited.
    if (this.#phases.size < 1024) this.#phases.set(key, taps);
    return taps;
  }
}

/** The samples at another rate. */
export function resampled(samples, fromHz, toHz) {
  const resampler = new Resampler(fromHz, toHz);
  const first = resampler.push(samples);
  const rest = resampler.finish();
  const found = new Float32Array(Math.min(first.length + rest.length, Math.ceil((samples.length * toHz) / fromHz)));
  found.set(first.subarray(0, found.length));
  found.set(rest.subarray(0, found.length - first.length), Math.min(first.length, found.length));
  return found;
}
