//! One multivariate point, laid out for vectors over members: the scratch of a thread.

use super::ensemble::Ensemble;
use crate::order::Lanes;
use crate::simd::{LANES, Simd, prefetch};

/// How the vectors of a [`Field`] follow each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// All dimensions of eight members together.
    MembersFirst,
    /// All members of a dimension together.
    DimsFirst,
}

/// Members of one point: `vector(d, b)` holds dimension `d` of members `8 b .. 8 b + 8`.
///
/// Dimensions that the mask leaves out are not stored. Places beyond the last member repeat
/// it, with weight 0.
pub(super) struct Field {
    order: Order,
    values: Lanes,
    weights: Lanes,
    means: Vec<[f64; LANES]>,
    halves: Lanes,
    peaks: Vec<f64>,
    truth: Vec<f64>,
    dims: Vec<usize>,
    blocks: usize,
}

impl Field {
    /// Room for any point of `ensemble`.
    pub fn new(ensemble: &Ensemble, order: Order) -> Field {
        let blocks = ensemble.members().div_ceil(LANES);
        Field {
            order,
            values: Lanes::new(blocks * ensemble.dims()),
            weights: Lanes::new(blocks),
            means: vec![[0.0; LANES]; ensemble.dims()],
            halves: Lanes::new(blocks),
            peaks: vec![0.0; blocks],
            truth: vec![0.0; ensemble.dims()],
            dims: (0..ensemble.dims()).collect(),
            blocks,
        }
    }

    /// Dimensions stored.
    #[inline(always)]
    pub fn dims(&self) -> usize {
        self.dims.len()
    }

    /// Blocks of eight members.
    #[inline(always)]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The truth in the dimensions stored.
    #[inline(always)]
    pub fn truth(&self) -> &[f64] {
        &self.truth[..self.dims.len()]
    }

    /// The weights of block `b`, not normalised; 0 beyond the last member.
    #[inline(always)]
    pub fn weights(&self, b: usize) -> &[f64; LANES] {
        let from = b * LANES;
        self.weights.values()[from..from + LANES].try_into().expect("eight values")
    }

    /// Half the squared norms of the members of block `b`, after [`Field::centre`].
    #[inline(always)]
    pub fn half_norms(&self, b: usize) -> &[f64; LANES] {
        let from = b * LANES;
        self.halves.values()[from..from + LANES].try_into().expect("eight values")
    }

    /// The largest of [`Field::half_norms`].
    #[inline(always)]
    pub fn peak(&self, b: usize) -> f64 {
        self.peaks[b]
    }

    #[inline(always)]
    fn row(&self, d: usize, b: usize) -> usize {
        match self.order {
            Order::MembersFirst => b * self.dims.len() + d,
            Order::DimsFirst => d * self.blocks + b,
        }
    }

    /// The vectors of block `b`, one per dimension ([`Order::MembersFirst`]), or those of
    /// dimension `b`, one per block ([`Order::DimsFirst`]).
    #[inline(always)]
    pub fn run(&self, b: usize) -> &[f64] {
        let rows = match self.order {
            Order::MembersFirst => self.dims.len(),
            Order::DimsFirst => self.blocks,
        };
        &self.values.values()[b * rows * LANES..(b + 1) * rows * LANES]
    }

    /// Lay out `point`.
    #[inline(always)]
    pub fn fill<S: Simd>(
        &mut self,
        ensemble: &Ensemble,
        truth: &[f64],
        weights: Option<&[f64]>,
        mask: Option<&[bool]>,
        point: usize,
    ) {
        let (members, dims) = (ensemble.members(), ensemble.dims());
        if let Some(mask) = mask {
            let mask = &mask[point * dims..(point + 1) * dims];
            self.dims.clear();
            self.dims.extend((0..dims).filter(|d| !mask[*d]));
        }
        let of_members = weights.map(|weights| &weights[point * members..(point + 1) * members]);
        let room = self.weights.values_mut();
        for (m, weight) in room.iter_mut().enumerate() {
            let given = of_members.map_or(1.0, |weights| weights[m.min(members - 1)]);
            *weight = if m < members { given } else { 0.0 };
        }
        let truth = &truth[point * dims..(point + 1) * dims];
        for (to, d) in self.truth.iter_mut().zip(&self.dims) {
            *to = truth[*d];
        }
        if self.dims.is_empty() {
            return;
        }
        let of_block = |b: usize| -> [&[f64]; LANES] {
            std::array::from_fn(|l| ensemble.member(point, (b * LANES + l).min(members - 1)))
        };
        let mut next = of_block(0);
        for b in 0..self.blocks {
            let rows = next;
            next = of_block(b + 1);
            if self.dims.len() == dims {
                self.fill_all::<S>(b, rows, next);
            } else {
                self.fill_kept(b, rows);
            }
        }
    }

    /// All dimensions of eight members, while those of the next eight are on their way.
    #[inline(always)]
    fn fill_all<S: Simd>(&mut self, b: usize, rows: [&[f64]; LANES], next: [&[f64]; LANES]) {
        let dims = self.dims.len();
        assert!(rows.iter().all(|row| row.len() == dims));
        let step = self.row(1, b) - self.row(0, b);
        let first = self.row(0, b) * LANES;
        let to = &mut self.values.values_mut()[first..];
        assert!(to.len() >= (step * (dims - 1) + 1) * LANES);
        for from in (0..dims).step_by(LANES) {
            let n = LANES.min(dims - from);
            let mut block = [S::splat(0.0); LANES];
            for (x, (row, next)) in block.iter_mut().zip(rows.iter().zip(next)) {
                prefetch(next.as_ptr().wrapping_add(from));
                // SAFETY: `n` values are left in the row from `from` on.
                *x = unsafe {
                    let p = row.as_ptr().add(from);
                    if n == LANES { S::load(p) } else { S::load_n(p, n, 0.0) }
                };
            }
            for (i, x) in S::transpose(block).into_iter().enumerate().take(n) {
                // SAFETY: dimension `from + i < dims` has a vector in `to`.
                unsafe { S::store(to.as_mut_ptr().add((from + i) * step * LANES), x) };
            }
        }
    }

    #[inline(always)]
    fn fill_kept(&mut self, b: usize, rows: [&[f64]; LANES]) {
        for k in 0..self.dims.len() {
            let (d, at) = (self.dims[k], self.row(k, b) * LANES);
            for (to, row) in self.values.values_mut()[at..at + LANES].iter_mut().zip(rows) {
                *to = row[d];
            }
        }
    }

    /// Replace every vector `x` over dimensions (truth and members) by `matrix x`, in place;
    /// `matrix [dims, dims]` is lower triangular and its upper part is not read.
    #[inline(always)]
    pub fn transform<S: Simd>(&mut self, matrix: &[f64]) {
        let dims = self.dims.len();
        assert_eq!(matrix.len(), dims * dims, "the transform has one row per dimension");
        assert!(self.order == Order::MembersFirst);
        // Row k needs the old values up to k only: the last row goes first.
        for k in (0..dims).rev() {
            let row = &matrix[k * dims..=k * dims + k];
            self.truth[k] = row.iter().zip(&self.truth).map(|(m, x)| m * x).sum();
        }
        for b in 0..self.blocks {
            let block = &mut self.values.values_mut()[b * dims * LANES..(b + 1) * dims * LANES];
            let mut k = dims;
            while k >= 4 {
                k -= 4;
                transform_rows::<S, 4>(block, matrix, k, dims);
            }
            while k > 0 {
                k -= 1;
                transform_rows::<S, 1>(block, matrix, k, dims);
            }
        }
    }
}

impl Field {
    /// Move the origin to the mean of the members and take half their squared norms.
    #[inline(always)]
    pub fn centre<S: Simd>(&mut self) {
        assert!(self.order == Order::MembersFirst);
        let dims = self.dims.len();
        let means = &mut self.means[..dims];
        means.fill([0.0; LANES]);
        let values = self.values.values_mut();
        for block in values.chunks_exact_mut(dims * LANES).take(self.blocks) {
            for (mean, x) in means.iter_mut().zip(block.chunks_exact(LANES)) {
                // SAFETY: chunks of eight values.
                let sum = unsafe { S::add(S::from_array(*mean), S::load(x.as_ptr())) };
                *mean = S::to_array(sum);
            }
        }
        let share = 1.0 / (self.blocks * LANES) as f64;
        for (mean, y) in means.iter_mut().zip(&mut self.truth) {
            let centre = S::sum(S::from_array(*mean)) * share;
            *mean = [centre; LANES];
            *y -= centre;
        }
        for (b, block) in values.chunks_exact_mut(dims * LANES).take(self.blocks).enumerate() {
            let mut norm = S::splat(0.0);
            for (mean, x) in means.iter().zip(block.chunks_exact_mut(LANES)) {
                // SAFETY: chunks of eight values.
                unsafe {
                    let moved = S::sub(S::load(x.as_ptr()), S::from_array(*mean));
                    S::store(x.as_mut_ptr(), moved);
                    norm = S::fma(moved, moved, norm);
                }
            }
            let half = S::to_array(S::mul(norm, S::splat(0.5)));
            self.halves.values_mut()[b * LANES..(b + 1) * LANES].copy_from_slice(&half);
            self.peaks[b] = half.into_iter().fold(0.0, f64::max);
        }
    }
}

/// Rows `k .. k + R` of `matrix` times the block, stored in their place.
#[inline(always)]
fn transform_rows<S: Simd, const R: usize>(
    block: &mut [f64],
    matrix: &[f64],
    k: usize,
    dims: usize,
) {
    let mut sums = [S::splat(0.0); R];
    for d in 0..k + R {
        let vector = &block[d * LANES..(d + 1) * LANES];
        // SAFETY: eight values are readable.
        let x = unsafe { S::load(vector.as_ptr()) };
        for (r, sum) in sums.iter_mut().enumerate() {
            if d <= k + r {
                *sum = S::fma(S::splat(matrix[(k + r) * dims + d]), x, *sum);
            }
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let to = &mut block[(k + r) * LANES..(k + r + 1) * LANES];
        // SAFETY: eight values are writable.
        unsafe { S::store(to.as_mut_ptr(), sum) };
    }
}
