//! Recursions down the rows: one state per column, one result per row.
//!
//! What follows from the number of rows alone (weights, say) is the same for all columns as long
//! as no value misses: it is worked out once per row. A table is walked row by row, so memory is
//! read and written in the order in which it lies.

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

use super::source::{Source, finite};
use super::tiles::{Lanes, Sink, Tile, Tiles};

/// A state that takes one row after the other; NaN and infinities are missing.
pub trait Recursion: Copy + Sync {
    /// What follows from which rows had a value.
    type Clock<S: Simd>: Copy;
    /// What follows from the values.
    type State<S: Simd>: Copy;
    /// Before the first row.
    fn start<S: Simd>(self) -> (Self::Clock<S>, Self::State<S>);
    /// Count a row that has a value where `ok`; returns where there is a result.
    fn tick<S: Simd>(self, clock: &mut Self::Clock<S>, ok: S::M) -> S::M;
    /// Take row `v` after the clock has counted it; returns the result.
    fn step<S: Simd>(
        self,
        clock: &Self::Clock<S>,
        state: &mut Self::State<S>,
        ok: S::M,
        v: S::F,
    ) -> S::F;
}

/// Run `recursion` down every column.
pub fn scan<R: Recursion, X: Source>(exec: Exec, recursion: R, source: X, out: &mut [f64]) {
    let (rows, cols) = (source.rows(), source.cols());
    let sink = Sink::new(out, rows, cols);
    let exec = exec.for_work(rows * cols);
    let strips = if exec.threads() == 1 { 1 } else { 4 * exec.threads() };
    let tiles = Tiles::new(rows, cols, rows).of_width(cols.div_ceil(strips));
    exec.for_each(tiles.count(), |i| {
        simd::run(exec.level(), Pass { recursion, source, tile: tiles.tile(i), sink });
    });
}

/// Values between the one that is taken and the one that is asked for: a page, where the CPU's own
/// prefetching ends.
const AHEAD: usize = 512;

struct Pass<'a, R, X> {
    recursion: R,
    source: X,
    tile: Tile,
    sink: Sink<'a>,
}

/// A vector of columns.
struct Column<S: Simd, R: Recursion> {
    at: Lanes,
    state: R::State<S>,
    /// Is its clock its own, from the first missing value on?
    own: bool,
}

impl<R: Recursion, X: Source> Kernel for Pass<'_, R, X> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (mut clock, state) = self.recursion.start::<S>();
        let mut columns: Vec<Column<S, R>> =
            self.tile.vectors(0).map(|at| Column { at, state, own: false }).collect();
        let mut clocks = vec![clock; columns.len()];
        let (everywhere, nan) = (S::from_bits(u8::MAX), S::splat(f64::NAN));
        let ahead = AHEAD.div_ceil(self.source.cols().max(1));
        for t in self.tile.rows.clone() {
            let before = clock;
            let defined = self.recursion.tick::<S>(&mut clock, everywhere);
            let started = S::all(defined);
            for (column, own) in columns.iter_mut().zip(&mut clocks) {
                let at = column.at;
                self.source.prefetch(t + ahead, at.first);
                // SAFETY: the tile lies in the table and belongs to this task.
                let v = unsafe { self.source.row::<S>(t, at.first, at.count) };
                let mut ok = finite::<S>(v);
                if at.count < LANES {
                    // Lanes beyond the table's columns miss nothing.
                    ok = S::or(ok, S::from_bits(u8::MAX << at.count));
                }
                let result = if S::all(ok) && !column.own {
                    let result = self.recursion.step::<S>(&clock, &mut column.state, everywhere, v);
                    if started { result } else { S::select(defined, result, nan) }
                } else {
                    if !column.own {
                        (column.own, *own) = (true, before);
                    }
                    let defined = self.recursion.tick::<S>(own, ok);
                    let result = self.recursion.step::<S>(own, &mut column.state, ok, v);
                    S::select(defined, result, nan)
                };
                // SAFETY: as above.
                unsafe { self.sink.write::<S>(t, at, result) };
            }
        }
    }
}
