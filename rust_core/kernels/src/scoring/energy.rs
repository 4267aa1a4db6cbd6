//! Energy score in register tiles, by inner products where they are accurate.

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
/// Pairs are visited once, in tiles of eight members by up to 24 that live in registers; the
/// scratch of a thread is one point. `O(members^2 dims)` per point.
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
        if self.field.dims() == 0 {
            return f64::NAN;
        }
        self.field.centre::<S>();
        let field = &*self.field;
        let (total, squares) = weight_sums(field);
        let pairs = if fair { total * total - squares } else { total * total };
        let spread = if S::VECTORS >= 32 {
            spread::<S, 8, 3>(field)
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
        sum = S::fma(S::root(squared), S::from_array(*field.weights(b)), sum);
    }
    S::sum(sum)
}

/// Weighted sum of the distances over pairs of distinct members, each pair once.
///
/// `WIDE` blocks of columns stay in the first-level cache while all rows before them pass by.
#[inline(always)]
fn spread<S: Simd, const ROWS: usize, const WIDE: usize>(field: &Field) -> f64 {
    let blocks = field.blocks();
    let mut products = Products::new(field.dims());
    let mut sum = S::splat(0.0);
    let mut v = 0;
    while v < blocks {
        // The columns left over by whole groups come first, where few rows lie before them.
        let wide = if v < blocks % WIDE { 1 } else { WIDE };
        let mut of_columns = S::splat(0.0);
        for u in 0..v + wide {
            for first in (0..LANES).step_by(ROWS) {
                let rows = Rows { field, u, first };
                let part = if u < v && wide == WIDE {
                    products.or_differences::<S, ROWS, WIDE, false>(rows, v)
                } else {
                    within::<S, ROWS>(&mut products, rows, v, v + wide)
                };
                of_columns = S::add(of_columns, part);
            }
        }
        sum = S::add(sum, of_columns);
        v += wide;
    }
    S::sum(sum)
}

/// One block of columns at a time: those of `from..to` that do not lie before the rows.
#[inline(always)]
fn within<S: Simd, const ROWS: usize>(
    products: &mut Products,
    rows: Rows,
    from: usize,
    to: usize,
) -> S::F {
    let mut sum = S::splat(0.0);
    for v in from.max(rows.u)..to {
        if v == rows.u {
            // A block against itself meets every pair twice.
            let twice = products.or_differences::<S, ROWS, 1, true>(rows, v);
            sum = S::fma(twice, S::splat(0.5), sum);
        } else {
            sum = S::add(sum, products.or_differences::<S, ROWS, 1, false>(rows, v));
        }
    }
    sum
}

/// Whether tiles are tried by inner products first.
///
/// `|x|^2 + |y|^2 - 2 x y` costs half the arithmetic of `|x - y|^2`, and about the mean of the
/// members it loses nothing for points that are as far from each other as from the mean. A tile
/// with a closer pair is done again by differences; where that happens often (few dimensions,
/// one strong factor), differences are used at once.
struct Products {
    tiles: usize,
    failed: usize,
}

impl Products {
    fn new(dims: usize) -> Products {
        const TOO_FEW: usize = 6;
        Products { tiles: 0, failed: if dims < TOO_FEW { usize::MAX / 8 } else { 0 } }
    }

    /// Weighted distances of a tile, summed by lane.
    #[inline(always)]
    fn or_differences<S: Simd, const ROWS: usize, const WIDE: usize, const SELF: bool>(
        &mut self,
        rows: Rows,
        v: usize,
    ) -> S::F {
        self.tiles += 1;
        if 4 * self.failed <= self.tiles + 16 {
            let (halves, accurate) = rows.by_products::<S, ROWS, WIDE, SELF>(v);
            if accurate {
                return rows.total::<S, ROWS, WIDE>(v, halves);
            }
            self.failed += 1;
        }
        rows.total::<S, ROWS, WIDE>(v, rows.by_differences::<S, ROWS, WIDE>(v))
    }
}

/// Members `first ..` of block `u`, the rows of a tile; the columns are blocks `v ..`.
#[derive(Clone, Copy)]
struct Rows<'a> {
    field: &'a Field,
    u: usize,
    first: usize,
}

impl Rows<'_> {
    /// Add `A::step(sum, x, y)` over the dimensions, `x` of the columns and `y` of a row.
    #[inline(always)]
    fn accumulate<S: Simd, A: Accumulate, const ROWS: usize, const WIDE: usize>(
        &self,
        v: usize,
        mut sums: [[S::F; WIDE]; ROWS],
    ) -> [[S::F; WIDE]; ROWS] {
        let (field, dims) = (self.field, self.field.dims());
        let block = field.run(self.u);
        assert!(block.len() == dims * LANES && self.first + ROWS <= LANES);
        let mut columns = [block.as_ptr(); WIDE];
        for (h, column) in columns.iter_mut().enumerate() {
            let block = field.run(v + h);
            assert!(block.len() == dims * LANES);
            *column = block.as_ptr();
        }
        let row = block[self.first..].as_ptr();
        for d in 0..dims {
            let mut x = [S::splat(0.0); WIDE];
            for (x, column) in x.iter_mut().zip(columns) {
                // SAFETY: a block has `dims` vectors of eight values.
                *x = unsafe { S::load(column.add(d * LANES)) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: as above, and `first + r < 8`.
                let y = S::splat(unsafe { *row.add(d * LANES + r) });
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = A::step::<S>(*sum, x, y);
                }
            }
        }
        sums
    }

    /// Half the squared distances, by differences.
    #[inline(always)]
    fn by_differences<S: Simd, const ROWS: usize, const WIDE: usize>(
        &self,
        v: usize,
    ) -> [[S::F; WIDE]; ROWS] {
        let zeros = [[S::splat(0.0); WIDE]; ROWS];
        let mut sums = self.accumulate::<S, SquaredDifference, ROWS, WIDE>(v, zeros);
        for sum in sums.as_flattened_mut() {
            *sum = S::mul(*sum, S::splat(0.5));
        }
        sums
    }

    /// Half the squared distances, by inner products, and whether all of them are accurate.
    #[inline(always)]
    fn by_products<S: Simd, const ROWS: usize, const WIDE: usize, const SELF: bool>(
        &self,
        v: usize,
    ) -> ([[S::F; WIDE]; ROWS], bool) {
        /// Share of the squared norms that a squared distance may fall to.
        const CLOSE: f64 = 1.0 / 4096.0;
        let field = self.field;
        let mut sums = [[S::splat(0.0); WIDE]; ROWS];
        let mut limits = [S::splat(0.0); WIDE];
        for (h, limit) in limits.iter_mut().enumerate() {
            *limit = S::splat(CLOSE * (field.peak(self.u) + field.peak(v + h)));
            let columns = S::from_array(*field.half_norms(v + h));
            for (r, sums) in sums.iter_mut().enumerate() {
                let row = S::splat(field.half_norms(self.u)[self.first + r]);
                sums[h] = S::add(row, columns);
            }
        }
        let mut halves = self.accumulate::<S, Product, ROWS, WIDE>(v, sums);
        let mut close = S::from_bits(0);
        for (r, halves) in halves.iter_mut().enumerate() {
            for (half, limit) in halves.iter_mut().zip(limits) {
                let mut is_close = S::le(*half, limit);
                if SELF {
                    let other = S::from_bits(!(1 << (self.first + r)));
                    is_close = S::and(is_close, other);
                    *half = S::keep(other, *half);
                }
                close = S::or(close, is_close);
            }
        }
        (halves, !S::any(close))
    }

    /// Weighted distances from half their squares, summed by lane.
    ///
    /// Every third root is the divider's, which is idle otherwise; arithmetic takes the others.
    #[inline(always)]
    fn total<S: Simd, const ROWS: usize, const WIDE: usize>(
        &self,
        v: usize,
        halves: [[S::F; WIDE]; ROWS],
    ) -> S::F {
        let weights = self.field.weights(self.u);
        let mut total = S::splat(0.0);
        for (r, halves) in halves.into_iter().enumerate() {
            let mut of_row = S::splat(0.0);
            for (h, half) in halves.into_iter().enumerate() {
                let of_columns = S::from_array(*self.field.weights(v + h));
                let squared = S::add(half, half);
                let on_divider = (r * WIDE + h).is_multiple_of(3);
                let root = if on_divider { S::sqrt(squared) } else { S::root(squared) };
                of_row = S::fma(root, of_columns, of_row);
            }
            total = S::fma(of_row, S::splat(weights[self.first + r]), total);
        }
        total
    }
}

/// One step of a sum over dimensions.
trait Accumulate {
    fn step<S: Simd>(sum: S::F, x: S::F, y: S::F) -> S::F;
}

struct SquaredDifference;
impl Accumulate for SquaredDifference {
    #[inline(always)]
    fn step<S: Simd>(sum: S::F, x: S::F, y: S::F) -> S::F {
        let gap = S::sub(x, y);
        S::fma(gap, gap, sum)
    }
}

struct Product;
impl Accumulate for Product {
    #[inline(always)]
    fn step<S: Simd>(sum: S::F, x: S::F, y: S::F) -> S::F {
        S::fnma(x, y, sum)
    }
}
