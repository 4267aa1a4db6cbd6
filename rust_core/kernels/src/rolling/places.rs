//! Where the sorted values of eight columns came from.
//!
//! The network moves values alone, so a value carries its place in its lowest
//! mantissa bits. Where what is left of two neighbours agrees, their true
//! values decide: the order is exact.

use std::ops::Range;

use crate::order;
use crate::simd::{LANES, Simd};

/// Bits that hold the place in a buffer of `rows` rows.
fn mask(rows: usize) -> u64 {
    rows.next_power_of_two() as u64 - 1
}

/// Sort every lane of `rows`, missing values (NaN) last; read the result through [`Lane`].
#[inline(always)]
pub fn sort<S: Simd>(rows: &mut [f64]) {
    let mask = mask(rows.len() / LANES);
    for (place, row) in rows.chunks_exact_mut(LANES).enumerate() {
        for v in row {
            *v = mark(*v, mask, place as u64);
        }
    }
    order::sort::<S>(rows);
}

/// `v` with its place in the lowest bits; `+inf`, beyond all others, if it is missing.
#[inline(always)]
fn mark(v: f64, mask: u64, place: u64) -> f64 {
    let finite = (v + 0.0).clamp(f64::MIN, f64::MAX); // one zero, and no bit of an infinity to set
    let marked = f64::from_bits((finite.to_bits() & !mask) | place);
    if v.is_nan() { f64::INFINITY } else { marked }
}

/// The values of one lane in order.
pub struct Lane<'a> {
    keys: &'a [f64],
    l: usize,
    n: usize,
    mask: u64,
}

impl<'a> Lane<'a> {
    /// Lane `l`, which holds `n` values, of rows that [`sort`] has sorted.
    pub fn new(sorted: &'a [f64], l: usize, n: usize) -> Lane<'a> {
        Lane { keys: sorted, l, n, mask: mask(sorted.len() / LANES) }
    }

    #[inline(always)]
    fn bits(&self, i: usize) -> u64 {
        self.keys[i * LANES + self.l].to_bits()
    }

    #[inline(always)]
    fn place(&self, i: usize) -> usize {
        (self.bits(i) & self.mask) as usize
    }

    /// Call `emit(rank, place, ranks of equal values)` for all values, the smallest first.
    #[inline(always)]
    pub fn walk(
        &self,
        tied: &mut Vec<(f64, usize)>,
        value: impl Fn(usize) -> f64,
        mut emit: impl FnMut(usize, usize, Range<usize>),
    ) {
        let mut from = 0;
        while from < self.n {
            let mut end = from + 1;
            while end < self.n && (self.bits(end - 1) ^ self.bits(end)) & !self.mask == 0 {
                end += 1;
            }
            if end == from + 1 {
                emit(from, self.place(from), from..end);
                from = end;
                continue;
            }
            tied.clear();
            tied.extend((from..end).map(|i| self.place(i)).map(|place| (value(place), place)));
            if tied.iter().any(|tie| tie.0 != tied[0].0) {
                tied.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            }
            for equal in tied.chunk_by(|a, b| a.0 == b.0) {
                let ranks = from..from + equal.len();
                for (rank, &(_, place)) in ranks.clone().zip(equal) {
                    emit(rank, place, ranks.clone());
                }
                from = ranks.end;
            }
        }
    }
}
