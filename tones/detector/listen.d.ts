import type { Finding, Profile, Result, StreamDetector } from "./detector.js";

export const MICROPHONE: MediaStreamConstraints;

export interface Listening {
  readonly detector: StreamDetector;
  /** Stops listening, and returns the verdict on everything received. */
  stop(): Promise<Result>;
}

/** Starts to listen to `source`.
 *
 * A given `context` is not closed. `processor` is the address of `processor.js` if it is not beside this module.
 */
export function listen(
  source: MediaStream | MediaStreamTrack | AudioNode,
  profile: Profile,
  onFinding: (finding: Finding) => void,
  options?: { context?: AudioContext; processor?: string | URL },
): Promise<Listening>;
