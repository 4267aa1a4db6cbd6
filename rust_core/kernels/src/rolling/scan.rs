//! Recursions down the rows: one state per column, one result per row.

use std::ops::Range;

use crate::Exec;
use crate::simd::{self, Kernel, Simd};

use super::source::Source;
use super::tiles::{Lanes, Sink, Tile, Tiles};

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
        let vectors = self.tile.vectors(ROWS_AT_A_TIME);
        let mut columns: Vec<_> = vectors.map(|at| (at, self.recursion.start::<S>())).collect();
        for top in self.tile.rows.clone().step_by(ROWS_AT_A_TIME) {
            let rows = top..(top + ROWS_AT_A_TIME).min(self.tile.rows.end);
            // Two at a time: one's arithmetic waits while the other's goes on.
            let mut pairs = columns.chunks_exact_mut(2);
            for pair in &mut pairs {
                let [(left, one), (right, other)] = pair else { unreachable!("pairs") };
                let mut states = [*one, *other];
                self.walk::<S, 2>(rows.clone(), [*left, *right], &mut states);
                [*one, *other] = states;
            }
            for (at, state) in pairs.into_remainder() {
                self.walk::<S, 1>(rows.clone(), [*at], std::array::from_mut(state));
            }
        }
    }
}

impl<R: Recursion, X: Source> Pass<'_, R, X> {
    #[inline(always)]
    fn walk<S: Simd, const N: usize>(
        &self,
        rows: Range<usize>,
        at: [Lanes; N],
        states: &mut [R::State<S>; N],
    ) {
        let mut carried = *states;
        for t in rows {
            for (at, state) in at.into_iter().zip(&mut carried) {
                // SAFETY: the tile lies in the table and belongs to this task.
                unsafe {
                    let v = self.source.walk::<S>(t, at);
                    self.sink.put::<S>(t, at, self.recursion.step::<S>(state, v));
                }
            }
        }
        *states = carried;
    }
}
