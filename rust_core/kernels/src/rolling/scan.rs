//! Recursions down the rows: one state per column, one result per row.
//!
//! What follows from the number of rows alone (weights, say) is the same for all columns as long
//! as no value misses: it is worked out once per row. A table is walked row by row, so memory is
//! read and written in the order in which it lies.

use crate::Exec;
use crate::simd::{self, Kernel, Simd};

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

struct Pass<'a, R, X> {
    recursion: R,
    source: X,
    tile: Tile,
    sink: Sink<'a>,
}

/// A vector of columns.
struct Column<S: Simd, R: Recursion> {
    at: Lanes,
    /// Lanes beyond the table's columns: they miss nothing.
    unused: S::M,
    state: R::State<S>,
    /// The column's own clock, from the first missing value on.
    clock: Option<R::Clock<S>>,
}

impl<R: Recursion, X: Source> Kernel for Pass<'_, R, X> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (mut clock, state) = self.recursion.start::<S>();
        let mut columns: Vec<Column<S, R>> = self
            .tile
            .vectors(0)
            .map(|at| {
                let unused = u8::MAX.checked_shl(at.count as u32).unwrap_or(0);
                Column { at, unused: S::from_bits(unused), state, clock: None }
            })
            .collect();
        let everywhere = S::from_bits(u8::MAX);
        for t in self.tile.rows.clone() {
            let before = clock;
            let defined = self.recursion.tick::<S>(&mut clock, everywhere);
            for column in &mut columns {
                // SAFETY: the tile lies in the table and belongs to this task.
                unsafe {
                    let v = self.source.row::<S>(t, column.at.first, column.at.count);
                    let ok = S::or(finite::<S>(v), column.unused);
                    let result = if column.clock.is_none() && S::bits(ok) == u8::MAX {
                        let result = self.recursion.step::<S>(&clock, &mut column.state, ok, v);
                        S::select(defined, result, S::splat(f64::NAN))
                    } else {
                        let own = column.clock.get_or_insert(before);
                        let defined = self.recursion.tick::<S>(own, ok);
                        let result = self.recursion.step::<S>(own, &mut column.state, ok, v);
                        S::select(defined, result, S::splat(f64::NAN))
                    };
                    self.sink.write::<S>(t, column.at, result);
                }
            }
        }
    }
}
