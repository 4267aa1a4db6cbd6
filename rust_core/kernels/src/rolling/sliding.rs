//! Two-stack (van Herk) sliding aggregates.
//!
//! Rows are cut into blocks of one window length. Every window is a suffix of
//! the previous block plus a prefix of the current one, so a value that has
//! left the window was never subtracted: it leaves no trace.
//!
//! Moments are taken about an anchor that is an element of the window: the
//! first value of the current block, or, before there is one, the last value
//! of the previous block. Then `sum (x - anchor)^2 <= n * sum (x - mean)^2`,
//! which bounds cancellation whatever the data, and no row ever depends on a
//! later one. When a lane meets its first value below the block's first row,
//! its anchor changes and the suffixes are built again.

use crate::Exec;
use crate::simd::{self, Kernel, Simd};

use super::Window;
use super::source::Source;
use super::tiles::{Lanes, Sink, Tile, Tiles};

/// Mergeable statistics of eight columns.
pub trait Accumulator: Copy + Sync {
    /// Are values taken relative to the anchor?
    const ANCHORED: bool;
    /// What is kept besides the count.
    type State<S: Simd>: Copy;
    /// What follows from the count alone; worked out again only where the count changes.
    type Factors<S: Simd>: Copy;
    /// Of no values.
    fn empty<S: Simd>(self) -> Self::State<S>;
    /// Add one row; where `ok` is not set, `v` is NaN.
    fn push<S: Simd>(self, state: Self::State<S>, ok: S::M, v: S::F) -> Self::State<S>;
    /// Of the values of both.
    fn merge<S: Simd>(self, a: Self::State<S>, b: Self::State<S>) -> Self::State<S>;
    /// Of `n` values.
    fn factors<S: Simd>(self, n: S::F) -> Self::Factors<S>;
    /// The result of one value or more.
    fn finish<S: Simd>(
        self,
        factors: Self::Factors<S>,
        state: Self::State<S>,
        anchor: S::F,
    ) -> S::F;
}

/// Run `accumulator` over every window of every column.
pub fn sliding<A: Accumulator, X: Source>(
    exec: Exec,
    accumulator: A,
    source: X,
    window: Window,
    out: &mut [f64],
) {
    const ROWS_OF_A_TASK: usize = 256;
    let (rows, cols) = (source.rows(), source.cols());
    let sink = Sink::new(out, rows, cols);
    let reach = window.reach(rows);
    let tiles = Tiles::new(rows, cols, reach * ROWS_OF_A_TASK.div_ceil(reach));
    let exec = exec.for_work(rows * cols);
    exec.for_each(tiles.count(), |i| {
        let pass = Pass { accumulator, source, window, tile: tiles.tile(i), sink };
        simd::run(exec.level(), pass);
    });
}

/// One tile; its first row is the first row of a block.
pub struct Pass<'a, A, X> {
    /// What is computed.
    pub accumulator: A,
    /// Of which rows.
    pub source: X,
    /// Over which window.
    pub window: Window,
    /// Where.
    pub tile: Tile,
    /// Into what.
    pub sink: Sink<'a>,
}

impl<A: Accumulator, X: Source> Kernel for Pass<'_, A, X> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let reach = self.window.reach(self.source.rows());
        let mut suffixes = vec![Part::empty(self.accumulator); reach + 1];
        for start in self.tile.rows.clone().step_by(reach) {
            let end = (start + reach).min(self.tile.rows.end);
            for at in self.tile.vectors(reach) {
                let block = Block { pass: &self, start, reach, at };
                block.run::<S>(end, &mut suffixes);
            }
        }
    }
}

/// Count and state of some rows.
struct Part<S: Simd, A: Accumulator> {
    n: S::F,
    state: A::State<S>,
}

impl<S: Simd, A: Accumulator> Clone for Part<S, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, A: Accumulator> Copy for Part<S, A> {}

impl<S: Simd, A: Accumulator> Part<S, A> {
    #[inline(always)]
    fn empty(accumulator: A) -> Self {
        Part { n: S::splat(0.0), state: accumulator.empty::<S>() }
    }

    #[inline(always)]
    fn push(&mut self, accumulator: A, v: S::F, anchor: S::F) {
        let ok = S::valid(v);
        self.n = S::add(self.n, S::keep(ok, S::splat(1.0)));
        let v = if A::ANCHORED { S::sub(v, anchor) } else { v };
        self.state = accumulator.push::<S>(self.state, ok, v);
    }

    #[inline(always)]
    fn merge(self, accumulator: A, other: Self) -> Self {
        Part { n: S::add(self.n, other.n), state: accumulator.merge::<S>(self.state, other.state) }
    }
}

/// One block of rows in one vector of columns.
struct Block<'p, 'a, A, X> {
    pass: &'p Pass<'a, A, X>,
    start: usize,
    reach: usize,
    at: Lanes,
}

impl<A: Accumulator, X: Source> Block<'_, '_, A, X> {
    #[inline(always)]
    fn row<S: Simd>(&self, t: usize) -> S::F {
        // SAFETY: the rows of a block and of the one before it, and the columns of a tile, exist.
        unsafe { self.pass.source.walk::<S>(t, self.at) }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, end: usize, suffixes: &mut [Part<S, A>]) {
        let accumulator = self.pass.accumulator;
        let first = self.row::<S>(self.start);
        let mut seen = S::valid(first);
        let mut anchor = S::keep(seen, first);
        if A::ANCHORED && self.start > 0 && S::bits(seen) != u8::MAX {
            anchor = self.anchor_before::<S>(seen, anchor);
        }
        self.build::<S>(anchor, 1, suffixes);

        let need = S::splat(self.pass.window.min_periods() as f64);
        let mut head = Part::<S, A>::empty(accumulator);
        let (mut n, mut factors) = (head.n, accumulator.factors::<S>(head.n));
        for t in self.start..end {
            let v = self.row::<S>(t);
            let after = t - self.start + 1;
            if A::ANCHORED {
                let fresh = S::and(S::valid(v), S::not(seen));
                if S::bits(fresh) != 0 {
                    anchor = S::select(fresh, v, anchor);
                    seen = S::or(seen, fresh);
                    self.build::<S>(anchor, after, suffixes);
                }
            }
            head.push(accumulator, v, anchor);
            let all = if self.start == 0 { head } else { suffixes[after].merge(accumulator, head) };
            if S::bits(S::eq(all.n, n)) != u8::MAX {
                (n, factors) = (all.n, accumulator.factors::<S>(all.n));
            }
            let result = accumulator.finish::<S>(factors, all.state, anchor);
            let result = S::select(S::le(need, n), result, S::splat(f64::NAN));
            // SAFETY: the tile belongs to this task.
            unsafe { self.pass.sink.put::<S>(t, self.at, result) };
        }
    }

    /// Where `seen` is not set: the last value of the previous block, if it has one.
    #[inline(always)]
    fn anchor_before<S: Simd>(&self, mut seen: S::M, mut anchor: S::F) -> S::F {
        let unused = u8::MAX.checked_shl(self.at.count as u32).unwrap_or(0);
        seen = S::or(seen, S::from_bits(unused));
        for t in (self.start + 1 - self.reach..self.start).rev() {
            if S::bits(seen) == u8::MAX {
                break;
            }
            let v = self.row::<S>(t);
            let fresh = S::and(S::valid(v), S::not(seen));
            anchor = S::select(fresh, v, anchor);
            seen = S::or(seen, fresh);
        }
        anchor
    }

    /// `suffixes[j]`, `j >= from`: the last `reach - j` rows of the previous block.
    #[inline(always)]
    fn build<S: Simd>(&self, anchor: S::F, from: usize, suffixes: &mut [Part<S, A>]) {
        if self.start == 0 {
            return;
        }
        let accumulator = self.pass.accumulator;
        let before = self.start - self.reach;
        let mut part = Part::<S, A>::empty(accumulator);
        suffixes[self.reach] = part;
        for j in (from..self.reach).rev() {
            part.push(accumulator, self.row::<S>(before + j), anchor);
            suffixes[j] = part;
        }
    }
}
