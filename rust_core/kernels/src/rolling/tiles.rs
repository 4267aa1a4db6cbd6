//! How a table is cut into tasks, and where their results go.

use std::ops::Range;

use crate::exec::SharedOut;
use crate::simd::{LANES, Simd};

use super::source::prefetch_write;

/// Columns of a strip that is walked down: a row of it spans few cache lines.
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
    /// The vectors of the tile, which walk `height` rows one after the other.
    #[inline(always)]
    pub fn vectors(&self, height: usize) -> impl Iterator<Item = Lanes> + use<> {
        let Range { start, end } = self.cols;
        self.cols.clone().step_by(LANES).map(move |first| {
            let next = first + LANES;
            let (down, right) = if next < end { (0, next) } else { (height, start) };
            Lanes { first, count: LANES.min(end - first), down, right: right + LANES - 1 }
        })
    }
}

/// Up to eight neighbouring columns, and where the rows lie that are wanted after theirs.
#[derive(Clone, Copy)]
pub struct Lanes {
    /// First column.
    pub first: usize,
    /// Number of columns.
    pub count: usize,
    /// Rows to go down to the next vector's row.
    pub down: usize,
    /// Last column of the next vector: its first column shares a line with the present vector.
    pub right: usize,
}

/// A table cut into strips of columns and chunks of rows; strips run fastest.
#[derive(Clone, Copy)]
pub struct Tiles {
    rows: usize,
    cols: usize,
    height: usize,
}

impl Tiles {
    /// Chunks of `height` rows.
    pub fn new(rows: usize, cols: usize, height: usize) -> Tiles {
        Tiles { rows, cols, height: height.max(1) }
    }

    /// Number of tiles.
    pub fn count(&self) -> usize {
        self.rows.div_ceil(self.height) * self.strips()
    }

    fn strips(&self) -> usize {
        self.cols.div_ceil(STRIP)
    }

    /// The `i`-th tile.
    pub fn tile(&self, i: usize) -> Tile {
        let (chunk, strip) = (i / self.strips(), i % self.strips());
        let (row, col) = (chunk * self.height, strip * STRIP);
        Tile {
            rows: row..(row + self.height).min(self.rows),
            cols: col..(col + STRIP).min(self.cols),
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

    /// Ask for the cache line of row `t`, column `c`, which will be written.
    ///
    /// # Safety
    /// The place lies in the table.
    #[inline(always)]
    pub unsafe fn near(&self, t: usize, c: usize) {
        // SAFETY: the caller's promise.
        prefetch_write(unsafe { self.out.at(t * self.cols + c) });
    }

    /// [`Sink::write`] of a walk down the rows: asks for what comes after it.
    ///
    /// # Safety
    /// As for [`Sink::write`].
    #[inline(always)]
    pub unsafe fn put<S: Simd>(&self, t: usize, at: Lanes, value: S::F) {
        // SAFETY: the caller's promise.
        unsafe {
            let place = self.out.at(t * self.cols + at.first);
            let ahead = at.down * self.cols + at.right - at.first;
            prefetch_write(place.wrapping_add(ahead));
            self.write::<S>(t, at, value);
        }
    }

    /// Write row `t` of a vector of columns.
    ///
    /// # Safety
    /// The place lies in the table and belongs to the calling task alone.
    #[inline(always)]
    pub unsafe fn write<S: Simd>(&self, t: usize, at: Lanes, value: S::F) {
        // SAFETY: the caller's promise.
        unsafe {
            let place = self.out.at(t * self.cols + at.first);
            if at.count == LANES {
                S::store(place, value);
            } else {
                S::store_n(place, at.count, value);
            }
        }
    }

    /// Write the one value of row `t` of a table of one column.
    ///
    /// # Safety
    /// As for [`Sink::put`].
    #[inline(always)]
    pub unsafe fn put_one(&self, t: usize, value: f64) {
        // SAFETY: the caller's promise.
        unsafe { *self.out.at(t * self.cols) = value }
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
