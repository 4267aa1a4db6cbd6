//! Columns of one length, side by side: `out[row * columns + column]`.

use crate::Exec;
use crate::rolling::tiles::{Sink, Tile};
use crate::simd::{self, Kernel, LANES, Simd};

/// Rows of a task: its part of the output stays in the cache while it goes through the columns,
/// eight at a time, each far enough for the hardware to read ahead.
const ROWS: usize = 512;

/// Write `columns` next to each other, row by row.
pub fn interleave(exec: Exec, columns: &[&[f64]], out: &mut [f64]) {
    let rows = columns.first().map_or(0, |column| column.len());
    assert!(columns.iter().all(|column| column.len() == rows), "lengths differ");
    let exec = exec.for_work(out.len());
    let sink = Sink::new(out, rows, columns.len());
    exec.for_each(rows.div_ceil(ROWS), |i| {
        let end = rows.min((i + 1) * ROWS);
        simd::run(exec.level(), Rows { columns, start: i * ROWS, end, sink });
    });
}

struct Rows<'a> {
    columns: &'a [&'a [f64]],
    start: usize,
    end: usize,
    sink: Sink<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let tile = Tile { rows: self.start..self.end, cols: 0..self.columns.len() };
        for at in tile.vectors(0) {
            let group = &self.columns[at.first..at.first + at.count];
            for t in tile.rows.clone().step_by(LANES) {
                let height = LANES.min(self.end - t);
                let mut square = [S::splat(0.0); LANES];
                for (lane, column) in square.iter_mut().zip(group) {
                    // SAFETY: rows `t .. t + height` exist in every column.
                    *lane = unsafe { S::load_n(column.as_ptr().add(t), height, 0.0) };
                }
                for (i, row) in S::transpose(square).into_iter().take(height).enumerate() {
                    // SAFETY: the place lies in the table, and the rows belong to this task.
                    unsafe { self.sink.write::<S>(t + i, at, row) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn every_value_finds_its_place() {
        for (rows, cols) in [(0, 3), (1, 1), (8, 8), (13, 11), (2 * ROWS + 5, 3), (9, 45)] {
            let value = |t: usize, c: usize| (t * 100 + c) as f64;
            let columns: Vec<Vec<f64>> =
                (0..cols).map(|c| (0..rows).map(|t| value(t, c)).collect()).collect();
            let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            for level in Level::ALL {
                for threads in [1, 3] {
                    let mut out = vec![f64::NAN; rows * cols];
                    interleave(Exec::new(threads, level), &views, &mut out);
                    for t in 0..rows {
                        for c in 0..cols {
                            assert_eq!(out[t * cols + c], value(t, c), "{rows} x {cols}");
                        }
                    }
                }
            }
        }
    }
}
