//! Quantiles of ensembles, and the place of the truth among the members.

use super::ensemble::{Ensemble, Fold, Group};
use crate::exec::{Exec, SharedOut};
use crate::order::{self, Lanes};
use crate::simd::{self, Kernel, LANES, Simd};

/// Quantiles `levels` of every point's members by linear interpolation, into `out[level][point]`;
/// NaN where a member is NaN.
///
/// # Panics
/// `out` does not have `levels.len()` values per point, or members have more than one value.
pub fn quantiles(ensemble: Ensemble, levels: &[f64], exec: Exec, out: &mut [f64]) {
    assert_eq!(ensemble.dims(), 1, "quantiles are of scalars");
    assert_eq!(out.len(), ensemble.points() * levels.len(), "one value per level and point");
    let out = SharedOut::new(out);
    exec.for_work(ensemble.points() * ensemble.members()).for_each_with(
        ensemble.groups(),
        || Lanes::new(ensemble.members()),
        |lanes, g| {
            let group = ensemble.group(g);
            let kernel = Quantiles { ensemble, levels, group, rows: lanes.values_mut(), out };
            simd::run(exec.level(), kernel);
        },
    );
}

struct Quantiles<'a> {
    ensemble: Ensemble<'a>,
    levels: &'a [f64],
    group: Group,
    rows: &'a mut [f64],
    out: SharedOut<'a>,
}

impl Kernel for Quantiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let members = self.ensemble.members();
        let mut copy = Copied::<S> { valid: S::from_bits(0xff), rows: self.rows };
        self.ensemble.fold::<S, _>(self.group, &mut copy);
        let valid = copy.valid;
        self.rows[members * LANES..].fill(f64::INFINITY);
        order::sort::<S>(self.rows);
        let count = S::select(valid, S::splat(members as f64), S::splat(0.0));
        for (i, level) in self.levels.iter().enumerate() {
            let value = order::quantile::<S>(self.rows, count, *level);
            let at = i * self.ensemble.points() + self.group.first;
            // SAFETY: groups are disjoint ranges of points, within every level.
            let to = unsafe { self.out.slice(at, self.group.lanes) };
            // SAFETY: `lanes` values are writable.
            unsafe { S::store_n(to.as_mut_ptr(), self.group.lanes, value) };
        }
    }
}

/// Stores members, and which lanes hold numbers only.
struct Copied<'a, S: Simd> {
    valid: S::M,
    rows: &'a mut [f64],
}

impl<S: Simd> Fold<S> for Copied<'_, S> {
    #[inline(always)]
    fn member(&mut self, m: usize, x: S::F) {
        self.valid = S::and(self.valid, S::valid(x));
        let row = &mut self.rows[m * LANES..(m + 1) * LANES];
        // SAFETY: the row has eight values.
        unsafe { S::store(row.as_mut_ptr(), x) };
    }
}

/// Share of members below the truth plus half the share equal to it; NaN where the truth or a
/// member is NaN.
///
/// # Panics
/// `truth` or `out` does not have one value per point, or members have more than one value.
pub fn pit(ensemble: Ensemble, truth: &[f64], exec: Exec, out: &mut [f64]) {
    assert_eq!(ensemble.dims(), 1, "the transform is of scalars");
    assert_eq!(truth.len(), ensemble.points(), "one truth per point");
    assert_eq!(out.len(), ensemble.points(), "one value per point");
    let out = SharedOut::new(out);
    exec.for_work(ensemble.points() * ensemble.members() / 4).for_each(ensemble.groups(), |g| {
        let group = ensemble.group(g);
        let shares = simd::run(exec.level(), Place { ensemble, truth, group });
        // SAFETY: groups are disjoint ranges of points.
        unsafe { out.slice(group.first, group.lanes) }.copy_from_slice(&shares[..group.lanes]);
    });
}

struct Place<'a> {
    ensemble: Ensemble<'a>,
    truth: &'a [f64],
    group: Group,
}

impl Kernel for Place<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; LANES] {
        let truth = self.group.load::<S>(self.truth);
        let mut count = Below::<S> { truth, valid: S::valid(truth), twice: S::splat(0.0) };
        self.ensemble.fold::<S, _>(self.group, &mut count);
        let share = S::div(count.twice, S::splat(2.0 * self.ensemble.members() as f64));
        S::to_array(S::select(count.valid, share, S::splat(f64::NAN)))
    }
}

/// Counts two for a member below the truth and one for a tie.
struct Below<S: Simd> {
    truth: S::F,
    valid: S::M,
    twice: S::F,
}

impl<S: Simd> Fold<S> for Below<S> {
    #[inline(always)]
    fn member(&mut self, _: usize, x: S::F) {
        let one = S::splat(1.0);
        let count = S::add(S::keep(S::lt(x, self.truth), one), S::keep(S::le(x, self.truth), one));
        self.twice = S::add(self.twice, count);
        self.valid = S::and(self.valid, S::valid(x));
    }
}
