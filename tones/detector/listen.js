/** Listens to a microphone beside a phone, or to the track that a webphone receives. */

import { StreamDetector } from "./detector.js";

const PROCESSOR = new URL("./processor.js", import.meta.url);

/** Constraints for `getUserMedia`, because the voice processing of browsers removes or changes tones. */
export const MICROPHONE = {
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
};

/** Starts to listen. `onFinding` receives each place with the sound or a possible sound, some seconds after it.
 *
 * `source` is a MediaStream, a MediaStreamTrack or an AudioNode. `stop()` returns the verdict on everything received.
 */
export async function listen(source, profile, onFinding, { context, processor = PROCESSOR } = {}) {
  const own = context ?? source.context ?? new AudioContext();
  await own.audioWorklet.addModule(processor);
  if (!own.startRendering) await own.resume();
  const detector = new StreamDetector(profile, own.sampleRate);
  const node = new AudioWorkletNode(own, "idtone-detector", { numberOfOutputs: 0 });
  const tell = (findings) => findings.filter(({ verdict }) => verdict !== "absent").forEach((each) => onFinding(each));
  node.port.onmessage = ({ data }) => tell(detector.push(data));
  const input = nodeOf(source, own);
  input.connect(node);
  return {
    detector,
    async stop() {
      input.disconnect(node);
      node.port.onmessage = null;
      tell(detector.finish());
      if (own !== context && own !== source.context) await own.close();
      return detector.result;
    },
  };
}

function nodeOf(source, context) {
  if (source.context) return source;
  return context.createMediaStreamSource(source.getAudioTracks ? source : new MediaStream([source]));
}
