//! Quantiles of ensembles, and the place of the truth among the members.

use super::ensemble::{Ensemble, Group, Statistic, row};
use crate::exec::{Exec, SharedOut};
use crate::order;
use crate::simd::Simd;

/// Quantiles `levels` of every point's members by linear interpolation, into `out[level][point]`;
/// NaN where a member is NaN.
///
/// # Panics
/// `out` does not have `levels.len()` values per point, or members have more than one value.
pub fn quantiles(ensemble: Ensemble, levels: &[f64], exec: Exec, out: &mut [f64]) {
    assert_eq!(out.len(), ensemble.points() * levels.len(), "one value per level and point");
    let exec = exec.for_work(ensemble.points() * ensemble.members());
    let points = ensemble.points();
    ensemble.for_each_group(exec, Quantiles { levels, points, out: SharedOut::new(out) });
}

#[derive(Clone, Copy)]
struct Quantiles<'a> {
    levels: &'a [f64],
    points: usize,
    out: SharedOut<'a>,
}

impl Statistic for Quantiles<'_> {
    #[inline(always)]
    fn of_group<S: Simd>(self, rows: &mut [f64], group: Group) {
        let mut valid = S::from_bits(0xff);
        for m in 0..group.members {
            valid = S::and(valid, S::valid(row::<S>(rows, m)));
        }
        order::sort::<S>(rows);
        let count = S::select(valid, S::splat(group.members as f64), S::splat(0.0));
        for (i, level) in self.levels.iter().enumerate() {
            let value = order::quantile::<S>(rows, count, *level);
            // SAFETY: groups are disjoint ranges of points, within every level.
            unsafe { group.store::<S>(self.out, i * self.points, value) };
        }
    }
}

/// Share of members below the truth plus half the share equal to it; NaN where the truth or a
/// member is NaN.
///
/// # Panics
/// `truth` or `out` does not have one value per point, or members have more than one value.
pub fn pit(ensemble: Ensemble, truth: &[f64], exec: Exec, out: &mut [f64]) {
    assert_eq!(truth.len(), ensemble.points(), "one truth per point");
    assert_eq!(out.len(), ensemble.points(), "one value per point");
    let exec = exec.for_work(ensemble.points() * ensemble.members() / 4);
    ensemble.for_each_group(exec, Place { truth, out: SharedOut::new(out) });
}

#[derive(Clone, Copy)]
struct Place<'a> {
    truth: &'a [f64],
    out: SharedOut<'a>,
}

impl Statistic for Place<'_> {
    #[inline(always)]
    fn of_group<S: Simd>(self, rows: &mut [f64], group: Group) {
        let (truth, one) = (group.load::<S>(self.truth), S::splat(1.0));
        let (mut below, mut not_above) = (S::splat(0.0), S::splat(0.0));
        let mut valid = S::valid(truth);
        for m in 0..group.members {
            let x = row::<S>(rows, m);
            below = S::add(below, S::keep(S::lt(x, truth), one));
            not_above = S::add(not_above, S::keep(S::le(x, truth), one));
            valid = S::and(valid, S::valid(x));
        }
        let twice = S::splat(2.0 * group.members as f64);
        let share = S::div(S::add(below, not_above), twice);
        let share = S::select(valid, share, S::splat(f64::NAN));
        // SAFETY: groups are disjoint ranges of points.
        unsafe { group.store::<S>(self.out, 0, share) };
    }
}
