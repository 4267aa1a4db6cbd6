//! Continuous ranked probability score by sorting, eight points at a time.

use super::ensemble::{Ensemble, Group, Statistic, row};
use crate::exec::{Exec, SharedOut};
use crate::order;
use crate::simd::{LANES, Simd};

/// `mean |x - y|` less half the mean pairwise distance, over all pairs or (`fair`) over the
/// pairs of distinct members; NaN where the truth or a member is NaN.
///
/// Members are taken relative to the truth, which loses nothing where they lie close to each
/// other and to it. The pairwise part is a sum of positive terms, `sum_{i < j} (z_j - z_i)
/// = sum_i (M - 1 - 2 i) (z_(M-1-i) - z_(i))` over the lower half of the sorted members, so
/// neither part cancels. `O(M log^2 M)` per point without a branch on the values.
///
/// # Panics
/// `truth` or `out` does not have one value per point, or members have more than one value.
pub fn crps(ensemble: Ensemble, truth: &[f64], fair: bool, exec: Exec, out: &mut [f64]) {
    assert_eq!(truth.len(), ensemble.points(), "one truth per point");
    assert_eq!(out.len(), ensemble.points(), "one score per point");
    let exec = exec.for_work(ensemble.points() * ensemble.members());
    ensemble.for_each_group(exec, Score { truth, fair, out: SharedOut::new(out) });
}

#[derive(Clone, Copy)]
struct Score<'a> {
    truth: &'a [f64],
    fair: bool,
    out: SharedOut<'a>,
}

impl Statistic for Score<'_> {
    #[inline(always)]
    fn of_group<S: Simd>(self, rows: &mut [f64], group: Group) {
        let members = group.members as f64;
        let total = errors::<S>(rows, group.members, group.load::<S>(self.truth));
        order::sort::<S>(rows);
        let pairs = if self.fair { members * (members - 1.0) } else { members * members };
        let spread = S::div(spread::<S>(rows, group.members), S::splat(pairs));
        let score = S::sub(S::div(total, S::splat(members)), spread);
        // SAFETY: groups are disjoint ranges of points.
        unsafe { group.store::<S>(self.out, 0, score) };
    }
}

/// Replace members by their distance to the truth, and sum its absolute value.
#[inline(always)]
fn errors<S: Simd>(rows: &mut [f64], members: usize, truth: S::F) -> S::F {
    let mut total = S::splat(0.0);
    for row in rows.chunks_exact_mut(LANES).take(members) {
        // SAFETY: the chunk has eight values.
        unsafe {
            let error = S::sub(S::load(row.as_ptr()), truth);
            total = S::add(total, S::abs(error));
            S::store(row.as_mut_ptr(), error);
        }
    }
    total
}

/// `sum_{i < j} (z_j - z_i)` of the first `members` sorted rows.
#[inline(always)]
fn spread<S: Simd>(rows: &[f64], members: usize) -> S::F {
    let gap = |i: usize| S::sub(row::<S>(rows, members - 1 - i), row::<S>(rows, i));
    let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
    let mut factor = S::splat(members as f64 - 1.0);
    let two = S::splat(2.0);
    let mut i = 0;
    while i + 1 < members / 2 {
        even = S::fma(gap(i), factor, even);
        factor = S::sub(factor, two);
        odd = S::fma(gap(i + 1), factor, odd);
        factor = S::sub(factor, two);
        i += 2;
    }
    if i < members / 2 {
        even = S::fma(gap(i), factor, even);
    }
    S::add(even, odd)
}
