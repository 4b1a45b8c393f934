/** The order of precedence: of several places in a recording, the first verdict counts. */
export type Verdict = "conforms" | "present" | "cannot-tell" | "absent";

/** The tests of a sound, by name. */
export type TestName = "frequency" | "cadence" | "bursts" | "edges" | "further" | "pauses" | "level";

export interface Result {
  verdict: Verdict;
  /** Where the sound, or the likeliest similar one, starts, in seconds from the start; null without one. */
  at_s: number | null;
  /** The verdict in words, in English. */
  reason: string;
  /** The natural logarithm of the odds that it is the sound and not speech or noise. */
  score: number;
  /** The tests that did not pass. */
  failed: TestName[];
}

/** One place. */
export interface Finding extends Result {
  at_s: number;
  end_s: number;
}

/** A profile that is ready for use; it serves many recordings. */
export interface Profile {
  readonly id: string;
  readonly title: string;
  /** How many seconds after the start of a sound a StreamDetector can judge it. */
  readonly lookAheadS: number;
}

/** Throws TypeError for what idtone did not write. */
export function profileFromJson(json: string | object): Profile;

/** `samples` are one channel, 1.0 being full scale; `rate` is in Hz, from 8000 to 384000. */
export function detect(samples: Float32Array, rate: number, profile: Profile): Result;

export class StreamDetector {
  constructor(profile: Profile, rate: number);
  /** The places that these samples complete, in order of time. */
  push(samples: Float32Array): Finding[];
  /** The rest of the places. */
  finish(): Finding[];
  /** The seconds that were heard so far. */
  readonly heardS: number;
  /** The verdict on all that was judged so far. */
  readonly result: Result;
}
