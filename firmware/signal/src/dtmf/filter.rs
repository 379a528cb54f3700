//! What comes before the keys are looked for: half the rate, and the dial tone taken away.

use crate::Rate;

/// Brings a line's sound to 8 kHz without what lies below the keys' frequencies.
#[derive(Clone, Debug)]
pub(super) struct Front {
    rate: Rate,
    history: [f32; HALF_BAND.len()],
    odd: bool,
    sections: [[f32; 2]; SECTIONS.len()],
}

impl Front {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, history: [0.0; HALF_BAND.len()], odd: false, sections: [[0.0; 2]; SECTIONS.len()] }
    }

    /// A sample at 8 kHz without and with what lies below the keys, or nothing where two make one.
    pub(super) fn push(&mut self, sample: i16) -> Option<(f32, f32)> {
        let sample = f32::from(sample);
        match self.rate {
            Rate::Narrow => Some((self.high_pass(sample), sample)),
            Rate::Wide => {
                self.history.rotate_left(1);
                if let Some(last) = self.history.last_mut() {
                    *last = sample;
                }
                self.odd = !self.odd;
                if self.odd {
                    return None;
                }
                let low: f32 =
                    self.history.iter().zip(HALF_BAND).map(|(sample, weight)| sample * weight).sum();
                Some((self.high_pass(low), low))
            }
        }
    }

    /// What the high-pass lets through of a frequency, in parts of its power.
    pub(super) fn passes(hertz: f32) -> f32 {
        let turn = core::f32::consts::TAU * hertz / 8_000.0;
        // A polynomial of second order in a delay, as power.
        let power = |zero: f32, one: f32, two: f32| {
            let re = zero + one * libm::cosf(turn) + two * libm::cosf(2.0 * turn);
            let im = one * libm::sinf(turn) + two * libm::sinf(2.0 * turn);
            re * re + im * im
        };
        SECTIONS.iter().map(|[b0, b1, b2, a1, a2]| power(*b0, *b1, *b2) / power(1.0, *a1, *a2)).product()
    }

    fn high_pass(&mut self, sample: f32) -> f32 {
        let mut value = sample;
        for (state, section) in self.sections.iter_mut().zip(SECTIONS) {
            let [b0, b1, b2, a1, a2] = section;
            let out = b0 * value + state[0];
            state[0] = b1 * value - a1 * out + state[1];
            state[1] = b2 * value - a2 * out;
            value = out;
        }
        // Filters left to themselves would compute with ever smaller numbers, which is slow on some processors.
        value + 1e-9
    }
}

/// Elliptic, order 5, 0.2 dB ripple above 640 Hz, 38 dB off below 480 Hz: every country's dial tone is gone.
const SECTIONS: [[f32; 5]; 3] = [
    [0.492_325_44, -0.492_325_44, 0.0, -0.388_620_37, 0.0],
    [1.0, -1.937_706_1, 1.0, -1.352_743_5, 0.625_601_2],
    [1.0, -1.869_439, 1.0, -1.703_655_6, 0.923_908_5],
];

/// Half-band: to 2 kHz untouched, from 6 kHz 72 dB off.
const HALF_BAND: [f32; 15] = [
    -0.003_738, 0.0, 0.020_57, 0.0, -0.072_322, 0.0, 0.305_37, 0.5, 0.305_37, 0.0, -0.072_322, 0.0, 0.020_57,
    0.0, -0.003_738,
];
