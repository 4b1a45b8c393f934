/** AudioWorklet processor that passes on its samples in blocks. Judging them here would make the audio stutter. */

const BLOCK = 2048;

class Processor extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK);
  #filled = 0;

  process([channels]) {
    if (!channels.length) return true;
    for (let at = 0; at < channels[0].length; at++) {
      let total = 0;
      for (const channel of channels) total += channel[at];
      this.#block[this.#filled++] = total / channels.length;
      if (this.#filled < BLOCK) continue;
      this.port.postMessage(this.#block, [this.#block.buffer]);
      this.#block = new Float32Array(BLOCK);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("idtone-detector", Processor);
