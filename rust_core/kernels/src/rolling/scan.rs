//! Recursions down the rows: one state per column, one result per row.

use crate::Exec;
use crate::simd::{self, Kernel, Simd};

use super::source::Source;
use super::tiles::{Sink, Tile, Tiles};

/// A state that takes one row after the other.
pub trait Recursion: Copy + Sync {
    /// What is carried from row to row.
    type State<S: Simd>: Copy;
    /// Before the first row.
    fn start<S: Simd>(self) -> Self::State<S>;
    /// Take row `v`; returns the result at that row.
    fn step<S: Simd>(self, state: &mut Self::State<S>, v: S::F) -> S::F;
}

/// Run `recursion` down every column.
pub fn scan<R: Recursion, X: Source>(exec: Exec, recursion: R, source: X, out: &mut [f64]) {
    let (rows, cols) = (source.rows(), source.cols());
    let sink = Sink::new(out, rows, cols);
    let tiles = Tiles::new(rows, cols, rows);
    let exec = exec.for_work(rows * cols);
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

impl<R: Recursion, X: Source> Kernel for Pass<'_, R, X> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        // A vector of columns walks a few rows at a time: a row of the strip stays in cache for
        // its neighbours.
        const ROWS_AT_A_TIME: usize = 64;
        let mut states: Vec<_> =
            self.tile.vectors(0).map(|_| self.recursion.start::<S>()).collect();
        for top in self.tile.rows.clone().step_by(ROWS_AT_A_TIME) {
            let bottom = (top + ROWS_AT_A_TIME).min(self.tile.rows.end);
            for (at, state) in self.tile.vectors(ROWS_AT_A_TIME).zip(&mut states) {
                for t in top..bottom {
                    // SAFETY: the tile lies in the table and belongs to this task.
                    unsafe {
                        let v = self.source.walk::<S>(t, at);
                        let result = self.recursion.step::<S>(state, v);
                        self.sink.put::<S>(t, at, result);
                    }
                }
            }
        }
    }
}
