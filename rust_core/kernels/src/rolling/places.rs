//! Where the sorted values of eight columns came from.
//!
//! The network moves values alone, so a value carries its place in its lowest
//! mantissa bits. Where what is left of two neighbours agrees, their true
//! values decide: the order is exact.

use std::ops::Range;

use crate::order;
use crate::simd::{LANES, Simd};

/// Eight columns, one after the other.
#[derive(Default)]
pub struct Columns {
    values: Vec<f64>,
    stride: usize,
}

impl Columns {
    /// Make room for columns of `rows` rows, a multiple of eight.
    #[inline(always)]
    pub fn resize(&mut self, rows: usize) {
        self.stride = rows + LANES; // no power of two: the columns share no cache set
        self.values.resize(LANES * self.stride, 0.0);
    }

    /// Rows `top .. top + 8`.
    #[inline(always)]
    pub fn put<S: Simd>(&mut self, top: usize, rows: [S::F; LANES]) {
        assert!(top + LANES <= self.stride, "rows outside the columns");
        for (l, column) in S::transpose(rows).into_iter().enumerate() {
            // SAFETY: every column has `stride` rows.
            unsafe { S::store(self.values.as_mut_ptr().add(l * self.stride + top), column) }
        }
    }

    /// Rows `top .. top + 8`.
    #[inline(always)]
    pub fn get<S: Simd>(&self, top: usize) -> [S::F; LANES] {
        assert!(top + LANES <= self.stride, "rows outside the columns");
        let mut columns = [S::splat(0.0); LANES];
        for (l, column) in columns.iter_mut().enumerate() {
            // SAFETY: every column has `stride` rows.
            *column = unsafe { S::load(self.values.as_ptr().add(l * self.stride + top)) };
        }
        S::transpose(columns)
    }

    /// Column `l`.
    #[inline(always)]
    pub fn column(&self, l: usize) -> &[f64] {
        &self.values[l * self.stride..][..self.stride]
    }

    /// Column `l`.
    #[inline(always)]
    pub fn column_mut(&mut self, l: usize) -> &mut [f64] {
        &mut self.values[l * self.stride..][..self.stride]
    }
}

/// Bits that hold a place among `rows` rows.
#[inline(always)]
pub fn mask(rows: usize) -> u64 {
    rows.next_power_of_two() as u64 - 1
}

/// Write into every value of `rows` its place, counted from `first`, in the bits of `mask`;
/// missing values (NaN) become `+inf`.
#[inline(always)]
pub fn mark_all(rows: &mut [f64], mask: u64, first: usize) {
    for (place, row) in (first as u64..).zip(rows.chunks_exact_mut(LANES)) {
        for v in row {
            *v = mark(*v, mask, place);
        }
    }
}

/// Sorted lanes, one after the other.
#[derive(Default)]
pub struct Places {
    keys: Columns,
    mask: u64,
}

impl Places {
    /// Sort every lane of `rows`, missing values (NaN) last, and keep the result.
    #[inline(always)]
    pub fn sort<S: Simd>(&mut self, rows: &mut [f64]) {
        let mask = mask(rows.len() / LANES);
        mark_all(rows, mask, 0);
        order::sort::<S>(rows);
        self.keep::<S>(rows, mask);
    }

    /// Keep sorted rows that were marked in the bits of `mask`.
    #[inline(always)]
    pub fn keep<S: Simd>(&mut self, rows: &[f64], mask: u64) {
        self.mask = mask;
        self.keys.resize(rows.len() / LANES);
        for (i, block) in rows.chunks_exact(LANES * LANES).enumerate() {
            let mut eight = [S::splat(0.0); LANES];
            for (row, values) in eight.iter_mut().zip(block.chunks_exact(LANES)) {
                // SAFETY: a row is eight values.
                *row = unsafe { S::load(values.as_ptr()) };
            }
            self.keys.put::<S>(i * LANES, eight);
        }
    }

    /// Lane `l`, which holds `n` values.
    #[inline(always)]
    pub fn lane(&self, l: usize, n: usize) -> Lane<'_> {
        Lane { keys: &self.keys.column(l)[..n], mask: self.mask }
    }
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
    mask: u64,
}

impl Lane<'_> {
    #[inline(always)]
    fn place(&self, i: usize) -> usize {
        (self.keys[i].to_bits() & self.mask) as usize
    }

    /// Does what is left of `a` and `b` agree?
    #[inline(always)]
    fn near(&self, a: f64, b: f64) -> bool {
        (a.to_bits() ^ b.to_bits()) & !self.mask == 0
    }

    /// Call `emit(rank, place, ranks of equal values)` for all values, the smallest first.
    #[inline(always)]
    pub fn walk(
        &self,
        tied: &mut Vec<(f64, usize)>,
        value: impl Fn(usize) -> f64,
        mut emit: impl FnMut(usize, usize, Range<usize>),
    ) {
        let n = self.keys.len();
        let mut from = 0;
        while from < n {
            if let Some(keys) = self.keys.get(from..=from + LANES) {
                let near = (0..LANES).fold(false, |any, i| any | self.near(keys[i], keys[i + 1]));
                if !near {
                    for (i, key) in keys[..LANES].iter().enumerate() {
                        let rank = from + i;
                        emit(rank, (key.to_bits() & self.mask) as usize, rank..rank + 1);
                    }
                    from += LANES;
                    continue;
                }
            }
            let mut end = from + 1;
            while end < n && self.near(self.keys[end - 1], self.keys[end]) {
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
