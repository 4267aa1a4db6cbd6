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
        let start = self.tile.rows.start;
        let columns: Vec<_> = self.tile.vectors(0).map(|at| Column::new(&self, at)).collect();
        let mut block = Block::<S, A, X> {
            suffixes: vec![self.accumulator.empty::<S>(); (reach + 1) * columns.len()],
            counts: Vec::new(),
            columns,
            pass: &self,
            start,
            reach,
        };
        for start in self.tile.rows.clone().step_by(reach) {
            block.start = start;
            block.run((start + reach).min(self.tile.rows.end));
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

/// What a vector of columns carries from row to row.
struct Column<S: Simd, A: Accumulator> {
    at: Lanes,
    /// Lanes beyond the table's columns: they miss nothing.
    unused: u8,
    anchor: S::F,
    /// Lanes that have their anchor.
    seen: S::M,
    /// The rows of the block so far; the count is kept only where a row misses.
    head: Part<S, A>,
    /// Does no row of the previous block miss? Then its counts are not stored.
    whole_before: bool,
    /// Does no row of the window so far miss?
    whole: bool,
    /// Count of the last window, and what follows from it.
    n: S::F,
    factors: A::Factors<S>,
}

impl<S: Simd, A: Accumulator> Column<S, A> {
    #[inline(always)]
    fn new<X>(pass: &Pass<'_, A, X>, at: Lanes) -> Self {
        let none = S::splat(0.0);
        Column {
            at,
            unused: u8::MAX.checked_shl(at.count as u32).unwrap_or(0),
            anchor: none,
            seen: S::from_bits(0),
            head: Part { n: none, state: pass.accumulator.empty::<S>() },
            whole_before: true,
            whole: true,
            n: none,
            factors: pass.accumulator.factors::<S>(none),
        }
    }

    /// Do all columns have a value?
    #[inline(always)]
    fn is_whole(&self, ok: S::M) -> bool {
        S::bits(ok) | self.unused == u8::MAX
    }

    #[inline(always)]
    fn push(&mut self, accumulator: A, ok: S::M, v: S::F) {
        let v = if A::ANCHORED { S::sub(v, self.anchor) } else { v };
        self.head.state = accumulator.push::<S>(self.head.state, ok, v);
    }
}

/// One block of rows in all columns of a tile.
struct Block<'p, 'a, S: Simd, A: Accumulator, X> {
    pass: &'p Pass<'a, A, X>,
    columns: Vec<Column<S, A>>,
    /// Row `j`: state of the last `reach - j` rows of the previous block, column by column.
    suffixes: Vec<A::State<S>>,
    /// As `suffixes`: how many values; not stored where the previous block is whole.
    counts: Vec<S::F>,
    start: usize,
    reach: usize,
}

impl<S: Simd, A: Accumulator, X: Source> Block<'_, '_, S, A, X> {
    #[inline(always)]
    fn row(&self, t: usize, at: Lanes) -> S::F {
        // SAFETY: the rows of a block and of the one before it, and the columns of a tile, exist.
        unsafe { self.pass.source.row::<S>(t, at.first, at.count) }
    }

    #[inline(always)]
    fn run(&mut self, end: usize) {
        let accumulator = self.pass.accumulator;
        for g in 0..self.columns.len() {
            self.enter(g);
        }
        self.build(0, self.columns.len(), 1);
        for column in &mut self.columns {
            column.head = Part { n: S::splat(0.0), state: accumulator.empty::<S>() };
            column.whole = column.whole_before;
        }

        let need = self.pass.window.min_periods();
        let mut factors = accumulator.factors::<S>(S::splat(self.reach as f64));
        for t in self.start..end {
            let length = self.reach.min(t + 1);
            if self.start == 0 {
                factors = accumulator.factors::<S>(S::splat(length as f64));
            }
            let after = (t + 1 - self.start) * self.columns.len();
            for g in 0..self.columns.len() {
                let column = &mut self.columns[g];
                let at = column.at;
                // SAFETY: the rows and columns of a tile exist.
                let v = unsafe { self.pass.source.row::<S>(t, at.first, at.count) };
                let ok = S::valid(v);
                let result = if column.whole && column.is_whole(ok) {
                    column.push(accumulator, ok, v);
                    let all = accumulator.merge::<S>(self.suffixes[after + g], column.head.state);
                    let result = accumulator.finish::<S>(factors, all, column.anchor);
                    if need <= length { result } else { S::splat(f64::NAN) }
                } else {
                    self.step_with_gaps(t, g, ok, v)
                };
                // SAFETY: the tile belongs to this task.
                unsafe { self.pass.sink.write::<S>(t, at, result) };
            }
        }
    }

    /// Take row `t` of column vector `g` where a value of the window misses.
    #[inline(never)]
    fn step_with_gaps(&mut self, t: usize, g: usize, ok: S::M, v: S::F) -> S::F {
        let accumulator = self.pass.accumulator;
        let row = t + 1 - self.start;
        let column = &mut self.columns[g];
        if column.whole {
            column.whole = false;
            column.head.n = S::splat((t - self.start) as f64);
        }
        let fresh = S::and(ok, S::not(column.seen));
        if A::ANCHORED && S::bits(fresh) != 0 {
            column.anchor = S::select(fresh, v, column.anchor);
            column.seen = S::or(column.seen, fresh);
            let head = column.head;
            self.build(g, g + 1, row);
            self.columns[g].head = head;
        }
        let place = row * self.columns.len() + g;
        let column = &mut self.columns[g];
        column.push(accumulator, ok, v);
        column.head.n = S::add(column.head.n, S::keep(ok, S::splat(1.0)));
        let before = match (self.start, column.whole_before) {
            (0, _) => S::splat(0.0),
            (_, true) => S::splat((self.reach - row) as f64),
            (_, false) => self.counts[place],
        };
        let n = S::add(before, column.head.n);
        if S::bits(S::eq(n, column.n)) != u8::MAX {
            (column.n, column.factors) = (n, accumulator.factors::<S>(n));
        }
        let state = accumulator.merge::<S>(self.suffixes[place], column.head.state);
        let result = accumulator.finish::<S>(column.factors, state, column.anchor);
        let need = S::splat(self.pass.window.min_periods() as f64);
        S::select(S::le(need, n), result, S::splat(f64::NAN))
    }

    /// Choose the anchors of column vector `g`.
    #[inline(always)]
    fn enter(&mut self, g: usize) {
        let first = self.row(self.start, self.columns[g].at);
        let column = &self.columns[g];
        let mut seen = S::valid(first);
        let mut anchor = S::keep(seen, first);
        if A::ANCHORED && self.start > 0 && !column.is_whole(seen) {
            (seen, anchor) = self.anchor_before(column, seen, anchor);
        }
        let column = &mut self.columns[g];
        (column.seen, column.anchor) = (seen, anchor);
    }

    /// Where `seen` is not set: the last value of the previous block, if it has one.
    #[inline(never)]
    fn anchor_before(
        &self,
        column: &Column<S, A>,
        mut seen: S::M,
        mut anchor: S::F,
    ) -> (S::M, S::F) {
        for t in (self.start + 1 - self.reach..self.start).rev() {
            if column.is_whole(seen) {
                break;
            }
            let v = self.row(t, column.at);
            let fresh = S::and(S::valid(v), S::not(seen));
            anchor = S::select(fresh, v, anchor);
            seen = S::or(seen, fresh);
        }
        (seen, anchor)
    }

    /// Suffixes `j >= from` of column vectors `left .. right`; leaves their heads used up.
    #[inline(always)]
    fn build(&mut self, left: usize, right: usize, from: usize) {
        let accumulator = self.pass.accumulator;
        let width = self.columns.len();
        for column in &mut self.columns[left..right] {
            column.head = Part { n: S::splat(0.0), state: accumulator.empty::<S>() };
            column.whole_before = true;
        }
        if self.start == 0 {
            return;
        }
        let last = self.reach * width;
        self.suffixes[last + left..last + right].fill(accumulator.empty::<S>());
        let before = self.start - self.reach;
        for j in (from..self.reach).rev() {
            for g in left..right {
                let column = &mut self.columns[g];
                let at = column.at;
                // SAFETY: the rows of the block before and the columns of a tile exist.
                let v = unsafe { self.pass.source.row::<S>(before + j, at.first, at.count) };
                let ok = S::valid(v);
                column.push(accumulator, ok, v);
                self.suffixes[j * width + g] = column.head.state;
                if column.whole_before && column.is_whole(ok) {
                    continue;
                }
                if column.whole_before {
                    column.whole_before = false;
                    self.counts.resize(self.suffixes.len(), S::splat(0.0));
                    for i in j + 1..=self.reach {
                        self.counts[i * width + g] = S::splat((self.reach - i) as f64);
                    }
                    column.head.n = S::splat((self.reach - 1 - j) as f64);
                }
                column.head.n = S::add(column.head.n, S::keep(ok, S::splat(1.0)));
                self.counts[j * width + g] = column.head.n;
            }
        }
    }
}
