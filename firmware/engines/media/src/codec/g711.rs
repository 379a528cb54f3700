//! G.711: a logarithm of each sample in one octet.
//!
//! ITU-T G.711 §3, both laws, computed: tables of 64 K entries would cost more than they save.

/// µ-law. Sixteen-bit samples; the law keeps fourteen.
pub const fn mu_law(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (sample as i32).abs();
    let magnitude = if magnitude > 32_635 { 32_635 } else { magnitude } + BIAS;
    // The highest bit is between 7 and 14.
    let segment = 24 - magnitude.leading_zeros() as i32;
    let mantissa = (magnitude >> (segment + 3)) & 15;
    !(sign | (segment << 4) as u8 | mantissa as u8)
}

/// The sample of a µ-law octet.
pub const fn from_mu_law(octet: u8) -> i16 {
    let octet = !octet;
    let segment = (octet >> 4) & 7;
    let magnitude = ((((octet as i32 & 15) << 3) + 0x84) << segment) - 0x84;
    (if octet & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// A-law. The law keeps thirteen bits.
pub const fn a_law(sample: i16) -> u8 {
    // Even bits are inverted on the line; the sign bit is 1 for positive.
    let (sign, magnitude) =
        if sample >= 0 { (0xd5, sample as i32 >> 3) } else { (0x55, !(sample as i32) >> 3) };
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let segment = 27 - magnitude.leading_zeros() as i32;
        segment << 4 | (magnitude >> segment) & 15
    };
    sign ^ code as u8
}

/// The sample of an A-law octet.
pub const fn from_a_law(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let segment = (octet >> 4) & 7;
    let mantissa = (octet as i32 & 15) << 4;
    let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
    (if octet & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use audio_codec::{Decoder, Encoder};

    use super::*;

    #[test]
    fn every_octet_is_a_fixed_point_of_both_laws() {
        for octet in 0..=255u8 {
            assert_eq!(a_law(from_a_law(octet)), octet, "A {octet:#x}");
            // Two octets of µ-law are zero.
            if octet != 0x7f {
                assert_eq!(mu_law(from_mu_law(octet)), octet, "mu {octet:#x}");
            }
        }
    }

    #[test]
    fn octets_mean_what_they_mean_elsewhere() {
        let (mut mu, mut a) = (audio_codec::pcmu::PcmuDecoder::new(), audio_codec::pcma::PcmaDecoder::new());
        for octet in 0..=255u8 {
            let (mut ours, mut theirs) = ([from_mu_law(octet), from_a_law(octet)], [0; 2]);
            mu.decode_into(&[octet], &mut theirs[..1]).unwrap();
            a.decode_into(&[octet], &mut theirs[1..]).unwrap();
            assert_eq!(ours, theirs, "{octet:#x}");
            ours.reverse();
        }
    }

    #[test]
    fn each_sample_takes_the_nearest_octet_or_its_neighbour() {
        let mut mu = audio_codec::pcmu::PcmuEncoder::new();
        for sample in i16::MIN..=i16::MAX {
            let mut theirs = [0];
            mu.encode_into(&[sample], &mut theirs).unwrap();
            let (ours, theirs) = (from_mu_law(mu_law(sample)), from_mu_law(theirs[0]));
            assert!(i32::from(ours) == i32::from(theirs) || sample == i16::MIN, "{sample} {ours} {theirs}");
            let error = (i32::from(from_a_law(a_law(sample))) - i32::from(sample)).abs();
            assert!(error <= 8.max(i32::from(sample).abs() / 31 + 1).max(0), "{sample} {error}");
        }
    }
}
