// Between the browser's clock and the line's: runs in the audio thread.
//
// Down: samples at the line's rate are queued, about 50 ms of them, and read at a speed that keeps the queue there.
// Up: what the microphone hears is brought to the line's rate and leaves in pieces of 10 ms.

class Line extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.rate = options.processorOptions.rate;
    this.queue = new Float32Array(this.rate);
    this.head = 0; // where reading goes on, with fractions
    this.tail = 0; // where writing goes on
    this.flowing = false;
    this.piece = new Int16Array(this.rate / 100);
    this.filled = 0;
    this.place = 0;
    this.before = 0;
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive(data) {
    if (data === "flush") {
      this.head = this.tail = 0;
      this.flowing = false;
      return;
    }
    const samples = new Int16Array(data);
    for (const sample of samples) {
      this.queue[this.tail % this.queue.length] = sample / 32768;
      this.tail += 1;
    }
    // Too much: a tab that slept. Late sound is worse than lost sound.
    if (this.tail - this.head > this.rate * 0.25) this.head = this.tail - this.rate * 0.06;
  }

  process(inputs, outputs) {
    this.up(inputs[0]?.[0]);
    this.down(outputs[0]);
    return true;
  }

  down(output) {
    const channel = output[0];
    const target = this.rate * 0.05;
    const waiting = this.tail - this.head;
    if (!this.flowing && waiting >= target) this.flowing = true;
    if (this.flowing && waiting < 2) this.flowing = false;
    if (this.flowing) {
      // A tenth of a percent faster or slower is not heard.
      const drift = Math.max(-0.001, Math.min(0.001, (waiting - target) / (this.rate * 50)));
      const step = (this.rate / sampleRate) * (1 + drift);
      for (let at = 0; at < channel.length; at += 1) {
        const whole = Math.floor(this.head);
        if (whole + 1 >= this.tail) break;
        const part = this.head - whole;
        const one = this.queue[whole % this.queue.length];
        const two = this.queue[(whole + 1) % this.queue.length];
        channel[at] = one + (two - one) * part;
        this.head += step;
      }
    }
    for (let other = 1; other < output.length; other += 1) output[other].set(channel);
  }

  up(channel) {
    if (!channel) return;
    const step = sampleRate / this.rate;
    for (let at = 0; at < channel.length; at += 1) {
      const now = channel[at];
      // Every sample of the line lies between two of the browser's.
      while (this.place <= 1) {
        const value = this.before + (now - this.before) * Math.max(0, this.place);
        this.piece[this.filled] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
        this.filled += 1;
        this.place += step;
        if (this.filled === this.piece.length) {
          this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
          this.piece = new Int16Array(this.rate / 100);
          this.filled = 0;
        }
      }
      this.place -= 1;
      this.before = now;
    }
  }
}

registerProcessor("line", Line);
