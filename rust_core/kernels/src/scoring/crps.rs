//! Continuous ranked probability score by sorting, eight points at a time.

use super::ensemble::{Ensemble, Fold, Group};
use crate::exec::{Exec, SharedOut};
use crate::order::{self, Lanes};
use crate::simd::{self, Kernel, LANES, Simd};

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
    assert_eq!(ensemble.dims(), 1, "the score is of scalars");
    assert_eq!(truth.len(), ensemble.points(), "one truth per point");
    assert_eq!(out.len(), ensemble.points(), "one score per point");
    let out = SharedOut::new(out);
    exec.for_work(ensemble.points() * ensemble.members()).for_each_with(
        ensemble.groups(),
        || Lanes::new(ensemble.members()),
        |lanes, g| {
            let group = ensemble.group(g);
            let kernel = Score { ensemble, truth, fair, group, rows: lanes.values_mut() };
            let scores = simd::run(exec.level(), kernel);
            // SAFETY: groups are disjoint ranges of points.
            unsafe { out.slice(group.first, group.lanes) }.copy_from_slice(&scores[..group.lanes]);
        },
    );
}

struct Score<'a> {
    ensemble: Ensemble<'a>,
    truth: &'a [f64],
    fair: bool,
    group: Group,
    rows: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; LANES] {
        let members = self.ensemble.members();
        let mut errors = Errors::<S> {
            truth: self.group.load::<S>(self.truth),
            total: S::splat(0.0),
            rows: self.rows,
        };
        self.ensemble.fold::<S, _>(self.group, &mut errors);
        let total = errors.total;
        self.rows[members * LANES..].fill(f64::INFINITY);
        order::sort::<S>(self.rows);
        let m = members as f64;
        let pairs = if self.fair { m * (m - 1.0) } else { m * m };
        let spread = S::div(spread::<S>(self.rows, members), S::splat(pairs));
        S::to_array(S::sub(S::div(total, S::splat(m)), spread))
    }
}

/// Stores `x - y` and sums its absolute value.
struct Errors<'a, S: Simd> {
    truth: S::F,
    total: S::F,
    rows: &'a mut [f64],
}

impl<S: Simd> Fold<S> for Errors<'_, S> {
    #[inline(always)]
    fn member(&mut self, m: usize, x: S::F) {
        let error = S::sub(x, self.truth);
        self.total = S::add(self.total, S::abs(error));
        let row = &mut self.rows[m * LANES..(m + 1) * LANES];
        // SAFETY: the row has eight values.
        unsafe { S::store(row.as_mut_ptr(), error) };
    }
}

/// `sum_{i < j} (z_j - z_i)` of the first `members` sorted rows.
#[inline(always)]
fn spread<S: Simd>(rows: &[f64], members: usize) -> S::F {
    let row = |i: usize| -> S::F {
        let row = &rows[i * LANES..(i + 1) * LANES];
        // SAFETY: the row has eight values.
        unsafe { S::load(row.as_ptr()) }
    };
    let mut sums = [S::splat(0.0); 2];
    for i in 0..members / 2 {
        let gap = S::sub(row(members - 1 - i), row(i));
        sums[i % 2] = S::fma(gap, S::splat((members - 1 - 2 * i) as f64), sums[i % 2]);
    }
    S::add(sums[0], sums[1])
}
