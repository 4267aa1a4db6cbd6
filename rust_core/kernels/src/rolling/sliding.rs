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
//!
//! A tile is walked row by row, so memory is read and written in the order in
//! which it lies. While no lane of a column vector misses, the count of a
//! window is its length and nothing is counted.

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
    let (rows, cols) = (source.rows(), source.cols());
    let sink = Sink::new(out, rows, cols);
    let reach = window.reach(rows);
    let exec = exec.for_work(rows * cols);
    let tiles = cut(exec, rows, cols, reach);
    exec.for_each(tiles.count(), |i| {
        let pass = Pass { accumulator, source, window, tile: tiles.tile(i), sink };
        simd::run(exec.level(), pass);
    });
}

/// Tiles of whole blocks, and of whole rows where the suffixes fit the cache and the threads have
/// work. Blocks begin at fixed rows and columns know nothing of each other: no bit depends on it.
fn cut(exec: Exec, rows: usize, cols: usize, reach: usize) -> Tiles {
    const SUFFIXES: usize = 1 << 17;
    const FEWEST: usize = 128;
    let tasks = if exec.threads() == 1 { 1 } else { 4 * exec.threads() };
    let blocks = rows.div_ceil(reach).max(1);
    let height = reach * blocks.div_ceil(tasks);
    let strips = tasks.div_ceil(rows.div_ceil(height).max(1));
    let most = (SUFFIXES / reach).max(FEWEST);
    Tiles::new(rows, cols, height).of_width(cols.div_ceil(strips).min(most))
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
        let width = self.tile.cols.len().div_ceil(LANES);
        let (none, empty) = (S::splat(0.0), self.accumulator.empty::<S>());
        let factors = self.accumulator.factors::<S>(none);
        let gaps = Gaps { seen: S::from_bits(0), head: none, whole_before: true, n: none, factors };
        let mut block = Block::<S, A, X> {
            columns: vec![Column { anchor: none, head: empty }; width],
            whole: vec![true; width],
            gaps: vec![gaps; width],
            suffixes: vec![empty; (reach + 1) * width],
            counts: Vec::new(),
            pass: &self,
            start: self.tile.rows.start,
            reach,
        };
        for start in self.tile.rows.clone().step_by(reach) {
            block.start = start;
            block.run((start + reach).min(self.tile.rows.end));
        }
    }
}

/// What a vector of columns carries from row to row.
struct Column<S: Simd, A: Accumulator> {
    anchor: S::F,
    /// The rows of the block so far.
    head: A::State<S>,
}

impl<S: Simd, A: Accumulator> Clone for Column<S, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, A: Accumulator> Copy for Column<S, A> {}

impl<S: Simd, A: Accumulator> Column<S, A> {
    #[inline(always)]
    fn push(&mut self, accumulator: A, ok: S::M, v: S::F) {
        let v = if A::ANCHORED { S::sub(v, self.anchor) } else { v };
        self.head = accumulator.push::<S>(self.head, ok, v);
    }
}

/// What it carries besides where values miss.
struct Gaps<S: Simd, A: Accumulator> {
    /// Lanes whose anchor is a value of the block.
    seen: S::M,
    /// Values in the rows of the block so far.
    head: S::F,
    /// Does no row of the previous block miss? Then its counts are not stored.
    whole_before: bool,
    /// Count of the last window, and what follows from it.
    n: S::F,
    factors: A::Factors<S>,
}

impl<S: Simd, A: Accumulator> Clone for Gaps<S, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd, A: Accumulator> Copy for Gaps<S, A> {}

/// One block of rows in all columns of a tile.
struct Block<'p, 'a, S: Simd, A: Accumulator, X> {
    pass: &'p Pass<'a, A, X>,
    columns: Vec<Column<S, A>>,
    /// Does no row of the window so far miss?
    whole: Vec<bool>,
    gaps: Vec<Gaps<S, A>>,
    /// Row `j`: state of the last `reach - j` rows of the previous block, column by column.
    suffixes: Vec<A::State<S>>,
    /// As `suffixes`: how many values; not stored where the previous block is whole.
    counts: Vec<S::F>,
    start: usize,
    reach: usize,
}

impl<S: Simd, A: Accumulator, X: Source> Block<'_, '_, S, A, X> {
    /// Place of column vector `g`.
    #[inline(always)]
    fn at(&self, g: usize) -> Lanes {
        self.pass.tile.vector(g)
    }

    #[inline(always)]
    fn row(&self, t: usize, at: Lanes) -> S::F {
        // SAFETY: the rows of a block and of the one before it, and the columns of a tile, exist.
        unsafe { self.pass.source.row::<S>(t, at.first, at.count) }
    }

    #[inline(always)]
    fn run(&mut self, end: usize) {
        let (accumulator, pass) = (self.pass.accumulator, self.pass);
        let width = self.columns.len();
        for g in 0..width {
            self.enter(g);
        }
        self.build(0, width, 1);
        for g in 0..width {
            self.columns[g].head = accumulator.empty::<S>();
            self.gaps[g].head = S::splat(0.0);
            self.whole[g] = self.gaps[g].whole_before;
        }

        let mut factors = accumulator.factors::<S>(S::splat(self.reach as f64));
        for t in self.start..end {
            let length = self.reach.min(t + 1);
            if self.start == 0 {
                factors = accumulator.factors::<S>(S::splat(length as f64));
            }
            let enough = pass.window.min_periods() <= length;
            let suffixes = &self.suffixes[(t + 1 - self.start) * width..][..width];
            let mut left_out = false;
            for (g, column) in self.columns.iter_mut().enumerate() {
                let at = pass.tile.vector(g);
                // SAFETY: the tile belongs to this task, and its rows and columns exist.
                unsafe {
                    let v = pass.source.row::<S>(t, at.first, at.count);
                    let ok = S::valid(v);
                    if !(self.whole[g] && is_whole::<S>(at, ok)) {
                        left_out = true;
                        continue;
                    }
                    column.push(accumulator, ok, v);
                    let all = accumulator.merge::<S>(suffixes[g], column.head);
                    let result = accumulator.finish::<S>(factors, all, column.anchor);
                    let result = if enough { result } else { S::splat(f64::NAN) };
                    pass.sink.write::<S>(t, at, result);
                }
            }
            for g in 0..if left_out { width } else { 0 } {
                let v = self.row(t, self.at(g));
                let ok = S::valid(v);
                if !(self.whole[g] && is_whole::<S>(self.at(g), ok)) {
                    let result = self.step_with_gaps(t, g, ok, v);
                    // SAFETY: as above.
                    unsafe { pass.sink.write::<S>(t, self.at(g), result) };
                }
            }
        }
    }

    /// Take row `t` of column vector `g` where a value of the window misses.
    #[inline(always)]
    fn step_with_gaps(&mut self, t: usize, g: usize, ok: S::M, v: S::F) -> S::F {
        let accumulator = self.pass.accumulator;
        let row = t + 1 - self.start;
        if self.whole[g] {
            self.whole[g] = false;
            self.gaps[g].head = S::splat((row - 1) as f64);
        }
        let fresh = S::and(ok, S::not(self.gaps[g].seen));
        if A::ANCHORED && S::bits(fresh) != 0 {
            self.columns[g].anchor = S::select(fresh, v, self.columns[g].anchor);
            self.gaps[g].seen = S::or(self.gaps[g].seen, fresh);
            let (state, count) = (self.columns[g].head, self.gaps[g].head);
            self.build(g, g + 1, row);
            (self.columns[g].head, self.gaps[g].head) = (state, count);
        }
        let place = row * self.columns.len() + g;
        let (column, gaps) = (&mut self.columns[g], &mut self.gaps[g]);
        column.push(accumulator, ok, v);
        gaps.head = S::add(gaps.head, S::keep(ok, S::splat(1.0)));
        let before = match (self.start, gaps.whole_before) {
            (0, _) => S::splat(0.0),
            (_, true) => S::splat((self.reach - row) as f64),
            (_, false) => self.counts[place],
        };
        let n = S::add(before, gaps.head);
        if S::bits(S::eq(n, gaps.n)) != u8::MAX {
            (gaps.n, gaps.factors) = (n, accumulator.factors::<S>(n));
        }
        let state = accumulator.merge::<S>(self.suffixes[place], column.head);
        let result = accumulator.finish::<S>(gaps.factors, state, column.anchor);
        let need = S::splat(self.pass.window.min_periods() as f64);
        S::select(S::le(need, n), result, S::splat(f64::NAN))
    }

    /// Choose the anchors of column vector `g`: the block's first row, or the last value of the
    /// previous block, if it has one.
    #[inline(always)]
    fn enter(&mut self, g: usize) {
        let at = self.at(g);
        let first = self.row(self.start, at);
        let seen = S::valid(first);
        let (mut known, mut anchor) = (seen, S::keep(seen, first));
        if A::ANCHORED && self.start > 0 {
            for t in (self.start + 1 - self.reach..self.start).rev() {
                if is_whole::<S>(at, known) {
                    break;
                }
                let v = self.row(t, at);
                let fresh = S::and(S::valid(v), S::not(known));
                anchor = S::select(fresh, v, anchor);
                known = S::or(known, fresh);
            }
        }
        self.gaps[g].seen = seen;
        self.columns[g].anchor = anchor;
    }

    /// Suffixes `j >= from` of column vectors `left .. right`; leaves their heads used up.
    #[inline(always)]
    fn build(&mut self, left: usize, right: usize, from: usize) {
        let accumulator = self.pass.accumulator;
        let width = self.columns.len();
        for g in left..right {
            self.columns[g].head = accumulator.empty::<S>();
            self.gaps[g].whole_before = true;
        }
        if self.start == 0 {
            return;
        }
        let last = self.reach * width;
        self.suffixes[last + left..last + right].fill(accumulator.empty::<S>());
        let before = self.start - self.reach;
        for j in (from..self.reach).rev() {
            let mut whole = true;
            let suffixes = &mut self.suffixes[j * width + left..j * width + right];
            let columns = &mut self.columns[left..right];
            for (g, (column, suffix)) in columns.iter_mut().zip(suffixes).enumerate() {
                let at = self.pass.tile.vector(left + g);
                // SAFETY: the rows of the block before and the columns of a tile exist.
                let v = unsafe { self.pass.source.row::<S>(before + j, at.first, at.count) };
                let ok = S::valid(v);
                column.push(accumulator, ok, v);
                *suffix = column.head;
                whole &= self.gaps[left + g].whole_before && is_whole::<S>(at, ok);
            }
            if !whole {
                (left..right).for_each(|g| self.count(j, g));
            }
        }
    }

    /// Store the count of suffix `j` of column vector `g`, if a value of it misses.
    #[inline(always)]
    fn count(&mut self, j: usize, g: usize) {
        let (at, width) = (self.at(g), self.columns.len());
        let ok = S::valid(self.row(self.start - self.reach + j, at));
        if self.gaps[g].whole_before {
            if is_whole::<S>(at, ok) {
                return;
            }
            self.gaps[g].whole_before = false;
            self.gaps[g].head = S::splat((self.reach - 1 - j) as f64);
            self.counts.resize(self.suffixes.len(), S::splat(0.0));
            for i in j + 1..=self.reach {
                self.counts[i * width + g] = S::splat((self.reach - i) as f64);
            }
        }
        self.gaps[g].head = S::add(self.gaps[g].head, S::keep(ok, S::splat(1.0)));
        self.counts[j * width + g] = self.gaps[g].head;
    }
}

/// Do all columns of a vector have a value? Lanes beyond the table's columns miss nothing.
#[inline(always)]
fn is_whole<S: Simd>(at: Lanes, ok: S::M) -> bool {
    S::bits(ok) | u8::MAX.checked_shl(at.count as u32).unwrap_or(0) == u8::MAX
}
