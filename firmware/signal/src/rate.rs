//! The two sample rates of a line.

/// Samples in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rate {
    /// 8 kHz: telephone speech, 300 to 3400 Hz.
    #[default]
    Narrow,
    /// 16 kHz: wideband speech, to 7 kHz.
    Wide,
}

impl Rate {
    /// The rate of this many samples in a second; `None` when it is neither 8000 nor 16000.
    pub const fn from_hertz(hertz: u32) -> Option<Self> {
        match hertz {
            8_000 => Some(Self::Narrow),
            16_000 => Some(Self::Wide),
            _ => None,
        }
    }

    /// Samples in a second.
    pub const fn hertz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
        }
    }

    /// Samples in a millisecond.
    pub const fn per_milli(self) -> u32 {
        self.hertz() / 1_000
    }

    /// Samples in a frame of 10 ms.
    pub const fn frame(self) -> usize {
        self.per_milli() as usize * 10
    }
}
