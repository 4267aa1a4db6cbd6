//! Robust scaling of a `[T, A, F]` cube, all training sets at once.
//!
//! Three steps, each a kernel of its own: [`moments`] (usable counts,
//! variances and correlations per feature, pooled over assets), [`fit`]
//! (winsor bounds per feature, order statistics per asset and feature) and
//! [`transform`]. Missing is NaN or `true` in the mask.
//!
//! The statistics of a training set are a function of its own rows alone, to
//! the bit: other sets of the same call share sorting and counting, never
//! arithmetic.

mod column;
mod fit;
mod merge;
mod moments;
mod pooled;
mod read;
mod shared;
mod single;
mod subset;
mod tails;
#[cfg(test)]
mod tests;
mod transform;

pub use fit::{Fit, TrainingSets, fit};
pub use moments::{BLOCK_ROWS, Jobs, Moments, moments};
pub use transform::{Scaling, transform};

use crate::simd::{LANES, Simd, prefetch};

/// Values and mask of shape `[times, assets, features]`, C order.
#[derive(Clone, Copy, Debug)]
pub struct Cube<'a> {
    /// The values.
    pub values: &'a [f64],
    /// `true` = missing, like NaN.
    pub missing: Option<&'a [bool]>,
    /// Lengths of the three axes.
    pub shape: [usize; 3],
}

impl Cube<'_> {
    /// Place of feature 0 of an asset at a time.
    #[inline(always)]
    fn at(&self, time: usize, asset: usize) -> usize {
        (time * self.shape[1] + asset) * self.shape[2]
    }

    /// The same cube with one asset, which has the features of all; and the places there of some
    /// features of every asset, asset after asset.
    fn flat(self, features: &[usize]) -> (Self, Vec<usize>) {
        let [times, assets, width] = self.shape;
        let of_asset = |asset| features.iter().map(move |f| asset * width + f);
        let columns = (0..assets).flat_map(of_asset).collect();
        (Cube { shape: [times, 1, assets * width], ..self }, columns)
    }

    /// Ask for the cache lines that [`Cube::load`] will read.
    #[inline(always)]
    fn prefetch(&self, time: usize, asset: usize, octet: &Octet) {
        let from = self.values.as_ptr().wrapping_add(self.at(time, asset));
        prefetch(from.wrapping_add(octet.index[0]));
        prefetch(from.wrapping_add(octet.index[octet.width - 1]));
    }

    /// Up to eight features of one asset at one time; NaN where missing.
    #[inline(always)]
    fn load<S: Simd>(&self, time: usize, asset: usize, octet: &Octet) -> S::F {
        let at = self.at(time, asset);
        let values = &self.values[at..at + self.shape[2]];
        let x = if octet.run {
            let run = &values[octet.index[0]..octet.index[0] + octet.width];
            // SAFETY: `run` has `width` values.
            unsafe { S::load_n(run.as_ptr(), octet.width, f64::NAN) }
        } else {
            let mut lanes = [f64::NAN; LANES];
            for (lane, &f) in lanes.iter_mut().zip(octet.features()) {
                *lane = values[f];
            }
            S::from_array(lanes)
        };
        let Some(missing) = self.missing else { return x };
        let missing = &missing[at..at + self.shape[2]];
        let mut bits = 0;
        for (lane, &f) in octet.features().iter().enumerate() {
            bits |= u8::from(missing[f]) << lane;
        }
        S::select(S::from_bits(bits), S::splat(f64::NAN), x)
    }
}

/// Up to eight feature columns that are worked on together.
#[derive(Clone, Copy, Debug)]
struct Octet {
    index: [usize; LANES],
    width: usize,
    /// The columns lie side by side.
    run: bool,
}

impl Octet {
    fn new(features: &[usize]) -> Octet {
        let mut index = [0; LANES];
        index[..features.len()].copy_from_slice(features);
        let run = features.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        Octet { index, width: features.len(), run }
    }

    /// The same features of an asset, in a row of all assets with so many features each.
    fn of_asset(&self, asset: usize, features: usize) -> Octet {
        Octet { index: self.index.map(|f| asset * features + f), ..*self }
    }

    /// Cut a list of features into octets.
    fn all(features: &[usize]) -> Vec<Octet> {
        features.chunks(LANES).map(Octet::new).collect()
    }

    #[inline(always)]
    fn features(&self) -> &[usize] {
        &self.index[..self.width]
    }
}

/// `x` within `[low, high]`; on equal zeros `x` stays.
#[inline(always)]
fn clamp(x: f64, low: f64, high: f64) -> f64 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// [`clamp`] in every lane; NaN stays.
#[inline(always)]
fn clamp_lanes<S: Simd>(x: S::F, low: S::F, high: S::F) -> S::F {
    let above = S::select(S::lt(high, x), high, x);
    S::select(S::lt(x, low), low, above)
}

/// Between the order statistics `a <= b` at `t` in `[0, 1)`: NumPy's linear rule, to the bit.
#[inline(always)]
fn between(a: f64, b: f64, t: f64) -> f64 {
    if a == b {
        a
    } else if t < 0.5 {
        a + (b - a) * t
    } else {
        b - (b - a) * (1.0 - t)
    }
}
