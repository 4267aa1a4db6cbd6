//! Where the members of a point lie, and a walk over them eight points at a time.

use crate::simd::{LANES, Simd, prefetch};

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

    /// Number of groups of up to eight scalar points.
    pub(super) fn groups(&self) -> usize {
        debug_assert_eq!(self.dims, 1);
        if self.inner == 1 {
            self.outer.div_ceil(LANES)
        } else {
            self.outer * self.inner.div_ceil(LANES)
        }
    }

    /// Group `g` of scalar points.
    #[inline(always)]
    pub(super) fn group(&self, g: usize) -> Group {
        if self.inner == 1 {
            let first = g * LANES;
            return Group {
                first,
                lanes: LANES.min(self.outer - first),
                start: first * self.members,
            };
        }
        let per_row = self.inner.div_ceil(LANES);
        let (o, i) = (g / per_row, g % per_row * LANES);
        Group {
            first: o * self.inner + i,
            lanes: LANES.min(self.inner - i),
            start: o * self.members * self.inner + i,
        }
    }

    /// Hand every member of the group's points to `fold`, in order; idle lanes hold any value.
    #[inline(always)]
    pub(super) fn fold<S: Simd, V: Fold<S>>(&self, group: Group, fold: &mut V) {
        if self.inner == 1 {
            self.fold_contiguous::<S, V>(group, fold);
        } else if group.lanes == LANES {
            self.fold_strided::<S, V, false>(group, fold);
        } else {
            self.fold_strided::<S, V, true>(group, fold);
        }
    }

    /// Points side by side: one vector per member, the next group fetched ahead.
    #[inline(always)]
    fn fold_strided<S: Simd, V: Fold<S>, const PART: bool>(&self, group: Group, fold: &mut V) {
        for m in 0..self.members {
            let at = group.start + m * self.inner;
            assert!(at + group.lanes <= self.values.len());
            let p = self.values[at..].as_ptr();
            prefetch(p.wrapping_add(LANES));
            // SAFETY: `lanes` values are readable at `at`, all eight unless PART.
            let x = unsafe { if PART { S::load_n(p, group.lanes, 0.0) } else { S::load(p) } };
            fold.member(m, x);
        }
    }

    /// Members side by side: eight points' rows are transposed on the way in.
    #[inline(always)]
    fn fold_contiguous<S: Simd, V: Fold<S>>(&self, group: Group, fold: &mut V) {
        let rows: [&[f64]; LANES] = std::array::from_fn(|l| {
            let point = group.first + l.min(group.lanes - 1);
            &self.values[point * self.members..][..self.members]
        });
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
                fold.member(from + i, x);
            }
        }
    }
}

/// Up to eight neighbouring scalar points.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Index of the first point.
    pub first: usize,
    /// Points in the group.
    pub lanes: usize,
    start: usize,
}

impl Group {
    /// One value per point, from an array over points.
    #[inline(always)]
    pub fn load<S: Simd>(&self, of_points: &[f64]) -> S::F {
        let here = &of_points[self.first..self.first + self.lanes];
        // SAFETY: `lanes` values are readable.
        unsafe { S::load_n(here.as_ptr(), self.lanes, 0.0) }
    }
}

/// What happens with every member of eight points.
pub(super) trait Fold<S: Simd> {
    /// Take member `m` of every lane; mark the implementation `#[inline(always)]`.
    fn member(&mut self, m: usize, x: S::F);
}
