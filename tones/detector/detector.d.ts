/** Verdicts in order of precedence, also among several places in a recording. */
export type Verdict = "conforms" | "present" | "cannot-tell" | "absent";

/** Names of the tests of a sound. */
export type TestName = "frequency" | "cadence" | "bursts" | "edges" | "further" | "pauses" | "level";

export interface Result {
  verdict: Verdict;
  /** Start of the sound, or of the likeliest similar one, in seconds of the recording. Null if there is none. */
  at_s: number | null;
  /** Explanation of the verdict, in English. */
  reason: string;
  /** Natural logarithm of the odds that this is the sound and not speech or noise. */
  score: number;
  /** The tests that did not pass. */
  failed: TestName[];
}

/** A place in a recording with the sound or something similar. */
export interface Finding extends Result {
  at_s: number;
  end_s: number;
}

/** A profile prepared for the detector. It can be used for many recordings. */
export interface Profile {
  readonly id: string;
  readonly title: string;
  /** Seconds after the start of a sound at which a StreamDetector can judge it. */
  readonly lookAheadS: number;
}

/** Reads a profile from the JSON that idtone writes. Throws TypeError for anything else. */
export function profileFromJson(json: string | object): Profile;

/** Judges one channel of a recording. In `samples`, 1.0 is full scale; `rate` is 8000 to 384000 Hz. */
export function detect(samples: Float32Array, rate: number, profile: Profile): Result;

export class StreamDetector {
  constructor(profile: Profile, rate: number);
  /** Adds samples, and returns the places that can now be judged, by time. */
  push(samples: Float32Array): Finding[];
  /** Ends the stream, and returns the remaining places. */
  finish(): Finding[];
  /** Seconds of samples added so far. */
  readonly heardS: number;
  /** The verdict on everything judged so far. */
  readonly result: Result;
}
