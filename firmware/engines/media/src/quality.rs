//! What a listener would say of the call: the E-model (ITU-T G.107) from what the session measures.
//!
//! R = 93.2 − Id(delay) − Ie,eff(codec, loss); MOS by G.107 Annex B. The default values of G.107 stand for all that is not measured.
//! Codec figures: G.113 for G.711 (Bpl with concealment); the others are estimates.

use crate::codec::Codec;

/// Rating factor R, 0 to 100. `delay`: milliseconds mouth to ear, one way. `loss`: share of packets concealed, 0 to 1.
pub fn rating(codec: Codec, delay: f32, loss: f32) -> f32 {
    let (equipment, robustness) = match codec {
        Codec::Pcmu | Codec::Pcma => (0.0, 25.1),
        Codec::G722 => (0.0, 20.0),
        Codec::Opus => (2.0, 40.0),
    };
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let equipment = equipment + (95.0 - equipment) * percent / (percent + robustness);
    // G.107 §7.4 as approximated by Cole and Rosenbluth.
    let delayed = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    (93.2 - delayed - equipment).clamp(0.0, 100.0)
}

/// Mean opinion score, 1.0 to 4.5, of a rating.
pub fn opinion(rating: f32) -> f32 {
    if rating <= 0.0 {
        return 1.0;
    }
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_g_107() {
        assert!((opinion(93.2) - 4.41).abs() < 0.01);
        assert!((opinion(50.0) - 2.58).abs() < 0.02);
        let loss = rating(Codec::Pcmu, 50.0, 0.01);
        assert!((rating(Codec::Pcmu, 50.0, 0.0) - loss - 3.6).abs() < 0.5, "about 4 points for each percent");
        assert!(rating(Codec::Pcmu, 400.0, 0.0) < 65.0);
    }
}
