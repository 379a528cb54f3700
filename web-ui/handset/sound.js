// The telephone's sound: earpiece, microphone, bell. Browsers let nothing be heard before the visitor did something.

export class Sound {
  constructor() {
    this.context = null;
    this.line = null;
    this.microphone = null;
    this.muted = false;
    this.loudness = 1;
    this.onSamples = () => {};
  }

  /** Makes or wakes the sound system; call it from a click or a key. Whether it can be heard now. */
  async wake() {
    if (!this.context) {
      const Context = window.AudioContext || window.webkitAudioContext;
      if (!Context) return false;
      this.context = new Context({ latencyHint: "interactive" });
      this.volume = new GainNode(this.context, { gain: this.loudness });
      this.volume.connect(this.context.destination);
      this.loading = this.context.audioWorklet.addModule("/worklet.js");
    }
    if (this.context.state !== "running") await this.context.resume().catch(() => {});
    return this.context.state === "running";
  }

  get heard() {
    return this.context?.state === "running";
  }

  setVolume(value) {
    this.loudness = value;
    if (this.volume) this.volume.gain.setTargetAtTime(value, this.context.currentTime, 0.02);
  }

  /** Connects earpiece and microphone with a line of this rate. */
  async connect(rate) {
    if (!this.context || this.line) return;
    await this.loading;
    if (this.line) return;
    this.line = new AudioWorkletNode(this.context, "line", {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      outputChannelCount: [1],
      processorOptions: { rate },
    });
    this.line.port.onmessage = ({ data }) => {
      if (!this.muted) this.onSamples(data);
    };
    // What a rate cannot carry must not fold back into it, up or down.
    const smooth = () => {
      const make = (Q) => new BiquadFilterNode(this.context, { type: "lowpass", frequency: rate * 0.44, Q });
      const [first, second] = [make(-5.3), make(2.3)];
      first.connect(second);
      return { first, second };
    };
    const down = smooth();
    this.line.connect(down.first);
    down.second.connect(this.volume);
    this.ear = new AnalyserNode(this.context, { fftSize: 2048 });
    this.line.connect(this.ear);
    this.entrance = smooth();
    this.entrance.second.connect(this.line);
  }

  disconnect() {
    this.closeMicrophone();
    this.line?.disconnect();
    this.entrance?.second.disconnect();
    this.line = null;
    this.ear = null;
  }

  play(samples) {
    this.line?.port.postMessage(samples, [samples]);
  }

  flush() {
    this.line?.port.postMessage("flush");
  }

  /** Asks for the microphone. Why there is none, or nothing. */
  async openMicrophone() {
    if (this.microphone || !this.line) return "";
    if (!navigator.mediaDevices?.getUserMedia) return "this browser gives no microphone to a page like this";
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
      if (!this.line) {
        for (const track of stream.getTracks()) track.stop();
        return "";
      }
      this.microphone = { stream, source: new MediaStreamAudioSourceNode(this.context, { mediaStream: stream }) };
      this.microphone.source.connect(this.entrance.first);
      return "";
    } catch (error) {
      return error.name === "NotAllowedError" ? "the microphone is not allowed" : "there is no microphone";
    }
  }

  closeMicrophone() {
    if (!this.microphone) return;
    this.microphone.source.disconnect();
    for (const track of this.microphone.stream.getTracks()) track.stop();
    this.microphone = null;
  }

  /** How loud the earpiece is, 0 to 1. */
  level() {
    if (!this.ear) return 0;
    const samples = new Float32Array(this.ear.fftSize);
    this.ear.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
    return Math.max(0, Math.min(1, (10 * Math.log10(power + 1e-9) + 55) / 50));
  }

  /** The bell: two gongs and a clapper that swings with the ringing current. */
  ring(hertz) {
    if (!this.heard) return;
    if (!this.bell || this.bellHertz !== hertz) {
      this.bell = this.castBell(hertz);
      this.bellHertz = hertz;
    }
    this.stopRinging();
    const gain = new GainNode(this.context, { gain: 0.55 });
    const source = new AudioBufferSourceNode(this.context, { buffer: this.bell, loop: true });
    source.connect(gain).connect(this.volume);
    source.start();
    this.ringing = { source, gain };
  }

  stopRinging() {
    if (!this.ringing) return;
    const { source, gain } = this.ringing;
    // The gongs go on sounding for a while.
    gain.gain.setTargetAtTime(0, this.context.currentTime, 0.12);
    source.stop(this.context.currentTime + 0.9);
    this.ringing = null;
  }

  castBell(hertz) {
    const { sampleRate } = this.context;
    const cycles = Math.max(1, Math.round(hertz));
    const buffer = new AudioBuffer({ length: sampleRate, sampleRate, numberOfChannels: 1 });
    const samples = buffer.getChannelData(0);
    // Frequency over the lowest, loudness, seconds to fade to a third: a bowl of brass, roughly.
    const partials = [[1, 0.6, 0.32], [2.01, 0.5, 0.2], [2.74, 0.35, 0.13], [4.1, 0.25, 0.07], [5.43, 0.15, 0.045]];
    for (let strike = 0; strike < 2 * cycles; strike += 1) {
      const lowest = strike % 2 ? 1046 : 1318;
      const start = Math.round((strike * sampleRate) / (2 * cycles));
      const force = 0.16 * (0.85 + 0.15 * Math.sin(strike * 2.4));
      const length = Math.min(sampleRate, Math.round(sampleRate * 0.6));
      for (const [ratio, loudness, fade] of partials) {
        const step = (2 * Math.PI * lowest * ratio) / sampleRate;
        for (let at = 0; at < length; at += 1) {
          const decay = Math.exp(-at / (fade * sampleRate));
          if (decay < 0.003) break;
          // Wraps round: the buffer is a loop.
          samples[(start + at) % sampleRate] += force * loudness * decay * Math.sin(step * at);
        }
      }
    }
    const loudest = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0.01);
    for (let at = 0; at < samples.length; at += 1) samples[at] *= 0.7 / loudest;
    return buffer;
  }
}
