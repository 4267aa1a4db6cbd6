//! Ranks among the values of a row.

use super::each_group;
use super::keys::{self, ROWS};
use crate::order::{self, Lanes};
use crate::rolling::places::Places;
use crate::rolling::source::prefetch_write;
use crate::simd::{self, Kernel, LANES, Simd, prefetch};
use crate::{Exec, network};

/// Widest row that is ranked by 32-bit keys: beyond it too many of them agree.
const NARROW: usize = 4096;
/// Groups of rows that go without 32-bit keys after one whose values they could not tell apart.
const PATIENCE: usize = 15;

/// `(average rank - 0.5) / n` of every value among the `n` values of its row.
///
/// Sixteen rows at a time are sorted by a network of 32-bit keys that carry their column; values
/// whose keys agree are compared themselves, so ranks are exact. Rows that are very wide, or
/// whose values lie in a few tight clusters, are sorted as they are.
pub fn rank(exec: Exec, x: &[f64], width: usize, out: &mut [f64]) {
    let scratch = || Scratch::new(width);
    each_group(exec, x, width, ROWS, (out, width), scratch, |level, values, out, scratch| {
        if width <= NARROW && scratch.without == 0 {
            let mixed = simd::run(level, Narrow { values, width, out, scratch });
            if mixed > values.len() / 8 {
                scratch.without = PATIENCE;
            }
            return;
        }
        scratch.without = scratch.without.saturating_sub(1);
        let eight = LANES * width;
        for (values, out) in values.chunks(eight).zip(out.chunks_mut(eight)) {
            simd::run(level, Wide { values, width, out, scratch });
        }
    });
}

/// What a thread needs.
struct Scratch {
    sorted: Lanes,
    sample: Lanes,
    /// Sorted keys of two rows each, a pair of rows after the other.
    pairs: Vec<u64>,
    places: Places,
    tied: Vec<(f64, usize)>,
    shares: Shares,
    /// Groups that still go without 32-bit keys.
    without: usize,
}

impl Scratch {
    fn new(width: usize) -> Scratch {
        Scratch {
            sorted: Lanes::new(width),
            sample: Lanes::new(2 * order::BLOCK),
            pairs: Vec::new(),
            places: Places::default(),
            tied: Vec::new(),
            shares: Shares::default(),
            without: 0,
        }
    }
}

/// Results of values without ties, by rank.
#[derive(Default)]
struct Shares(Vec<f64>);

impl Shares {
    /// Among `n` values.
    fn among(&mut self, n: usize) -> &[f64] {
        if self.0.len() != n {
            self.0 = (0..n).map(|rank| (rank as f64 + 0.5) / n as f64).collect();
        }
        &self.0
    }
}

/// Up to sixteen rows by 32-bit keys; says how many values had to be sorted again.
struct Narrow<'a> {
    values: &'a [f64],
    width: usize,
    out: &'a mut [f64],
    scratch: &'a mut Scratch,
}

impl Kernel for Narrow<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self) -> usize {
        let Scratch { sorted, sample, pairs, tied, shares, .. } = self.scratch;
        let maps = keys::maps::<S>(self.values, self.width, sample);
        let sorted = sorted.values_mut();
        keys::side_by_side::<S>(self.values, self.width, &maps, sorted);
        let length = 2 * sorted.len();
        // SAFETY: the same memory, two keys for every 64 bits.
        let halves = unsafe { std::slice::from_raw_parts_mut(sorted.as_mut_ptr().cast(), length) };
        network::sort::<S::Narrow>(halves);
        let height = sorted.len() / LANES;
        let stride = height + LANES; // no power of two: the pairs share no cache set
        pairs.resize(LANES * stride, 0);
        for (i, block) in sorted.chunks_exact(LANES * LANES).enumerate() {
            // SAFETY: a block is eight rows, and every pair has room for all rows.
            unsafe {
                let mut rows = [S::splat(0.0); LANES];
                for (k, row) in rows.iter_mut().enumerate() {
                    *row = S::load(block.as_ptr().add(k * LANES));
                }
                for (p, keys) in S::transpose(rows).into_iter().enumerate() {
                    S::store(pairs.as_mut_ptr().add(p * stride + i * LANES).cast(), keys);
                }
            }
        }
        let mask = (1u32 << keys::bits(self.width)) - 1;
        let mut mixed = 0;
        let rows = self.values.chunks_exact(self.width);
        for (l, (values, out)) in rows.zip(self.out.chunks_exact_mut(self.width)).enumerate() {
            let n = maps[l].count;
            if n < self.width {
                out.fill(f64::NAN);
            }
            let keys = &pairs[l / 2 * stride..][..n];
            let alone = shares.among(n);
            mixed += if l % 2 == 0 {
                Walk::<0> { keys, mask, values, alone }.emit(tied, out)
            } else {
                Walk::<32> { keys, mask, values, alone }.emit(tied, out)
            };
        }
        mixed
    }
}

/// The sorted keys of a row, `HALF` bits up.
struct Walk<'a, const HALF: u32> {
    keys: &'a [u64],
    mask: u32,
    values: &'a [f64],
    alone: &'a [f64],
}

impl<const HALF: u32> Walk<'_, HALF> {
    #[inline(always)]
    fn place(&self, key: u64) -> usize {
        ((key >> HALF) as u32 & self.mask) as usize
    }

    /// Do two keys agree but for their columns?
    #[inline(always)]
    fn near(&self, a: u64, b: u64) -> bool {
        ((a ^ b) >> HALF) as u32 & !self.mask == 0
    }

    /// Ask for what comes next, near `column`: the row of the next group, and the next results, which
    /// are written in no order that a CPU would foresee.
    #[inline(always)]
    fn ask(&self, out: &[f64], column: usize) {
        let width = self.values.len();
        prefetch(self.values.as_ptr().wrapping_add(ROWS * width + column));
        prefetch_write(out.as_ptr().wrapping_add(width + column));
    }

    /// Write the ranks; returns how many values lie in groups of keys that agree of values that
    /// differ.
    #[inline(always)]
    fn emit(&self, tied: &mut Vec<(f64, usize)>, out: &mut [f64]) -> usize {
        let n = self.keys.len();
        let (mut from, mut mixed, mut asked) = (0, 0, 0);
        while from < n {
            while asked <= from {
                self.ask(out, asked);
                asked += LANES;
            }
            if let Some(keys) = self.keys.get(from..=from + LANES) {
                let near = (0..LANES).fold(false, |any, i| any | self.near(keys[i], keys[i + 1]));
                if !near {
                    for (key, alone) in keys.iter().zip(&self.alone[from..from + LANES]) {
                        out[self.place(*key)] = *alone;
                    }
                    from += LANES;
                    continue;
                }
            }
            let mut end = from + 1;
            while end < n && self.near(self.keys[end - 1], self.keys[end]) {
                end += 1;
            }
            let group = &self.keys[from..end];
            let first = self.values[self.place(group[0])];
            if group.iter().all(|key| self.values[self.place(*key)] == first) {
                let share = if group.len() == 1 { self.alone[from] } else { share(from, end, n) };
                group.iter().for_each(|key| out[self.place(*key)] = share);
                from = end;
                continue;
            }
            mixed += group.len();
            tied.clear();
            tied.extend(group.iter().map(|key| self.place(*key)).map(|at| (self.values[at], at)));
            tied.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            for equal in tied.chunk_by(|a, b| a.0 == b.0) {
                let share = share(from, from + equal.len(), n);
                equal.iter().for_each(|&(_, at)| out[at] = share);
                from += equal.len();
            }
        }
        mixed
    }
}

/// What values share that have the ranks `from .. end` of `n`.
#[inline(always)]
fn share(from: usize, end: usize, n: usize) -> f64 {
    0.5 * (from + end) as f64 / n as f64
}

/// Up to eight rows, by the values themselves.
struct Wide<'a> {
    values: &'a [f64],
    width: usize,
    out: &'a mut [f64],
    scratch: &'a mut Scratch,
}

impl Kernel for Wide<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Scratch { sorted, places, tied, shares, .. } = self.scratch;
        let sorted = sorted.values_mut();
        let counts = super::side_by_side::<S>(self.values, self.width, f64::NAN, sorted);
        places.sort::<S>(sorted);
        let rows = self.values.chunks_exact(self.width);
        for (l, (values, out)) in rows.zip(self.out.chunks_exact_mut(self.width)).enumerate() {
            let n = counts[l] as usize;
            if n < self.width {
                out.fill(f64::NAN);
            }
            let alone = shares.among(n);
            places.lane(l, n).walk(
                tied,
                |place| values[place],
                |rank, place, ties| {
                    out[place] = match ties.len() {
                        1 => alone[rank],
                        _ => share(ties.start, ties.end, n),
                    };
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Level;

    fn values() -> impl Strategy<Value = (Vec<f64>, usize)> {
        let step = f64::from_bits(1.0f64.to_bits() + 1);
        let value = prop_oneof![
            4 => any::<f64>(),
            4 => prop::sample::select(vec![
                0.0, -0.0, 1.0, step, f64::INFINITY, f64::NEG_INFINITY, f64::NAN,
            ]),
        ];
        (0usize..20, 1usize..40).prop_flat_map(move |(rows, width)| {
            (prop::collection::vec(value.clone(), rows * width), Just(width))
        })
    }

    proptest! {
        #[test]
        fn ranks_are_exact_on_every_level((x, width) in values()) {
            for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
                check(level, &x, width);
            }
        }
    }

    fn check(level: Level, x: &[f64], width: usize) {
        let mut out = vec![-7.0; x.len()];
        rank(Exec::new(2, level), x, width, &mut out);
        for (row, out) in x.chunks_exact(width).zip(out.chunks_exact(width)) {
            let mut sorted: Vec<f64> = row.iter().copied().filter(|v| !v.is_nan()).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            for (v, got) in row.iter().zip(out) {
                let below = sorted.partition_point(|w| w < v);
                let upto = sorted.partition_point(|w| w <= v);
                let want = 0.5 * (below + upto) as f64 / sorted.len() as f64;
                let agree = if v.is_nan() { got.is_nan() } else { *got == want };
                assert!(agree, "{level:?} {v}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn keys_that_tell_little_apart_change_no_rank() {
        let noise = |i: usize| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64;
        let tight = |i: usize| f64::from_bits((noise(i) as usize % 3) as u64 + 1f64.to_bits());
        let cases: [(usize, &dyn Fn(usize) -> f64); 7] = [
            (300, &|i| if i % 2 == 0 { tight(i) } else { 1e9 * tight(i) }), // two tight clusters
            (300, &|i| noise(i) * 1e300 * if i % 7 == 0 { f64::NAN } else { 1.0 }),
            (300, &|i| (noise(i) - 5e6) * f64::MIN_POSITIVE * 1e-12), // subnormal
            (64, &|i| if i % 64 == 9 { 1e200 } else { noise(i) }),
            (1, &noise),
            (NARROW, &|i| (noise(i) - 8e6).powi(3)),
            (NARROW + 1, &|i| noise(i).sin()),
        ];
        for (width, value) in cases {
            let rows = if width < 1000 { 53 } else { 3 };
            let x: Vec<f64> = (0..rows * width).map(value).collect();
            for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
                check(level, &x, width);
            }
        }
    }
}
