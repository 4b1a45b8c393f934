/** Strict objects, and the small calculations that several modules share. */

/** The object in a proxy that throws TypeError if a missing key is read.
 *
 * A rule renamed in Python must not become NaN here.
 */
export function strict(name, object) {
  if (object === null || typeof object !== "object") throw new TypeError(`the profile has no ${name}`);
  return new Proxy(object, {
    get(target, key) {
      if (!Object.hasOwn(target, key)) throw new TypeError(`the profile has no ${name}.${String(key)}`);
      return target[key];
    },
  });
}

/** `count` equally spaced values from `first` to `last`. */
export function linspace(first, last, count) {
  return Array.from({ length: count }, (_, index) => first + ((last - first) * index) / Math.max(count - 1, 1));
}

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const maxOf = (values) => values.reduce((a, b) => (a > b ? a : b), -Infinity);
export const minOf = (values) => values.reduce((a, b) => (a < b ? a : b), Infinity);
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Round as Python's round() does, because a grid with one place more or less gives other hypotheses. */
export function roundHalfEven(value) {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + Math.abs(down % 2) : Math.round(value);
}

/** The quantile of numbers in any order, with linear interpolation. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}

/** The periodic Hann window: numpy's hanning(size + 1) without its last value. */
export function hann(size) {
  return Float64Array.from({ length: size }, (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / size));
}

/** The inverse of a small symmetric matrix of real numbers, as rows. */
export function inverse(matrix) {
  const size = matrix.length;
  const rows = matrix.map((row, at) => [...row, ...Array.from({ length: size }, (_, index) => +(index === at))]);
  for (let column = 0; column < size; column++) {
    let best = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(rows[row][column]) > Math.abs(rows[best][column])) best = row;
    }
    [rows[column], rows[best]] = [rows[best], rows[column]];
    const pivot = rows[column][column];
    for (let index = 0; index < 2 * size; index++) rows[column][index] /= pivot;
    for (let row = 0; row < size; row++) {
      const factor = rows[row][column];
      if (row === column || !factor) continue;
      for (let index = 0; index < 2 * size; index++) rows[row][index] -= factor * rows[column][index];
    }
  }
  return rows.map((row) => row.slice(size));
}

/** `count` samples starting at `begin`, with silence before and after the recording. */
export function cut(samples, begin, count) {
  if (begin >= 0 && begin + count <= samples.length) return samples.subarray(begin, begin + count);
  const found = new Float32Array(count);
  const first = Math.max(begin, 0);
  const end = Math.min(begin + count, samples.length);
  if (end > first) found.set(samples.subarray(first, end), first - begin);
  return found;
}
