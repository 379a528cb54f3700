//! Comfort noise (RFC 3389): the room's sound in a few bytes, and back.
//!
//! [`NoiseAnalysis`] listens to frames without voice and describes them as level and spectrum; [`ComfortNoise`] makes noise of a
//! description, so that a call with discontinuous transmission does not sound dead. Reflection coefficients have the sign of Rabiner
//! and Schafer, which the RFC cites: the first is positive for low-pitched noise. Ten of them at most are read, four are written.

use heapless::Vec;

/// Most reflection coefficients that are kept of a description.
pub const MOST_COEFFICIENTS: usize = 10;
/// Reflection coefficients of our own descriptions.
const OWN_COEFFICIENTS: usize = 4;

/// A room's sound (RFC 3389 section 3): what a comfort noise packet carries.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomNoise {
    /// Level in −dBov, 0 to 127: 0 is the loudest there can be, 127 is silence.
    pub level: u8,
    /// Reflection coefficients, each between −1 and 1.
    pub coefficients: Vec<f32, MOST_COEFFICIENTS>,
}

impl RoomNoise {
    /// White noise of a level in −dBov.
    pub fn white(level: u8) -> Self {
        Self { level: level.min(127), coefficients: Vec::new() }
    }

    /// Of a packet's payload; `None` when it is empty. Coefficients beyond [`MOST_COEFFICIENTS`] are ignored, as section 3.2 allows.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, rest) = payload.split_first()?;
        // Quantised uniformly, section 3.2: 127 is 0.
        let coefficient = |byte: &u8| (f32::from(*byte) - 127.0) * 258.0 / 32_768.0;
        let within = |coefficient: f32| coefficient.clamp(-0.98, 0.98);
        let coefficients = rest.iter().take(MOST_COEFFICIENTS).map(coefficient).map(within).collect();
        Some(Self { level: level & 0x7f, coefficients })
    }

    /// Writes the payload; its length, or `None` when `payload` is too short.
    pub fn emit(&self, payload: &mut [u8]) -> Option<usize> {
        let length = 1 + self.coefficients.len();
        let (level, rest) = payload.get_mut(..length)?.split_first_mut()?;
        *level = self.level.min(127);
        for (byte, coefficient) in rest.iter_mut().zip(&self.coefficients) {
            *byte = (127.0 + libm::roundf(coefficient * 32_768.0 / 258.0)).clamp(0.0, 254.0) as u8;
        }
        Some(length)
    }

    /// Whether a listener would notice the change from `other`: then a new description is due (section 4).
    pub fn differs(&self, other: &Self) -> bool {
        self.level.abs_diff(other.level) > 2
    }
}

/// Listens to a room.
#[derive(Clone, Debug)]
pub struct NoiseAnalysis {
    correlation: [f32; OWN_COEFFICIENTS + 1],
}

impl NoiseAnalysis {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self { correlation: [0.0; OWN_COEFFICIENTS + 1] }
    }

    /// Hears a frame that was not voice.
    pub fn hear(&mut self, frame: &[i16]) {
        for (lag, sum) in self.correlation.iter_mut().enumerate() {
            let products =
                frame.iter().zip(frame.iter().skip(lag)).map(|(a, b)| f32::from(*a) * f32::from(*b));
            let mean = products.sum::<f32>() / frame.len().max(1) as f32;
            // Ten frames or so count.
            *sum += 0.1 * (mean - *sum);
        }
    }

    /// What it sounded like.
    pub fn room(&self) -> RoomNoise {
        let [power, ..] = self.correlation;
        let mut room = RoomNoise::white(level_of(power));
        // Levinson's recursion; a little white noise keeps it well-conditioned.
        let (mut predictor, mut error) = ([0.0; OWN_COEFFICIENTS], power * 1.001 + 1e-3);
        for order in 0..OWN_COEFFICIENTS {
            let past = predictor.iter().take(order).zip(self.correlation[1..=order].iter().rev());
            let expected: f32 = past.map(|(coefficient, correlation)| coefficient * correlation).sum();
            let reflection = ((self.correlation[order + 1] - expected) / error).clamp(-0.98, 0.98);
            let before = predictor;
            for (index, coefficient) in predictor.iter_mut().take(order).enumerate() {
                *coefficient -= reflection * before[order - 1 - index];
            }
            predictor[order] = reflection;
            error *= 1.0 - reflection * reflection;
            let _ = room.coefficients.push(reflection);
        }
        room
    }
}

impl Default for NoiseAnalysis {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes noise of a description.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    state: u32,
    /// The lattice filter's backward errors.
    backward: [f32; MOST_COEFFICIENTS],
    level: f32,
}

impl ComfortNoise {
    /// A source whose noise is not its sister's: `seed` may be anything.
    pub fn new(seed: u32) -> Self {
        Self { state: seed | 1, backward: [0.0; MOST_COEFFICIENTS], level: 0.0 }
    }

    /// Fills `frame` with the sound of `room`; a new level is reached within the frame.
    pub fn fill(&mut self, room: &RoomNoise, frame: &mut [i16]) {
        let gain = room.coefficients.iter().fold(1.0, |gain, k| gain * (1.0 - k * k).max(0.0));
        let target = root_mean_square(room.level) * libm::sqrtf(gain);
        let slope = (target - self.level) / frame.len().max(1) as f32;
        for sample in frame {
            self.level += slope;
            let mut forward = self.level * self.next();
            for (index, k) in room.coefficients.iter().enumerate().rev() {
                let behind = self.backward.get(index).copied().unwrap_or(0.0);
                forward += k * behind;
                if let Some(next) = self.backward.get_mut(index + 1) {
                    *next = behind - k * forward;
                }
            }
            self.backward[0] = forward;
            *sample = libm::roundf(forward.clamp(-32_768.0, 32_767.0)) as i16;
        }
        self.level = target;
    }

    /// Uniform, of unit power.
    fn next(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        ((self.state >> 8) as f32 / 8_388_608.0 - 1.0) * 1.732_050_8
    }
}

/// Level in −dBov of a mean square; 0 dBov is that of a full-scale square wave.
pub fn level_of(mean_square: f32) -> u8 {
    let decibels = 10.0 * libm::log10f((mean_square + 1e-6) / (32_767.0 * 32_767.0));
    libm::roundf(-decibels).clamp(0.0, 127.0) as u8
}

fn root_mean_square(level: u8) -> f32 {
    if level >= 127 { 0.0 } else { 32_767.0 * libm::powf(10.0, -f32::from(level) / 20.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analysed(room: &RoomNoise) -> RoomNoise {
        let (mut source, mut analysis, mut frame) = (ComfortNoise::new(7), NoiseAnalysis::new(), [0; 80]);
        for _ in 0..200 {
            source.fill(room, &mut frame);
            analysis.hear(&frame);
        }
        analysis.room()
    }

    #[test]
    fn noise_of_a_description_has_its_level_and_spectrum_rfc_3389_3() {
        for (level, coefficients) in
            [(40, &[][..]), (55, &[0.7]), (60, &[-0.5, 0.3]), (50, &[0.8, -0.4, 0.2])]
        {
            let mut room = RoomNoise::white(level);
            room.coefficients.extend_from_slice(coefficients).unwrap();
            let back = analysed(&room);
            assert!(back.level.abs_diff(level) <= 2, "{room:?} sounded like {back:?}");
            for (index, coefficient) in back.coefficients.iter().enumerate().take(2) {
                let wanted = coefficients.get(index).copied().unwrap_or(0.0);
                assert!((coefficient - wanted).abs() < 0.25, "{room:?} sounded like {back:?}");
            }
        }
        assert_eq!(analysed(&RoomNoise::white(127)).level, 127);
    }

    #[test]
    fn a_payload_comes_back_and_odd_ones_do_no_harm() {
        let mut room = RoomNoise::white(70);
        room.coefficients.extend_from_slice(&[0.5, -0.25]).unwrap();
        let mut payload = [0; 11];
        assert_eq!(room.emit(&mut payload), Some(3));
        let back = RoomNoise::parse(&payload[..3]).unwrap();
        assert_eq!((back.level, back.coefficients.len()), (70, 2));
        assert!((back.coefficients[0] - 0.5).abs() < 0.01);
        assert!(!room.differs(&back));
        assert_eq!(room.emit(&mut payload[..2]), None);
        assert_eq!(RoomNoise::parse(&[]), None);
        // Any bytes make a filter that is stable.
        let mut random = dialtone_base::Random::new(dialtone_base::Seed::from_number(1));
        for _ in 0..200 {
            let mut bytes = [0; 20];
            random.fill(&mut bytes);
            let (room, mut frame) = (RoomNoise::parse(&bytes).unwrap(), [0; 80]);
            let mut source = ComfortNoise::new(1);
            for _ in 0..20 {
                source.fill(&room, &mut frame);
            }
            assert!(source.backward.iter().all(|value| value.is_finite()), "{bytes:?}");
        }
    }
}
