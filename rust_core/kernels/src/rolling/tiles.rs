//! How a table is cut into tasks, and where their results go.

use std::ops::Range;

use crate::exec::SharedOut;
use crate::simd::{LANES, Simd};

/// Columns of a strip: eight vectors, so that a row of a strip spans few cache lines.
const STRIP: usize = 64;

/// A rectangle of the table.
#[derive(Clone)]
pub struct Tile {
    /// Its rows.
    pub rows: Range<usize>,
    /// Its columns.
    pub cols: Range<usize>,
}

impl Tile {
    /// First column and lane count of every vector of the tile.
    #[inline(always)]
    pub fn vectors(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let end = self.cols.end;
        self.cols.clone().step_by(LANES).map(move |c| (c, LANES.min(end - c)))
    }
}

/// A table cut into strips of columns and chunks of rows; strips run fastest.
#[derive(Clone, Copy)]
pub struct Tiles {
    rows: usize,
    cols: usize,
    height: usize,
    width: usize,
}

impl Tiles {
    /// Chunks of `height` rows.
    pub fn new(rows: usize, cols: usize, height: usize) -> Tiles {
        Tiles { rows, cols, height: height.max(1), width: STRIP }
    }

    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.rows.div_ceil(self.height) * self.strips()
    }

    fn strips(&self) -> usize {
        self.cols.div_ceil(self.width)
    }

    /// The `i`-th tile.
    pub fn tile(&self, i: usize) -> Tile {
        let (chunk, strip) = (i / self.strips(), i % self.strips());
        let (row, col) = (chunk * self.height, strip * self.width);
        Tile {
            rows: row..(row + self.height).min(self.rows),
            cols: col..(col + self.width).min(self.cols),
        }
    }
}

/// The output table, written by many tasks at places that never overlap.
#[derive(Clone, Copy)]
pub struct Sink<'a> {
    out: SharedOut<'a>,
    cols: usize,
}

impl<'a> Sink<'a> {
    /// Borrow `out` as `rows x cols`.
    pub fn new(out: &'a mut [f64], rows: usize, cols: usize) -> Sink<'a> {
        assert_eq!(out.len(), rows * cols, "output does not fit the table");
        Sink { out: SharedOut::new(out), cols }
    }

    /// Write columns `c .. c + lanes` of row `t`.
    ///
    /// # Safety
    /// The place lies in the table and belongs to the calling task alone.
    #[inline(always)]
    pub unsafe fn put<S: Simd>(&self, t: usize, c: usize, lanes: usize, value: S::F) {
        // SAFETY: the caller's promise.
        unsafe {
            let place = self.out.at(t * self.cols + c);
            if lanes == LANES { S::store(place, value) } else { S::store_n(place, lanes, value) }
        }
    }
}

/// Eight values on a cache line of their own.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Line(pub [f64; LANES]);

impl Line {
    /// All lanes `x`.
    pub const fn splat(x: f64) -> Line {
        Line([x; LANES])
    }

    /// As a vector.
    #[inline(always)]
    pub fn load<S: Simd>(&self) -> S::F {
        // SAFETY: a line holds eight values.
        unsafe { S::load(self.0.as_ptr()) }
    }

    /// From a vector.
    #[inline(always)]
    pub fn store<S: Simd>(&mut self, value: S::F) {
        // SAFETY: a line holds eight values.
        unsafe { S::store(self.0.as_mut_ptr(), value) }
    }
}
