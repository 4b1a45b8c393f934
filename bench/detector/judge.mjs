// Judges legs for a Python process: node judge.mjs DETECTOR; a job a line of JSON comes in, its result goes out.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const PIECE = 2048;

const { detect, profileFromJson, StreamDetector } = await import(pathToFileURL(join(process.argv[2], "detector.js")));
const profiles = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const { profile, file, rate, stream } = JSON.parse(line);
  if (!profiles.has(profile)) profiles.set(profile, profileFromJson(readFileSync(profile, "utf8")));
  const octets = readFileSync(file);
  const samples = new Float32Array(octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.length));
  const before = process.cpuUsage();
  let [result, found] = [null, []];
  if (stream) {
    const detector = new StreamDetector(profiles.get(profile), rate);
    for (let at = 0; at < samples.length; at += PIECE) found.push(...detector.push(samples.subarray(at, at + PIECE)));
    found.push(...detector.finish());
    result = detector.result;
  } else {
    result = detect(samples, rate, profiles.get(profile));
  }
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ result, found, cpu_s: (user + system) / 1e6 }));
}
