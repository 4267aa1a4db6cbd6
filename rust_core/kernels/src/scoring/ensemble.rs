//! Where the members of a point lie, and a walk over them eight points at a time.

use crate::exec::{Exec, SharedOut};
use crate::order::{self, Lanes};
use crate::simd::{self, Kernel, LANES, Simd, prefetch};

/// Members of `outer * inner` points, each of `dims` values.
///
/// Value `d` of member `m` of point `o * inner + i` is
/// `values[((o * members + m) * inner + i) * dims + d]`: the member axis may
/// stand first, last, or anywhere between, and nothing is transposed.
#[derive(Clone, Copy)]
pub struct Ensemble<'a> {
    values: &'a [f64],
    outer: usize,
    members: usize,
    inner: usize,
    dims: usize,
}

impl<'a> Ensemble<'a> {
    /// A view of `values` with the shape `[outer, members, inner, dims]`.
    ///
    /// # Panics
    /// The length is not the product of the shape, or there is no member.
    pub fn new(values: &'a [f64], shape: [usize; 4]) -> Ensemble<'a> {
        let [outer, members, inner, dims] = shape;
        assert_eq!(values.len(), outer * members * inner * dims, "length and shape differ");
        assert!(members > 0, "an ensemble has at least one member");
        Ensemble { values, outer, members, inner, dims }
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.outer * self.inner
    }

    /// Members of every point.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Values of every member.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// The values of member `m` of `point`.
    #[inline(always)]
    pub(super) fn member(&self, point: usize, m: usize) -> &'a [f64] {
        let (o, i) = (point / self.inner, point % self.inner);
        let from = ((o * self.members + m) * self.inner + i) * self.dims;
        &self.values[from..from + self.dims]
    }

    /// Run `statistic` on every group of up to eight scalar points.
    pub(super) fn for_each_group<T: Statistic>(&self, exec: Exec, statistic: T) {
        assert_eq!(self.dims, 1, "members are scalars");
        let staging = Staging::new(self);
        exec.for_each_with(
            staging.batches,
            || Lanes::new(staging.wide * staging.rows),
            |lanes, batch| {
                let lanes = lanes.values_mut();
                simd::run(exec.level(), Batch { ensemble: *self, staging, batch, lanes, statistic })
            },
        );
    }
}

/// Up to eight neighbouring scalar points.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Index of the first point.
    pub first: usize,
    /// Points in the group.
    pub lanes: usize,
    /// Members of each.
    pub members: usize,
}

impl Group {
    /// One value per point, from an array over points; idle lanes hold 0.
    #[inline(always)]
    pub fn load<S: Simd>(&self, of_points: &[f64]) -> S::F {
        let here = &of_points[self.first..self.first + self.lanes];
        // SAFETY: `lanes` values are readable.
        unsafe { S::load_n(here.as_ptr(), self.lanes, 0.0) }
    }

    /// Write one value per point, `offset` entries further on.
    ///
    /// # Safety
    /// No other thread touches the group's entries of `out`.
    #[inline(always)]
    pub unsafe fn store<S: Simd>(&self, out: SharedOut, offset: usize, x: S::F) {
        // SAFETY: the caller's promise; bounds are checked.
        let to = unsafe { out.slice(offset + self.first, self.lanes) };
        // SAFETY: `lanes` values are writable.
        unsafe { S::store_n(to.as_mut_ptr(), self.lanes, x) }
    }
}

/// What is computed of the members of eight points.
pub(super) trait Statistic: Copy + Sync {
    /// `rows` holds the members, a lane per point, then `+inf` up to a multiple of
    /// [`order::BLOCK`] rows; idle lanes hold numbers. Mark the implementation
    /// `#[inline(always)]`.
    fn of_group<S: Simd>(self, rows: &mut [f64], group: Group);
}

/// How groups are brought into scratch: side by side points several groups at once, so that
/// every visit to a distant row takes whole runs of cache lines.
#[derive(Clone, Copy)]
struct Staging {
    rows: usize,
    wide: usize,
    batches: usize,
}

impl Staging {
    fn new(ensemble: &Ensemble) -> Staging {
        const SCRATCH: usize = 256 * 1024;
        let rows = ensemble.members.next_multiple_of(order::BLOCK);
        let fit = (SCRATCH / (rows * LANES * size_of::<f64>())).clamp(1, 8);
        if ensemble.inner == 1 {
            return Staging { rows, wide: 1, batches: ensemble.outer.div_ceil(LANES) };
        }
        let wide = fit.min(ensemble.inner.div_ceil(LANES)).max(1);
        let batches = ensemble.outer * ensemble.inner.div_ceil(wide * LANES);
        Staging { rows, wide, batches }
    }
}

struct Batch<'a, T> {
    ensemble: Ensemble<'a>,
    staging: Staging,
    batch: usize,
    lanes: &'a mut [f64],
    statistic: T,
}

impl<T: Statistic> Kernel for Batch<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Ensemble { outer, members, inner, .. } = self.ensemble;
        let points;
        let first;
        if inner == 1 {
            first = self.batch * LANES;
            points = LANES.min(outer - first);
            self.ensemble.stage_contiguous::<S>(first, points, self.lanes);
        } else {
            let across = self.staging.wide * LANES;
            let per_row = inner.div_ceil(across);
            let (o, i) = (self.batch / per_row, self.batch % per_row * across);
            first = o * inner + i;
            points = across.min(inner - i);
            let start = o * members * inner + i;
            self.ensemble.stage_strided::<S>(start, points, self.staging.rows, self.lanes);
        }
        for (h, rows) in self.lanes.chunks_exact_mut(self.staging.rows * LANES).enumerate() {
            if h * LANES < points {
                rows[members * LANES..].fill(f64::INFINITY);
                let lanes = LANES.min(points - h * LANES);
                let group = Group { first: first + h * LANES, lanes, members };
                self.statistic.of_group::<S>(rows, group);
            }
        }
    }
}

impl Ensemble<'_> {
    /// Points side by side: member after member, a run of points each, `rows` rows per group.
    #[inline(always)]
    fn stage_strided<S: Simd>(&self, start: usize, points: usize, rows: usize, to: &mut [f64]) {
        const AHEAD: usize = 8;
        assert!(points.div_ceil(LANES) * rows * LANES <= to.len() && self.members <= rows);
        let (whole, rest) = (points / LANES, points % LANES);
        for m in 0..self.members {
            let from = self.values[start + m * self.inner..][..points].as_ptr();
            for h in 0..whole {
                prefetch(from.wrapping_add(AHEAD * self.inner + h * LANES));
                // SAFETY: `8 h + 8 <= points` values are readable, and row `h rows + m` exists.
                unsafe {
                    let x = S::load(from.add(h * LANES));
                    S::store(to.as_mut_ptr().add((h * rows + m) * LANES), x);
                }
            }
            if rest > 0 {
                // SAFETY: as above, for the `rest` values that are left.
                unsafe {
                    let x = S::load_n(from.add(whole * LANES), rest, 0.0);
                    S::store(to.as_mut_ptr().add((whole * rows + m) * LANES), x);
                }
            }
        }
    }

    /// Members side by side: eight points' rows are transposed on the way in.
    #[inline(always)]
    fn stage_contiguous<S: Simd>(&self, first: usize, points: usize, to: &mut [f64]) {
        let rows: [&[f64]; LANES] = std::array::from_fn(|l| {
            let point = first + l.min(points - 1);
            &self.values[point * self.members..][..self.members]
        });
        assert!(self.members * LANES <= to.len());
        for from in (0..self.members).step_by(LANES) {
            let n = LANES.min(self.members - from);
            let mut block = [S::splat(0.0); LANES];
            for (x, row) in block.iter_mut().zip(rows) {
                let p = row[from..].as_ptr();
                prefetch(p.wrapping_add(LANES * self.members));
                // SAFETY: `n` values are left in the row from `from` on.
                *x = unsafe { if n == LANES { S::load(p) } else { S::load_n(p, n, 0.0) } };
            }
            for (i, x) in S::transpose(block).into_iter().enumerate().take(n) {
                // SAFETY: row `from + i < members` exists.
                unsafe { S::store(to.as_mut_ptr().add((from + i) * LANES), x) };
            }
        }
    }
}

/// Row `m` of a group.
#[inline(always)]
pub(super) fn row<S: Simd>(rows: &[f64], m: usize) -> S::F {
    let row = &rows[m * LANES..(m + 1) * LANES];
    // SAFETY: the row has eight values.
    unsafe { S::load(row.as_ptr()) }
}
