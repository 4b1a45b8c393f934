// Plays a leg in node-web-audio-api and listens to it: node hear.mjs DETECTOR PROFILE SAMPLES RATE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const CONTEXT_HZ = 48000;

const [detector, profileFile, samplesFile, rate] = process.argv.slice(2);
const webAudio = await import(pathToFileURL(createRequire(join(process.cwd(), "any.js")).resolve("node-web-audio-api")));
Object.assign(globalThis, webAudio.default ?? webAudio);
const { profileFromJson } = await import(pathToFileURL(join(detector, "detector.js")));
const { listen } = await import(pathToFileURL(join(detector, "listen.js")));

const octets = readFileSync(samplesFile);
const samples = new Float32Array(octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.length));
const context = new OfflineAudioContext(1, Math.ceil((samples.length * CONTEXT_HZ) / rate), CONTEXT_HZ);
const source = context.createBufferSource();
const buffer = context.createBuffer(1, samples.length, Number(rate));
buffer.copyToChannel(samples, 0);
source.buffer = buffer;
const listening = await listen(source, profileFromJson(readFileSync(profileFile, "utf8")), () => {}, {
  processor: join(detector, "processor.js"),
});
source.start();
await context.startRendering();
console.log(JSON.stringify(await listening.stop()));
process.exit(0);
