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

use std::ops::Range;

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

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
        let mut states = vec![self.accumulator.empty::<S>(); reach + 1];
        let width = self.tile.cols.len().div_ceil(LANES);
        let touches = self.lies_near(reach);
        // Which vectors miss a value in the block before?
        let mut gaps = vec![false; width];
        let Range { start: top, end: bottom } = self.tile.rows;
        if touches {
            self.touch(top.saturating_sub(reach)..top);
        }
        for start in (top..bottom).step_by(reach) {
            let end = (start + reach).min(bottom);
            if touches {
                self.touch(start..end);
            }
            for (at, gap) in self.tile.vectors(reach).zip(&mut gaps) {
                let block = Block { pass: &self, start, reach, at };
                *gap = *gap || start == 0 || !block.run_whole::<S>(end, &mut states);
                if *gap {
                    *gap = !block.run::<S>(end, &mut suffixes);
                }
            }
        }
    }
}

impl<A: Accumulator, X: Source> Pass<'_, A, X> {
    /// Do the rows of a block lie next to each other, and fit a near cache with those of the block
    /// before and the results?
    #[inline(always)]
    fn lies_near(&self, reach: usize) -> bool {
        const NEAR: usize = 1 << 13;
        let width = self.tile.cols.len();
        width == self.source.cols() && reach * width <= NEAR
    }

    /// Bring `rows`, and the places of their results, near in the order in which they lie.
    #[inline(always)]
    fn touch(&self, rows: Range<usize>) {
        for t in rows {
            for c in self.tile.cols.clone().step_by(LANES) {
                self.source.prefetch(t, c);
                // SAFETY: the rows and the columns of a tile exist, and are this task's.
                unsafe { self.sink.near(t, c) };
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

    /// Does every row of the block have a value?
    #[inline(always)]
    fn run<S: Simd>(&self, end: usize, suffixes: &mut [Part<S, A>]) -> bool {
        let accumulator = self.pass.accumulator;
        let first = self.row::<S>(self.start);
        let mut seen = S::valid(first);
        let mut anchor = S::keep(seen, first);
        if A::ANCHORED && self.start > 0 && !S::all(seen) {
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
                if S::any(fresh) {
                    anchor = S::select(fresh, v, anchor);
                    seen = S::or(seen, fresh);
                    self.build::<S>(anchor, after, suffixes);
                }
            }
            head.push(accumulator, v, anchor);
            let all = if self.start == 0 { head } else { suffixes[after].merge(accumulator, head) };
            if !S::all(S::eq(all.n, n)) {
                (n, factors) = (all.n, accumulator.factors::<S>(all.n));
            }
            let result = accumulator.finish::<S>(factors, all.state, anchor);
            let result = S::select(S::le(need, n), result, S::splat(f64::NAN));
            // SAFETY: the tile belongs to this task.
            unsafe { self.pass.sink.put::<S>(t, self.at, result) };
        }
        self.all::<S>(S::eq(head.n, S::splat((end - self.start) as f64)))
    }

    /// [`Block::run`] if neither this block nor the one before misses a value: the same
    /// operations on the values, and a count that is the window's length. Otherwise `false`, and
    /// what it has written does not hold.
    #[inline(always)]
    fn run_whole<S: Simd>(&self, end: usize, suffixes: &mut [A::State<S>]) -> bool {
        let accumulator = self.pass.accumulator;
        let (start, reach, at) = (self.start, self.reach, self.at);
        let everywhere = S::from_bits(u8::MAX);
        let mut ok = everywhere;
        let anchor = self.row::<S>(start);
        let mut state = accumulator.empty::<S>();
        for (j, suffix) in suffixes[..reach].iter_mut().enumerate().skip(1).rev() {
            let v = self.row::<S>(start - reach + j);
            ok = S::and(ok, S::valid(v));
            let v = if A::ANCHORED { S::sub(v, anchor) } else { v };
            state = accumulator.push::<S>(state, everywhere, v);
            *suffix = state;
        }
        if !self.all::<S>(ok) {
            return false;
        }
        let factors = accumulator.factors::<S>(S::splat(reach as f64));
        let mut head = accumulator.empty::<S>();
        for (t, suffix) in (start..end).zip(&suffixes[1..]) {
            let v = self.row::<S>(t);
            ok = S::and(ok, S::valid(v));
            let v = if A::ANCHORED { S::sub(v, anchor) } else { v };
            head = accumulator.push::<S>(head, everywhere, v);
            let all = accumulator.merge::<S>(*suffix, head);
            let result = accumulator.finish::<S>(factors, all, anchor);
            // SAFETY: the tile belongs to this task.
            unsafe { self.pass.sink.put::<S>(t, at, result) };
        }
        self.all::<S>(ok)
    }

    /// Is every lane set that has a column?
    #[inline(always)]
    fn all<S: Simd>(&self, ok: S::M) -> bool {
        let unused = u8::MAX.checked_shl(self.at.count as u32).unwrap_or(0);
        S::bits(ok) | unused == u8::MAX
    }

    /// Where `seen` is not set: the last value of the previous block, if it has one.
    #[inline(always)]
    fn anchor_before<S: Simd>(&self, mut seen: S::M, mut anchor: S::F) -> S::F {
        let unused = u8::MAX.checked_shl(self.at.count as u32).unwrap_or(0);
        seen = S::or(seen, S::from_bits(unused));
        for t in (self.start + 1 - self.reach..self.start).rev() {
            if S::all(seen) {
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
