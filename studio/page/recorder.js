// The microphone: level while it listens, samples while it records, a WAV file at the end. Nothing is processed: what
// browsers do against echo and noise would be heard in the voice.

const BLOCK_S = 0.05;
const SPOKEN_S = 0.35;
const SILENCE_S = 1.6;
const MOST_S = 58;
const FLOOR_DB = -90;

export const decibels = ratio => ratio > 0 ? Math.max(FLOOR_DB, 20 * Math.log10(ratio)) : FLOOR_DB;

export class Recorder {
  // onLevel(dbfs, peak): about twenty times a second. onLost(): the microphone is gone. onSilence(): after speech.
  constructor({ onLevel, onLost, onSilence }) {
    Object.assign(this, { onLevel, onLost, onSilence });
    this.device = "";
    this.quiet = -60;
    this.recording = false;
  }

  get open() { return Boolean(this.stream?.active && this.context?.state === "running"); }

  async start() {
    // Asks for the microphone once; throws what the browser throws (NotAllowedError, NotFoundError).
    if (this.open) return;
    this.close();
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no microphone here", "NotSupportedError");
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    if (this.device) audio.deviceId = { exact: this.device };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    const [track] = this.stream.getAudioTracks();
    track.addEventListener("ended", () => this.lost());
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/capture.js");
    await this.context.resume();
    this.node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = message => this.take(message.data);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    this.reset();
  }

  lost() {
    const recorded = this.recording;
    this.close();
    this.onLost(recorded);
  }

  close() {
    this.recording = false;
    this.stream?.getTracks().forEach(track => track.stop());
    this.context?.close().catch(() => {});
    this.stream = this.context = this.node = null;
  }

  reset() {
    this.blocks = [];
    this.count = 0;
    this.spoken = this.silent = 0;
    this.sum = this.peak = this.seen = 0;
  }

  take(block) {
    if (!this.context) return;
    const rate = this.context.sampleRate;
    for (const value of block) {
      this.sum += value * value;
      this.peak = Math.max(this.peak, Math.abs(value));
    }
    this.seen += block.length;
    if (this.recording) {
      this.blocks.push(block);
      this.count += block.length;
    }
    if (this.seen < rate * BLOCK_S) return;
    const level = decibels(Math.sqrt(this.sum / this.seen));
    this.onLevel(level, this.peak);
    if (this.recording) this.follow(level, this.seen / rate);
    this.sum = this.peak = this.seen = 0;
  }

  follow(level, seconds) {
    if (level > this.quiet + 14) { this.spoken += seconds; this.silent = 0; }
    else if (level < this.quiet + 9) this.silent += seconds;
    const done = this.spoken > SPOKEN_S && this.silent > SILENCE_S;
    if (done || this.count > MOST_S * this.context.sampleRate) this.onSilence();
  }

  begin() {
    this.reset();
    this.recording = true;
  }

  end() {
    // The WAV file of what was recorded, or null for nothing.
    this.recording = false;
    if (!this.count || !this.context) return null;
    const samples = new Float32Array(this.count);
    let at = 0;
    for (const block of this.blocks) { samples.set(block, at); at += block.length; }
    const rate = this.context.sampleRate;
    this.reset();
    return wav(samples, rate);
  }

  async devices() {
    const found = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
    return found.filter(device => device.kind === "audioinput" && device.deviceId);
  }
}

export function wav(samples, rate) {
  // 16 bit, one channel.
  const data = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (at, text) => [...text].forEach((letter, index) => data.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF"); data.setUint32(4, 36 + 2 * samples.length, true); write(8, "WAVEfmt ");
  data.setUint32(16, 16, true); data.setUint16(20, 1, true); data.setUint16(22, 1, true);
  data.setUint32(24, rate, true); data.setUint32(28, 2 * rate, true); data.setUint16(32, 2, true); data.setUint16(34, 16, true);
  write(36, "data"); data.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, index) => {
    data.setInt16(44 + 2 * index, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true);
  });
  return new Blob([data], { type: "audio/wav" });
}
