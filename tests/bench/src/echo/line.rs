//! The lines: G.168's models D.2 to D.9, read from Debian's `g168models.h` when the bench runs, behind µ-law.

use std::fs;

/// Where libspandsp-dev puts it.
pub const HEADER: &str = "/usr/include/spandsp/g168models.h";

/// A line's echo path at 0 dB return loss.
pub struct Line {
    /// `D.2` and so on.
    pub name: String,
    taps: Vec<f32>,
}

/// All models of the header; `None` when it is missing or unlike itself.
pub fn models() -> Option<Vec<Line>> {
    let text = fs::read_to_string(HEADER).ok()?;
    (2..=9)
        .map(|number| {
            let taps = array(&text, &format!("line_model_d{number}_coeffs"))?;
            let gain = &text[text.find(&format!("LINE_MODEL_D{number}_GAIN"))?..];
            let gain: f32 = gain.split_whitespace().nth(1)?.trim_end_matches('f').parse().ok()?;
            Some(Line { name: format!("D.{number}"), taps: taps.iter().map(|tap| tap * gain).collect() })
        })
        .collect()
}

/// The numbers of a C array of the header.
pub fn array(text: &str, name: &str) -> Option<Vec<f32>> {
    let from = text.find(&format!("{name}[] ="))?;
    let open = from + text[from..].find('{')?;
    let close = open + text[open..].find('}')?;
    text[open + 1..close].split(',').map(|number| number.trim().parse().ok()).collect()
}

impl Line {
    /// The echo of `far` at `loss_db` of return loss, `delay` samples later.
    pub fn echo(&self, far: &[i16], loss_db: f32, delay: usize) -> Vec<i16> {
        let gain = 10f32.powf(-loss_db / 20.0);
        let at = |n: usize| -> f32 {
            let past = far[..(n + 1).saturating_sub(delay)].iter().rev();
            self.taps.iter().zip(past).map(|(tap, sample)| tap * f32::from(*sample)).sum()
        };
        (0..far.len()).map(|n| (gain * at(n)).round() as i16).collect()
    }
}

/// Echo and near speech through G.711 µ-law and back.
pub fn returned(echo: &[i16], speech: &[i16]) -> Vec<i16> {
    let speech = speech.iter().copied().chain(std::iter::repeat(0));
    echo.iter().zip(speech).map(|(echo, speech)| mu_law(echo.saturating_add(speech))).collect()
}

fn mu_law(sample: i16) -> i16 {
    let size = i32::from(sample).abs().min(32_635) + 132;
    let segment = 24 - size.leading_zeros();
    let step = (size >> (segment + 3)) & 15;
    let decoded = (((step << 3) + 132) << segment) - 132;
    (if sample < 0 { -decoded } else { decoded }) as i16
}
