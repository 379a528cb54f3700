//! The Fourier transform of real samples, without allocation after construction.
//!
//! A complex transform of half the length (radix 2, decimation in time, the first two stages as one) and the split of a real one.
//! Real and imaginary parts lie in arrays of their own, so that the compiler can work on several bins at once. Lengths are powers
//! of two from 16 on. Spectra are [`stride`] long: the bins from 0 to half the rate, then zeros.

use alloc::boxed::Box;
use alloc::vec;
use core::f32::consts::PI;

/// A spectrum: bins `0..=length / 2`, then zeros up to [`stride`].
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    /// Real parts.
    pub re: Box<[f32]>,
    /// Imaginary parts.
    pub im: Box<[f32]>,
}

impl Spectrum {
    /// All zero, for transforms of `length`.
    pub fn zero(length: usize) -> Self {
        Self { re: vec![0.0; stride(length)].into(), im: vec![0.0; stride(length)].into() }
    }

    /// Makes it zero.
    pub fn clear(&mut self) {
        self.re.fill(0.0);
        self.im.fill(0.0);
    }

    /// Makes it a copy of `other`.
    pub fn copy_from(&mut self, other: &Self) {
        self.re.copy_from_slice(&other.re);
        self.im.copy_from_slice(&other.im);
    }

    /// Adds the product of `a` and `b`, bin by bin.
    pub fn add_product(&mut self, a: &Self, b: &Self) {
        let parts = self.re.iter_mut().zip(self.im.iter_mut());
        let factors = a.re.iter().zip(a.im.iter()).zip(b.re.iter().zip(b.im.iter()));
        for ((re, im), ((ar, ai), (br, bi))) in parts.zip(factors) {
            *re += ar * br - ai * bi;
            *im += ar * bi + ai * br;
        }
    }
}

/// Length of the arrays of a [`Spectrum`]: the bins and zeros up to a multiple of eight.
pub(super) const fn stride(length: usize) -> usize {
    length / 2 + 8
}

/// The transform of one length.
pub(super) struct Transform {
    half: usize,
    /// Twiddle factors of every stage behind each other: the stage of span `s` at `s..2s`.
    stage_re: Box<[f32]>,
    stage_im: Box<[f32]>,
    /// `exp(-2πik/length)` for the split of real transforms.
    split_re: Box<[f32]>,
    split_im: Box<[f32]>,
    /// Where each sample goes before the first stage.
    reversed: Box<[u16]>,
    work_re: Box<[f32]>,
    work_im: Box<[f32]>,
}

impl Transform {
    /// For `length` real samples, a power of two of at least 16.
    pub fn new(length: usize) -> Self {
        debug_assert!(length.is_power_of_two() && (16..=8192).contains(&length));
        let half = length / 2;
        let turn = |k: usize, of: usize| {
            let angle = -2.0 * PI * k as f32 / of as f32;
            (libm::cosf(angle), libm::sinf(angle))
        };
        let (mut stage_re, mut stage_im) = (vec![0.0; half], vec![0.0; half]);
        let mut span = 1;
        while span < half {
            for k in 0..span {
                (stage_re[span + k], stage_im[span + k]) = turn(k, 2 * span);
            }
            span *= 2;
        }
        let bits = half.trailing_zeros();
        Self {
            half,
            stage_re: stage_re.into(),
            stage_im: stage_im.into(),
            split_re: (0..=half).map(|k| turn(k, length).0).collect(),
            split_im: (0..=half).map(|k| turn(k, length).1).collect(),
            reversed: (0..half as u32).map(|k| (k.reverse_bits() >> (32 - bits)) as u16).collect(),
            work_re: vec![0.0; half].into(),
            work_im: vec![0.0; half].into(),
        }
    }

    /// The spectrum of `samples`, `length` of them.
    pub fn forward(&mut self, samples: &[f32], to: &mut Spectrum) {
        for (pair, to) in samples.chunks_exact(2).zip(self.reversed.iter()) {
            let to = usize::from(*to);
            if let (Some(re), Some(im)) = (self.work_re.get_mut(to), self.work_im.get_mut(to)) {
                (*re, *im) = (pair[0], pair[1]);
            }
        }
        stages(&mut self.work_re, &mut self.work_im, &self.stage_re, &self.stage_im);
        let half = self.half;
        let (re, im) = (&self.work_re[..half], &self.work_im[..half]);
        let (to_re, to_im) = (&mut to.re[..=half], &mut to.im[..=half]);
        let (split_re, split_im) = (&self.split_re[..=half], &self.split_im[..=half]);
        (to_re[0], to_im[0]) = (re[0] + im[0], 0.0);
        (to_re[half], to_im[half]) = (re[0] - im[0], 0.0);
        for k in 1..half {
            let (ar, ai, br, bi) = (re[k], im[k], re[half - k], -im[half - k]);
            let (even_re, even_im) = (0.5 * (ar + br), 0.5 * (ai + bi));
            // The difference divided by 2i.
            let (odd_re, odd_im) = (0.5 * (ai - bi), 0.5 * (br - ar));
            to_re[k] = even_re + odd_re * split_re[k] - odd_im * split_im[k];
            to_im[k] = even_im + odd_re * split_im[k] + odd_im * split_re[k];
        }
    }

    /// The samples of `spectrum`, `length` of them, scaled so that forward and back changes nothing.
    pub fn inverse(&mut self, spectrum: &Spectrum, samples: &mut [f32]) {
        let half = self.half;
        let (re, im) = (&spectrum.re[..=half], &spectrum.im[..=half]);
        let (split_re, split_im) = (&self.split_re[..=half], &self.split_im[..=half]);
        let scale = 0.5 / half as f32;
        for (k, to) in self.reversed.iter().enumerate().take(half) {
            let (ar, ai, br, bi) = (re[k], im[k], re[half - k], -im[half - k]);
            let (diff_re, diff_im) = (ar - br, ai - bi);
            // Times i exp(+2πik/length).
            let (odd_re, odd_im) = (
                -(diff_im * split_re[k] - diff_re * split_im[k]),
                diff_re * split_re[k] + diff_im * split_im[k],
            );
            let to = usize::from(*to);
            if let (Some(work_re), Some(work_im)) = (self.work_re.get_mut(to), self.work_im.get_mut(to)) {
                (*work_re, *work_im) = (scale * (ar + br + odd_re), scale * (ai + bi + odd_im));
            }
        }
        // An inverse transform is a forward one with real and imaginary parts exchanged.
        stages(&mut self.work_im, &mut self.work_re, &self.stage_re, &self.stage_im);
        for (pair, (re, im)) in samples.chunks_exact_mut(2).zip(self.work_re.iter().zip(&self.work_im)) {
            (pair[0], pair[1]) = (*re, *im);
        }
    }
}

/// All stages of the complex transform on samples in bit-reversed order.
fn stages(re: &mut [f32], im: &mut [f32], twiddle_re: &[f32], twiddle_im: &[f32]) {
    for (re, im) in re.chunks_exact_mut(4).zip(im.chunks_exact_mut(4)) {
        let (ar, ai) = (re[0] + re[1], im[0] + im[1]);
        let (br, bi) = (re[0] - re[1], im[0] - im[1]);
        let (cr, ci) = (re[2] + re[3], im[2] + im[3]);
        let (dr, di) = (re[2] - re[3], im[2] - im[3]);
        (re[0], im[0]) = (ar + cr, ai + ci);
        (re[2], im[2]) = (ar - cr, ai - ci);
        (re[1], im[1]) = (br + di, bi - dr);
        (re[3], im[3]) = (br - di, bi + dr);
    }
    let mut span = 4;
    while span < re.len() {
        let (wr, wi) = (&twiddle_re[span..][..span], &twiddle_im[span..][..span]);
        for (re, im) in re.chunks_exact_mut(2 * span).zip(im.chunks_exact_mut(2 * span)) {
            let ((ar, br), (ai, bi)) = (re.split_at_mut(span), im.split_at_mut(span));
            // Equal lengths the compiler can see: it works on four at a time and checks no bound.
            let (ar, ai) = (&mut ar[..span], &mut ai[..span]);
            let (br, bi) = (&mut br[..span], &mut bi[..span]);
            for k in 0..span {
                let (tr, ti) = (br[k] * wr[k] - bi[k] * wi[k], br[k] * wi[k] + bi[k] * wr[k]);
                (br[k], bi[k]) = (ar[k] - tr, ai[k] - ti);
                (ar[k], ai[k]) = (ar[k] + tr, ai[k] + ti);
            }
        }
        span *= 2;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use dialtone_base::{Random, Seed};

    use super::*;

    #[test]
    fn a_transform_is_the_sum_it_stands_for_and_comes_back() {
        for length in [16, 256, 512] {
            let mut random = Random::new(Seed::from_number(length as u64));
            let samples: Vec<f32> = (0..length).map(|_| random.below(2000) as f32 - 1000.0).collect();
            let (mut transform, mut spectrum) = (Transform::new(length), Spectrum::zero(length));
            transform.forward(&samples, &mut spectrum);
            for k in [0, 1, 5, length / 4, length / 2 - 1, length / 2] {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, sample) in samples.iter().enumerate() {
                    let angle = -2.0 * PI * ((k * n) % length) as f32 / length as f32;
                    re += sample * libm::cosf(angle);
                    im += sample * libm::sinf(angle);
                }
                let error = libm::hypotf(spectrum.re[k] - re, spectrum.im[k] - im);
                assert!(error < 0.1, "length {length}, bin {k}: off by {error}");
            }
            let mut back = vec![0.0; length];
            transform.inverse(&spectrum, &mut back);
            let worst = samples.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.01, "length {length}: {worst}");
        }
    }
}
