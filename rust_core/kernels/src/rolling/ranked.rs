//! Order statistics and ranks of long windows: values are ranked once, windows are sets of ranks.
//!
//! The rows are cut into blocks of one window length. Every block is sorted,
//! then merged with the one before. Every window that ends in it is then a set
//! of bits, one per rank, in which a step clears one bit and sets one; an
//! order statistic is found from running counts per word. The cost per value
//! hardly depends on the window. (The idea of sorting once: Suomela 2014,
//! Median filtering is equivalent to sorting.)

use std::ops::{Range, RangeInclusive};

use crate::Exec;
use crate::network;
use crate::order;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::places::{self, Columns, Places};
use super::rankset::{RankSet, Room};
use super::source::{Source, Table};
use super::tiles::{Lanes, Sink, Tile, Tiles};

/// What a window gives.
pub trait Ranks: Copy + Sync {
    /// Does it ask which ranks hold equal values?
    const TIES: bool;
    /// Of a window that holds a value; `last` is the rank of its last row, if that has one.
    fn of<S: Simd>(self, set: &RankSet<'_>, column: &Column, last: Option<usize>) -> f64;
}

/// Run `ranks` over every window of every column.
pub fn run<R: Ranks>(exec: Exec, ranks: R, x: Table, window: Window, out: &mut [f64]) {
    let (rows, cols) = (x.rows(), x.cols());
    let reach = window.reach(rows);
    let sink = Sink::new(out, rows, cols);
    let exec = exec.for_work(rows * cols * 16);
    let tiles = Tiles::new(rows, cols, height(exec, rows, cols, reach));
    exec.for_each_with(
        tiles.count(),
        || Scratch::new(reach),
        |scratch, i| {
            let tile = tiles.tile(i);
            simd::run(exec.level(), Pass { ranks, x, window, reach, tile, sink, scratch });
        },
    );
}

/// Rows of a task, whole blocks. The results are exact, so the cut changes no bit; each task first
/// sorts the block before its own, so it should be long.
fn height(exec: Exec, rows: usize, cols: usize, reach: usize) -> usize {
    let strips = Tiles::new(rows, cols, rows).count().max(1);
    let chunks = if exec.threads() == 1 { 1 } else { (4 * exec.threads()).div_ceil(strips) };
    rows.div_ceil(chunks).max(4 * reach).next_multiple_of(reach)
}

/// The windows that end in some blocks of rows.
struct Pass<'a, 's, R> {
    ranks: R,
    x: Table<'a>,
    window: Window,
    reach: usize,
    tile: Tile,
    sink: Sink<'a>,
    scratch: &'s mut Scratch,
}

/// A sorted block of eight columns.
struct Run {
    keys: order::Lanes,
    counts: [f64; LANES],
}

/// What a thread needs.
struct Scratch {
    /// Places of a block; those of the next one follow.
    half: usize,
    /// The last block of every vector of a tile.
    runs: Vec<Run>,
    /// Two blocks of a vector: marked values, values by place, and the results of one.
    keys: order::Lanes,
    values: Columns,
    results: Columns,
    places: Places,
    column: Column,
    room: Room,
    tied: Vec<(f64, usize)>,
}

impl Scratch {
    fn new(reach: usize) -> Scratch {
        let half = reach.next_power_of_two().max(order::BLOCK);
        let (mut values, mut results) = (Columns::default(), Columns::default());
        values.resize(2 * half);
        results.resize(half);
        Scratch {
            half,
            runs: Vec::new(),
            keys: order::Lanes::new(2 * half),
            values,
            results,
            places: Places::default(),
            column: Column {
                ranks: vec![0; 2 * half],
                values: vec![0.0; 2 * half],
                ties: vec![(0, 0); 2 * half],
            },
            room: Room::default(),
            tied: Vec::new(),
        }
    }
}

impl<R: Ranks> Kernel for Pass<'_, '_, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let (reach, half) = (self.reach, self.scratch.half);
        let Range { start: top, end: bottom } = self.tile.rows;
        let vectors = self.tile.vectors(reach);
        for (g, at) in vectors.enumerate() {
            if g == self.scratch.runs.len() {
                let run = Run { keys: order::Lanes::new(half), counts: [0.0; LANES] };
                self.scratch.runs.push(run);
            }
            let before = top.saturating_sub(reach)..top;
            let counts = self.sort::<S>(before, at, half * ((top / reach + 1) % 2));
            self.scratch.store_run(g, counts);
        }
        for start in (top..bottom).step_by(reach) {
            let block = start..(start + reach).min(bottom);
            for (g, at) in self.tile.vectors(reach).enumerate() {
                self.block::<S>(block.clone(), at, g);
            }
        }
    }
}

impl<R: Ranks> Pass<'_, '_, R> {
    /// Results of the windows of vector `g` that end in `block`.
    #[inline(always)]
    fn block<S: Simd>(&mut self, block: Range<usize>, at: Lanes, g: usize) {
        let (reach, half) = (self.reach, self.scratch.half);
        // Blocks take turns, so that a run keeps its places.
        let here = half * (block.start / reach % 2);
        let there = half - here;
        self.read::<S>(block.start.saturating_sub(reach)..block.start, at, there, false);
        let counts = self.sort::<S>(block.clone(), at, here);
        let scratch = &mut *self.scratch;
        let earlier = scratch.runs[g].counts;
        let used = half + block.len().next_multiple_of(order::BLOCK);
        scratch.exchange_run(g, counts);
        let keys = &mut scratch.keys.values_mut()[..used * LANES];
        network::merge::<S::Register>(keys, half);
        scratch.places.keep::<S>(keys, places::mask(2 * half));
        for l in 0..at.count {
            self.slide::<S>(l, (counts[l] + earlier[l]) as usize, there, here, block.len());
        }
        for (i, t) in block.clone().step_by(LANES).enumerate() {
            let rows = self.scratch.results.get::<S>(i * LANES);
            for (t, row) in (t..block.end).zip(rows) {
                // SAFETY: the tile belongs to this task.
                unsafe { self.sink.put::<S>(t, at, row) };
            }
        }
    }

    /// Sort `rows` of eight columns into the upper half of the keys, their places counted from
    /// `first`; returns how many values each column holds.
    #[inline(always)]
    fn sort<S: Simd>(&mut self, rows: Range<usize>, at: Lanes, first: usize) -> [f64; LANES] {
        let count = rows.len();
        let counts = self.read::<S>(rows, at, first, true);
        let half = self.scratch.half;
        let keys = &mut self.scratch.keys.values_mut()[half * LANES..];
        let (sorted, unused) = keys.split_at_mut(count.next_multiple_of(order::BLOCK) * LANES);
        sorted[count * LANES..].fill(f64::NAN);
        places::mark_all(sorted, places::mask(2 * half), first);
        order::sort::<S>(sorted);
        unused.fill(f64::INFINITY);
        counts
    }

    /// Bring `rows` to their places, from `first` on, and if asked to into the upper half of the
    /// keys; returns how many values each column holds.
    #[inline(always)]
    fn read<S: Simd>(
        &mut self,
        rows: Range<usize>,
        at: Lanes,
        first: usize,
        keys: bool,
    ) -> [f64; LANES] {
        let Scratch { keys: lanes, values, half, .. } = &mut *self.scratch;
        let upper = &mut lanes.values_mut()[*half * LANES..];
        let mut counts = S::splat(0.0);
        for (i, top) in rows.clone().step_by(LANES).enumerate() {
            let mut eight = [S::splat(f64::NAN); LANES];
            for (t, row) in (top..rows.end).zip(&mut eight) {
                // SAFETY: the rows and columns of a tile, and the rows above it, exist.
                *row = unsafe { self.x.walk::<S>(t, at) };
                counts = S::add(counts, S::keep(S::valid(*row), S::splat(1.0)));
            }
            if keys {
                let block = &mut upper[i * LANES * LANES..][..LANES * LANES];
                for (row, key) in eight.into_iter().zip(block.chunks_exact_mut(LANES)) {
                    // SAFETY: a key row holds eight values.
                    unsafe { S::store(key.as_mut_ptr(), row) };
                }
            }
            values.put::<S>(first + i * LANES, eight);
        }
        S::to_array(counts)
    }

    /// Slide over lane `l`, which holds `count` values: the window holds the rows at `there`, then
    /// moves on through `steps` rows at `here`.
    #[inline(always)]
    fn slide<S: Simd>(&mut self, l: usize, count: usize, there: usize, here: usize, steps: usize) {
        let Scratch { places, values, results, column, room, tied, .. } = &mut *self.scratch;
        let mut set = room.empty(count);
        let nowhere = set.nowhere();
        if count < self.reach + steps {
            column.ranks.fill(nowhere);
        }
        let by_place = &values.column(l)[..column.ranks.len()];
        let Column { ranks, values: by_rank, ties: equal } = &mut *column;
        let (by_rank, equal) = (&mut by_rank[..count], &mut equal[..count]);
        places.lane(l, count).walk(
            tied,
            |place| by_place[place],
            |rank, place, ties| {
                assert!(rank < count);
                debug_assert!(place < ranks.len());
                // SAFETY: a key holds a place below twice `half`, which is how many there are.
                unsafe {
                    *ranks.get_unchecked_mut(place) = rank as u32;
                    by_rank[rank] = *by_place.get_unchecked(place);
                }
                if R::TIES {
                    equal[rank] = (ties.start as u32, ties.end as u32 - 1);
                }
            },
        );

        let leave = &column.ranks[there..there + self.reach];
        let come = &column.ranks[here..here + steps];
        set.fill(leave);
        for ((&leaves, &comes), result) in leave.iter().zip(come).zip(results.column_mut(l)) {
            set.replace(leaves, comes);
            *result = if set.count() < self.window.min_periods() {
                f64::NAN
            } else {
                let last = (comes != nowhere).then_some(comes as usize);
                self.ranks.of::<S>(&set, column, last)
            };
        }
    }
}

impl Scratch {
    /// Keep the upper half of the keys as the run of vector `g`.
    #[inline(always)]
    fn store_run(&mut self, g: usize, counts: [f64; LANES]) {
        let Run { keys, counts: kept } = &mut self.runs[g];
        keys.values_mut().copy_from_slice(&self.keys.values()[self.half * LANES..]);
        *kept = counts;
    }

    /// The same, with the run before in the lower half.
    #[inline(always)]
    fn exchange_run(&mut self, g: usize, counts: [f64; LANES]) {
        let half = self.half * LANES;
        self.keys.values_mut()[..half].copy_from_slice(self.runs[g].keys.values());
        self.store_run(g, counts);
    }
}

/// One column of two blocks.
pub struct Column {
    /// Rank of every place; beyond the set if there is no value.
    ranks: Vec<u32>,
    /// Value of every rank.
    values: Vec<f64>,
    /// First and last rank that hold the value of a rank.
    ties: Vec<(u32, u32)>,
}

impl Column {
    /// The value of a rank.
    #[inline(always)]
    pub fn value(&self, rank: usize) -> f64 {
        self.values[rank]
    }

    /// First and last rank that hold the value of a rank.
    #[inline(always)]
    pub fn ties(&self, rank: usize) -> RangeInclusive<usize> {
        let (first, last) = self.ties[rank];
        first as usize..=last as usize
    }
}
