//! Reading octets of training values, and sorting them.

use super::{Cube, Octet};
use crate::order;
use crate::simd::{Kernel, LANES, Simd};

/// Octets that are read together, of so many `rows` each. What is read is sorted next, so it has to
/// stay in the second-level cache or near it; every octet more makes better use of the pages and
/// lines that reading walks through.
pub fn together(rows: usize) -> usize {
    const CACHE: usize = 1024 * 1024;
    const MOST: usize = 8;
    (CACHE / (rows.max(1) * LANES * size_of::<f64>())).clamp(1, MOST)
}

/// Read the training values of a few octets: rows of eight lanes for each, missing values as
/// `+inf`.
pub struct Read<'a> {
    /// Where from.
    pub cube: Cube<'a>,
    /// Times to read.
    pub rows: &'a [i64],
    /// Columns to read.
    pub octets: &'a [Octet],
    /// `[octet, row, lane]`, padded to `stride` places per octet.
    pub lanes: &'a mut [f64],
    /// Places per octet.
    pub stride: usize,
    /// Observed values, `[octet, lane]`.
    pub counts: &'a mut [[f64; LANES]],
}

impl Kernel for Read<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        /// Rows from the memory that are on their way at any time.
        const AHEAD: usize = 8;
        let Read { cube, rows, octets, lanes, stride, counts } = self;
        assert!(lanes.len() == octets.len() * stride && counts.len() == octets.len());
        counts.fill([0.0; LANES]);
        for (i, &time) in rows.iter().enumerate() {
            let later = rows[(i + AHEAD).min(rows.len() - 1)] as usize;
            for (o, (octet, count)) in octets.iter().zip(&mut *counts).enumerate() {
                cube.prefetch(later, 0, octet);
                let x = cube.load::<S>(time as usize, 0, octet);
                let valid = S::valid(x);
                *count = S::to_array(S::add(S::from_array(*count), S::keep(valid, S::splat(1.0))));
                // One zero only: the network may not choose between two of them.
                let x = S::select(valid, S::add(x, S::splat(0.0)), S::splat(f64::INFINITY));
                let at = o * stride + i * LANES;
                let out = &mut lanes[at..at + LANES];
                // SAFETY: `out` has eight places.
                unsafe { S::store(out.as_mut_ptr(), x) };
            }
        }
        for lanes in lanes.chunks_exact_mut(stride) {
            lanes[rows.len() * LANES..].fill(f64::INFINITY);
        }
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
