//! Energy score by direct differences in register tiles.

use super::ensemble::Ensemble;
use super::field::{Field, Order};
use crate::exec::{Exec, SharedOut};
use crate::simd::{self, Kernel, LANES, Simd};

/// What is scored besides members and truth.
#[derive(Clone, Copy, Default)]
pub struct Energy<'a> {
    /// Weight of every member, `[points, members]`, not negative; equal weights if absent.
    pub weights: Option<&'a [f64]>,
    /// Dimensions that a point leaves out, `[points, dims]`, true = left out.
    pub mask: Option<&'a [bool]>,
    /// Lower triangular `[dims, dims]` matrix applied to truth and members before scoring.
    pub transform: Option<&'a [f64]>,
    /// Mean distance over the pairs of distinct members instead of over all pairs.
    pub fair: bool,
}

/// `mean |x - y|` less half the mean pairwise distance, Euclidean, one score per point; NaN
/// where a value that counts is NaN, or where every dimension is left out.
///
/// Distances come from differences, never from inner products, so nothing cancels. Pairs are
/// visited once, in tiles of eight members by up to sixteen that live in registers; the scratch
/// of a thread is one point. `O(members^2 dims)` per point.
///
/// # Panics
/// A length does not fit the shape of `ensemble`.
pub fn energy_score(
    ensemble: Ensemble,
    truth: &[f64],
    options: Energy,
    exec: Exec,
    out: &mut [f64],
) {
    let (points, members, dims) = (ensemble.points(), ensemble.members(), ensemble.dims());
    assert_eq!(truth.len(), points * dims, "one truth per point");
    assert_eq!(out.len(), points, "one score per point");
    assert!(options.weights.is_none_or(|weights| weights.len() == points * members));
    assert!(options.mask.is_none_or(|mask| mask.len() == points * dims));
    let out = SharedOut::new(out);
    let nanoseconds = points * members * members * dims / 100;
    exec.for_work(nanoseconds).for_each_with(
        points,
        || Field::new(&ensemble, Order::MembersFirst),
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
    options: Energy<'a>,
    point: usize,
    field: &'a mut Field,
}

impl Kernel for Score<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        let Energy { weights, mask, transform, fair } = self.options;
        self.field.fill::<S>(&self.ensemble, self.truth, weights, mask, self.point);
        if let Some(matrix) = transform {
            self.field.transform::<S>(matrix);
        }
        let field = &*self.field;
        if field.dims() == 0 {
            return f64::NAN;
        }
        let (total, squares) = weight_sums(field);
        let pairs = if fair { total * total - squares } else { total * total };
        let spread = if S::VECTORS >= 32 {
            spread::<S, 8, 2>(field)
        } else if S::VECTORS >= 8 {
            spread::<S, 4, 1>(field)
        } else {
            spread::<S, 2, 1>(field)
        };
        errors::<S>(field) / total - spread / pairs
    }
}

/// Sum of the weights and of their squares.
#[inline(always)]
fn weight_sums(field: &Field) -> (f64, f64) {
    let weights = (0..field.blocks()).flat_map(|b| field.weights(b));
    weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w))
}

/// Weighted sum of the distances to the truth.
#[inline(always)]
fn errors<S: Simd>(field: &Field) -> f64 {
    let mut sum = S::splat(0.0);
    for b in 0..field.blocks() {
        let mut squared = S::splat(0.0);
        for (vector, y) in field.run(b).chunks_exact(LANES).zip(field.truth()) {
            // SAFETY: eight values are readable.
            let d = S::sub(unsafe { S::load(vector.as_ptr()) }, S::splat(*y));
            squared = S::fma(d, d, squared);
        }
        sum = S::fma(S::sqrt(squared), S::from_array(*field.weights(b)), sum);
    }
    S::sum(sum)
}

/// Weighted sum of the distances over pairs of distinct members, each pair once.
#[inline(always)]
fn spread<S: Simd, const ROWS: usize, const WIDE: usize>(field: &Field) -> f64 {
    /// Columns that stay in the second-level cache while all rows pass by.
    const CACHE: usize = 256 * 1024;
    let blocks = field.blocks();
    let columns = (CACHE / (field.dims() * LANES * size_of::<f64>())).max(WIDE);
    let mut sum = S::splat(0.0);
    for from in (0..blocks).step_by(columns) {
        let to = (from + columns).min(blocks);
        for u in 0..to {
            let mut of_rows = S::splat(0.0);
            for first in (0..LANES).step_by(ROWS) {
                let rows = Rows { block: field.run(u), weights: field.weights(u), first };
                let mut v = from.max(u + 1);
                while v + WIDE <= to {
                    of_rows = S::add(of_rows, rows.against::<S, ROWS, WIDE>(field, v));
                    v += WIDE;
                }
                while v < to {
                    of_rows = S::add(of_rows, rows.against::<S, ROWS, 1>(field, v));
                    v += 1;
                }
                if u >= from {
                    // A block against itself meets every pair twice and itself at distance 0.
                    let twice = rows.against::<S, ROWS, 1>(field, u);
                    of_rows = S::fma(twice, S::splat(0.5), of_rows);
                }
            }
            sum = S::add(sum, of_rows);
        }
    }
    S::sum(sum)
}

/// Members `first ..` of a block, the rows of a tile.
struct Rows<'a> {
    block: &'a [f64],
    weights: &'a [f64; LANES],
    first: usize,
}

impl Rows<'_> {
    /// Weighted distances of `ROWS` rows to the members of blocks `v .. v + WIDE`, summed by lane.
    #[inline(always)]
    fn against<S: Simd, const ROWS: usize, const WIDE: usize>(
        &self,
        field: &Field,
        v: usize,
    ) -> S::F {
        let dims = field.dims();
        let mut columns = [self.block.as_ptr(); WIDE];
        for (h, column) in columns.iter_mut().enumerate() {
            let block = field.run(v + h);
            assert!(block.len() == dims * LANES);
            *column = block.as_ptr();
        }
        assert!(self.block.len() == dims * LANES && self.first + ROWS <= LANES);
        let mut squared = [[S::splat(0.0); WIDE]; ROWS];
        for d in 0..dims {
            let mut x = [S::splat(0.0); WIDE];
            for (x, column) in x.iter_mut().zip(columns) {
                // SAFETY: a block has `dims` vectors of eight values.
                *x = unsafe { S::load(column.add(d * LANES)) };
            }
            for (r, squared) in squared.iter_mut().enumerate() {
                // SAFETY: as above, and `first + r < 8`.
                let y = S::splat(unsafe { *self.block.as_ptr().add(d * LANES + self.first + r) });
                for (sum, x) in squared.iter_mut().zip(x) {
                    let gap = S::sub(x, y);
                    *sum = S::fma(gap, gap, *sum);
                }
            }
        }
        let mut total = S::splat(0.0);
        for (r, squared) in squared.into_iter().enumerate() {
            let mut of_row = S::splat(0.0);
            for (h, squared) in squared.into_iter().enumerate() {
                let weights = S::from_array(*field.weights(v + h));
                of_row = S::fma(S::sqrt(squared), weights, of_row);
            }
            total = S::fma(of_row, S::splat(self.weights[self.first + r]), total);
        }
        total
    }
}
