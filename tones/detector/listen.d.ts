import type { Finding, Profile, Result, StreamDetector } from "./detector.js";

export const MICROPHONE: MediaStreamConstraints;

export interface Listening {
  readonly detector: StreamDetector;
  /** Ends it, and gives the verdict on all that was heard. */
  stop(): Promise<Result>;
}

/** `context` is used, not closed. `processor` is where `processor.js` lies, if not beside this module. */
export function listen(
  source: MediaStream | MediaStreamTrack | AudioNode,
  profile: Profile,
  onFinding: (finding: Finding) => void,
  options?: { context?: AudioContext; processor?: string | URL },
): Promise<Listening>;
