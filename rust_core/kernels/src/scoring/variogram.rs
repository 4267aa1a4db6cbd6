//! Variogram score: how far apart dimensions are, in the ensemble and in truth.

use super::ensemble::Ensemble;
use super::field::{Field, Order};
use crate::exec::{Exec, SharedOut};
use crate::simd::{self, Kernel, LANES, Simd};

/// What is scored besides members and truth.
#[derive(Clone, Copy)]
pub struct Variogram<'a> {
    /// Power of the absolute difference, above 0.
    pub order: f64,
    /// Weight of every ordered pair of dimensions, `[dims, dims]` or `[points, dims, dims]`; 1
    /// if absent.
    pub pairs: Option<&'a [f64]>,
    /// Weight of every member, `[points, members]`, not negative; equal weights if absent.
    pub weights: Option<&'a [f64]>,
    /// Remove what the variance of the member mean adds.
    pub fair: bool,
}

/// `sum_{i, j} w_ij (mean_m |x_mi - x_mj|^p - |y_i - y_j|^p)^2`, one score per point; NaN where
/// a value is NaN.
///
/// `O(members dims^2)` per point.
///
/// # Panics
/// A length does not fit the shape of `ensemble`.
pub fn variogram_score(
    ensemble: Ensemble,
    truth: &[f64],
    options: Variogram,
    exec: Exec,
    out: &mut [f64],
) {
    let (points, members, dims) = (ensemble.points(), ensemble.members(), ensemble.dims());
    assert_eq!(truth.len(), points * dims, "one truth per point");
    assert_eq!(out.len(), points, "one score per point");
    assert!(options.weights.is_none_or(|weights| weights.len() == points * members));
    let of_all = dims * dims;
    assert!(options.pairs.is_none_or(|w| w.len() == of_all || w.len() == points * of_all));
    let out = SharedOut::new(out);
    exec.for_work(points * members * of_all / 8).for_each_with(
        points,
        || Field::new(&ensemble, Order::DimsFirst),
        |field, point| {
            let kernel = Score { ensemble, truth, options, point, field };
            let score = simd::run(exec.level(), kernel);
            // SAFETY: one entry per task.
            unsafe { *out.at(point) = score };
        },
    );
}

struct Score<'a> {
    ensemble: Ensemble<'a>,
    truth: &'a [f64],
    options: Variogram<'a>,
    point: usize,
    field: &'a mut Field,
}

impl Kernel for Score<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        let dims = self.ensemble.dims();
        self.field.fill::<S>(&self.ensemble, self.truth, self.options.weights, None, self.point);
        let pairs = self.options.pairs.map(|w| {
            let of_all = dims * dims;
            if w.len() == of_all { w } else { &w[self.point * of_all..(self.point + 1) * of_all] }
        });
        let sum = Sum { field: self.field, pairs, fair: self.options.fair };
        match self.options.order {
            0.5 => sum.over_pairs::<S, _>(Root),
            1.0 => sum.over_pairs::<S, _>(Distance),
            2.0 => sum.over_pairs::<S, _>(Square),
            p => sum.over_pairs::<S, _>(Power(p)),
        }
    }
}

struct Sum<'a> {
    field: &'a Field,
    pairs: Option<&'a [f64]>,
    fair: bool,
}

impl Sum<'_> {
    #[inline(always)]
    fn over_pairs<S: Simd, R: Raise>(&self, raise: R) -> f64 {
        let (field, dims) = (self.field, self.field.dims());
        let (mut total, mut squares) = (0.0, 0.0);
        for w in (0..field.blocks()).flat_map(|b| field.weights(b)) {
            total += w;
            squares += w * w;
        }
        // Share of the members' variance that the mean of the members still has.
        let excess = squares / (total * total - squares);
        let mut score = 0.0;
        for i in 0..dims {
            for j in i + 1..dims {
                let weight = self.pairs.map_or(2.0, |w| w[i * dims + j] + w[j * dims + i]);
                let truth = raise.lanes::<S>(S::splat(field.truth()[i] - field.truth()[j]));
                let (mean, mean_square) = self.moments::<S, R>(raise, i, j, truth, total);
                let mut term = mean * mean;
                if self.fair {
                    term -= excess * (mean_square - mean * mean);
                }
                score += weight * term;
            }
        }
        score
    }

    /// Mean and mean square of `|x_i - x_j|^p - truth` over the members.
    #[inline(always)]
    fn moments<S: Simd, R: Raise>(
        &self,
        raise: R,
        i: usize,
        j: usize,
        truth: S::F,
        total: f64,
    ) -> (f64, f64) {
        let (mut sum, mut squares) = (S::splat(0.0), S::splat(0.0));
        let (of_i, of_j) = (self.field.run(i), self.field.run(j));
        let vectors = of_i.chunks_exact(LANES).zip(of_j.chunks_exact(LANES));
        for (b, (a, c)) in vectors.enumerate() {
            // SAFETY: chunks of eight values.
            let gap = unsafe { S::sub(S::load(a.as_ptr()), S::load(c.as_ptr())) };
            let excess = S::sub(raise.lanes::<S>(gap), truth);
            let weighted = S::mul(excess, S::from_array(*self.field.weights(b)));
            sum = S::add(sum, weighted);
            squares = S::fma(weighted, excess, squares);
        }
        (S::sum(sum) / total, S::sum(squares) / total)
    }
}

/// `|gap|^p` of eight lanes.
trait Raise: Copy {
    fn lanes<S: Simd>(self, gap: S::F) -> S::F;
}

#[derive(Clone, Copy)]
struct Root;
impl Raise for Root {
    #[inline(always)]
    fn lanes<S: Simd>(self, gap: S::F) -> S::F {
        S::root(S::abs(gap))
    }
}

#[derive(Clone, Copy)]
struct Distance;
impl Raise for Distance {
    #[inline(always)]
    fn lanes<S: Simd>(self, gap: S::F) -> S::F {
        S::abs(gap)
    }
}

#[derive(Clone, Copy)]
struct Square;
impl Raise for Square {
    #[inline(always)]
    fn lanes<S: Simd>(self, gap: S::F) -> S::F {
        S::mul(gap, gap)
    }
}

#[derive(Clone, Copy)]
struct Power(f64);
impl Raise for Power {
    #[inline(always)]
    fn lanes<S: Simd>(self, gap: S::F) -> S::F {
        S::from_array(S::to_array(gap).map(|x| x.abs().powf(self.0)))
    }
}
