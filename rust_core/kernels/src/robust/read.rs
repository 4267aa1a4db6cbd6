//! Reading an octet of training values, and sorting it.

use std::ops::Range;

use super::{Cube, Octet};
use crate::order;
use crate::simd::{Kernel, LANES, Simd};

/// Most assets that are read together: a row of the cube is one page, or close to it, so reading
/// asset by asset would walk through all pages once for each.
pub const TOGETHER: usize = 8;

/// Assets that are read together when each has so many `rows`: what is read is sorted next, so it
/// has to stay in the second-level cache.
pub fn together(rows: usize) -> usize {
    const CACHE: usize = 512 * 1024;
    (CACHE / (rows.max(1) * LANES * size_of::<f64>())).clamp(1, TOGETHER)
}

/// Read the training values of one octet of a few assets: rows of eight lanes for each asset,
/// missing values as `+inf`.
pub struct Read<'a> {
    /// Where from.
    pub cube: Cube<'a>,
    /// Times to read.
    pub rows: &'a [i64],
    /// Features to read.
    pub octet: Octet,
    /// At most [`TOGETHER`] assets.
    pub assets: Range<usize>,
    /// `[asset, row, lane]`, padded to `stride` places per asset.
    pub lanes: &'a mut [f64],
    /// Places per asset.
    pub stride: usize,
}

impl Kernel for Read<'_> {
    /// Observed values of each asset and lane.
    type Output = [[usize; LANES]; TOGETHER];

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Output {
        /// Rows from the memory that are on their way at any time.
        const AHEAD: usize = 8;
        let mut counts = [S::splat(0.0); TOGETHER];
        for (i, &time) in self.rows.iter().enumerate() {
            let later = self.rows[(i + AHEAD).min(self.rows.len() - 1)] as usize;
            for (slot, asset) in self.assets.clone().enumerate() {
                self.cube.prefetch(later, asset, &self.octet);
                let x = self.cube.load::<S>(time as usize, asset, &self.octet);
                let valid = S::valid(x);
                counts[slot] = S::add(counts[slot], S::keep(valid, S::splat(1.0)));
                // One zero only: the network may not choose between two of them.
                let x = S::select(valid, S::add(x, S::splat(0.0)), S::splat(f64::INFINITY));
                let at = slot * self.stride + i * LANES;
                let out = &mut self.lanes[at..at + LANES];
                // SAFETY: `out` has eight places.
                unsafe { S::store(out.as_mut_ptr(), x) };
            }
        }
        for lanes in self.lanes.chunks_exact_mut(self.stride) {
            lanes[self.rows.len() * LANES..].fill(f64::INFINITY);
        }
        counts.map(|count| S::to_array(count).map(|c| c as usize))
    }
}

/// Sort lanes; with a tag, the low bits of a sorted value name its row.
pub struct Sort<'a> {
    /// Rows of eight lanes, `+inf` where missing and behind.
    pub lanes: &'a mut [f64],
    /// Rows without the padding.
    pub rows: usize,
    /// Low bits that hold the row.
    pub tag: Option<u64>,
}

impl Kernel for Sort<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if let Some(low) = self.tag {
            let used = self.lanes[..self.rows * LANES].chunks_exact_mut(LANES);
            for (i, row) in used.enumerate() {
                for value in row {
                    let tagged = f64::from_bits((value.to_bits() & !low) | i as u64);
                    *value = if *value == f64::INFINITY { *value } else { tagged };
                }
            }
        }
        order::sort::<S>(self.lanes);
    }
}

/// Read values and rows back from tagged lanes; restore the order that the tags disturbed.
pub fn untag(
    lanes: &[f64],
    raw: &[f64],
    lane: usize,
    low: u64,
    (values, places): (&mut [f64], &mut [u32]),
    pairs: &mut Vec<(f64, u32)>,
) {
    let (mut ordered, mut before) = (true, f64::NEG_INFINITY);
    for (i, (value, place)) in values.iter_mut().zip(places.iter_mut()).enumerate() {
        let row = lanes[i * LANES + lane].to_bits() & low;
        (*place, *value) = (row as u32, raw[row as usize * LANES + lane]);
        ordered &= *value >= before;
        before = *value;
    }
    if ordered {
        return;
    }
    // Values that agree in all but the tag bits stand in the order of their rows.
    pairs.clear();
    pairs.extend(values.iter().copied().zip(places.iter().copied()));
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    for ((value, place), pair) in values.iter_mut().zip(places).zip(pairs.iter()) {
        (*value, *place) = *pair;
    }
}
