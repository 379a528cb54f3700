//! Hides what the filter leaves of the echo while only the far end speaks, and sounds the room in its place.
//!
//! G.168's non-linear processor with comfort noise: while what remains is no louder than the residual echo can be, it gives way to
//! noise of the near end's own level, so that the line never goes dead. The near end's speech opens it at once.

/// What one frame was like; energies of the whole frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// To the handset.
    pub far: f32,
    /// The echo taken away.
    pub echo: f32,
    /// What remains.
    pub error: f32,
    /// The far end spoke within the tail.
    pub echo_possible: bool,
    /// The far end speaks, and the filter learnt from it.
    pub learns: bool,
}

/// The suppressor of one line.
pub(super) struct Suppressor {
    hop: usize,
    /// Loudest far frame and loudest echo lately, fading.
    far: f32,
    echo: f32,
    /// What the filter leaves of the echo, as a share of it: the least seen lately.
    leak: f32,
    /// Frames the filter has learnt from.
    learnt: u32,
    background: Background,
    gain: f32,
    /// Frames for which near speech keeps it open.
    open_for: u32,
    noise: u32,
    colour: f32,
}

impl Suppressor {
    pub fn new(hop: usize) -> Self {
        Self {
            hop,
            far: 0.0,
            echo: 0.0,
            leak: LEAK.1,
            learnt: 0,
            background: Background::default(),
            gain: 1.0,
            open_for: 0,
            noise: 0x2545_F491,
            colour: 0.0,
        }
    }

    /// Another call, perhaps another room.
    pub fn restart(&mut self) {
        *self = Self::new(self.hop);
    }

    /// The path is another: what the filter knew is worth nothing.
    pub fn doubt(&mut self) {
        self.learnt = 0;
    }

    /// Hides the residual echo in `samples`, if that is all there is in them.
    pub fn process(&mut self, heard: Heard, enhancement_db: f32, samples: &mut [f32]) {
        self.far = heard.far.max(0.8 * self.far);
        self.echo = heard.echo.max(0.8 * self.echo);
        self.background.hear(heard.error / self.hop as f32);
        let floor = self.background.level() * self.hop as f32;

        self.learnt = self.learnt.saturating_add(u32::from(heard.learns));
        let residual = if enhancement_db < 10.0 {
            // Not learnt yet: an echo as loud as a poor hybrid makes it. A filter that has heard much and found little has nothing to
            // learn: the line hardly echoes, and what is heard is a quiet person under a loud one.
            let found = if self.learnt > ENOUGH { self.echo } else { f32::INFINITY };
            found.min(POOREST_HYBRID * self.far)
        } else {
            let share = heard.error / (self.echo + 1.0);
            if heard.echo_possible && heard.echo > heard.far * 1e-3 {
                self.leak = if share < self.leak { 0.7 * self.leak + 0.3 * share } else { self.leak * 1.01 };
                self.leak = self.leak.clamp(LEAK.0, LEAK.1);
            }
            4.0 * self.leak * self.echo
        };
        let speech = heard.error > residual + 4.0 * floor;
        if speech {
            self.open_for = HANGOVER;
        } else {
            self.open_for = self.open_for.saturating_sub(1);
        }
        let hide = heard.echo_possible && self.open_for == 0;
        let target = if hide { 0.0 } else { 1.0 };
        // Opens within the frame, closes over three.
        let gain = if target > self.gain { target } else { (self.gain - 0.34).max(target) };
        let slope = (gain - self.gain) / self.hop as f32;
        // After seconds of speech without a pause its quietest moment passes for the room: noise is never louder than what it replaces.
        let level = libm::sqrtf(self.background.level().min(heard.error / self.hop as f32));
        for sample in samples.iter_mut() {
            self.gain += slope;
            let noise = level * self.next_noise();
            *sample = self.gain * *sample + libm::sqrtf((1.0 - self.gain * self.gain).max(0.0)) * noise;
        }
        self.gain = gain;
    }

    /// Noise of unit power, weaker towards high frequencies as rooms are (Hoth).
    fn next_noise(&mut self) -> f32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        // Uniform in ±√3 has unit power; the low-pass takes 3/4 of what it was.
        let white = (self.noise >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0;
        self.colour += 0.6 * (white - self.colour);
        self.colour * COLOUR_GAIN
    }
}

/// The level of the near end's room: the quietest it was within the last seconds.
#[derive(Clone, Copy, Default)]
struct Background {
    smooth: f32,
    /// The least of this window, and of the one before.
    least: [f32; 2],
    frames: u32,
}

impl Background {
    fn hear(&mut self, power: f32) {
        self.smooth += 0.2 * (power - self.smooth);
        if self.frames == 0 {
            self.least = [self.smooth; 2];
        } else if self.frames.is_multiple_of(WINDOW) {
            self.least = [self.smooth, self.least[0]];
        }
        self.least[0] = self.least[0].min(self.smooth);
        self.frames = self.frames.wrapping_add(1).max(1);
    }

    /// Mean square of the room's sound; the least of many is a little below the mean.
    fn level(&self) -> f32 {
        (1.3 * self.least[0].min(self.least[1])).min(LOUDEST_ROOM)
    }
}

/// Frames of a window in which the quietest moment is looked for.
const WINDOW: u32 = 150;
/// Mean square above which it is no room's sound: about −35 dBm0.
const LOUDEST_ROOM: f32 = 300.0 * 300.0;
/// Frames near speech keeps it open for.
const HANGOVER: u32 = 6;
/// Least and greatest share of the echo that is taken for what the filter leaves.
const LEAK: (f32, f32) = (3e-4, 0.03);
/// Frames after which a filter that found no echo is believed.
const ENOUGH: u32 = 100;
/// Energy of an echo beside the far signal at 7 dB return loss.
const POOREST_HYBRID: f32 = 0.2;
/// Brings the coloured noise back to unit power: uniform noise has 1/3, the low-pass keeps a/(2−a) of it.
const COLOUR_GAIN: f32 = 2.645_751_3;
