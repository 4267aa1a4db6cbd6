//! Order statistics and ranks of long windows: values are ranked once, windows are sets of ranks.
//!
//! The rows are cut into blocks of one window length. Every block is sorted,
//! then merged with the one before. Every window that ends in it is then a set
//! of ranks, which a step leaves with one less and one more. The cost per value
//! hardly depends on the window. (The idea of sorting once: Suomela 2014,
//! Median filtering is equivalent to sorting.)

use std::ops::Range;

use crate::Exec;
use crate::network;
use crate::order;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::places;
use super::source::{Source, Table};
use super::tiles::{Lanes, Line, Sink, Tile, Tiles};

/// What windows give.
pub trait Windows: Copy + Sync {
    /// What a thread needs.
    type Room: Default;
    /// Put the results of the windows that end in the later block of a pair.
    fn run<S: Simd>(self, pair: Pair<'_>, window: Window, room: &mut Self::Room, put: Put<'_>);
}

/// Run `what` over every window of every column.
pub fn run<W: Windows>(exec: Exec, what: W, x: Table, window: Window, out: &mut [f64]) {
    let (rows, cols) = (x.rows(), x.cols());
    let reach = window.reach(rows);
    let sink = Sink::new(out, rows, cols);
    let exec = exec.for_work(rows * cols * 8);
    let tiles = Tiles::new(rows, cols, height(exec, rows, cols, reach));
    exec.for_each_with(
        tiles.count(),
        || (Scratch::new(reach), W::Room::default()),
        |(scratch, room), i| {
            let tile = tiles.tile(i);
            simd::run(exec.level(), Pass { what, x, window, reach, tile, sink, scratch, room });
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
struct Pass<'a, 's, W: Windows> {
    what: W,
    x: Table<'a>,
    window: Window,
    reach: usize,
    tile: Tile,
    sink: Sink<'a>,
    scratch: &'s mut Scratch,
    room: &'s mut W::Room,
}

/// A sorted block of eight columns.
struct Run {
    keys: order::Lanes,
    counts: [usize; LANES],
}

/// What a thread needs.
struct Scratch {
    /// Places of a block; those of the next one follow.
    half: usize,
    /// The last block of every vector of a tile.
    runs: Vec<Run>,
    /// Two blocks of a vector: marked values, and values by place.
    keys: order::Lanes,
    values: Vec<Line>,
}

impl Scratch {
    fn new(reach: usize) -> Scratch {
        let half = reach.next_power_of_two().max(order::BLOCK);
        Scratch {
            half,
            runs: Vec::new(),
            keys: order::Lanes::new(2 * half),
            values: vec![Line::splat(0.0); 2 * half],
        }
    }

    /// Keep the upper half of the keys as the run of vector `g`.
    #[inline(always)]
    fn store_run(&mut self, g: usize, counts: [usize; LANES]) {
        let Run { keys, counts: kept } = &mut self.runs[g];
        keys.values_mut().copy_from_slice(&self.keys.values()[self.half * LANES..]);
        *kept = counts;
    }

    /// The same, with the run before in the lower half.
    #[inline(always)]
    fn exchange_run(&mut self, g: usize, counts: [usize; LANES]) {
        let half = self.half * LANES;
        self.keys.values_mut()[..half].copy_from_slice(self.runs[g].keys.values());
        self.store_run(g, counts);
    }
}

impl<W: Windows> Kernel for Pass<'_, '_, W> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let (reach, half) = (self.reach, self.scratch.half);
        let Range { start: top, end: bottom } = self.tile.rows;
        let vectors = self.tile.vectors(reach);
        for (g, at) in vectors.enumerate() {
            if g == self.scratch.runs.len() {
                let run = Run { keys: order::Lanes::new(half), counts: [0; LANES] };
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

impl<W: Windows> Pass<'_, '_, W> {
    /// Results of the windows of vector `g` that end in `block`.
    #[inline(always)]
    fn block<S: Simd>(&mut self, block: Range<usize>, at: Lanes, g: usize) {
        let (reach, half) = (self.reach, self.scratch.half);
        // Blocks take turns, so that a run keeps its places.
        let here = half * (block.start / reach % 2);
        let there = half - here;
        self.read::<S>(block.start.saturating_sub(reach)..block.start, at, there, false);
        let counts = self.sort::<S>(block.clone(), at, here);
        let Scratch { runs, .. } = &*self.scratch;
        let earlier = runs[g].counts;
        let mut both = [0; LANES];
        for (l, both) in both.iter_mut().enumerate() {
            *both = counts[l] + earlier[l];
        }
        let used = half + block.len().next_multiple_of(order::BLOCK);
        self.scratch.exchange_run(g, counts);
        let Scratch { keys, values, .. } = &mut *self.scratch;
        let keys = &mut keys.values_mut()[..used * LANES];
        network::merge::<S::Register>(keys, half);
        let (steps, mask) = (block.len(), places::mask(2 * half));
        let (vector, lanes, counts) = (g, at.count, both);
        let pair =
            Pair { keys, mask, values, half, there, here, reach, steps, vector, lanes, counts };
        let put = Put { x: self.x, sink: self.sink, top: block.start, at };
        self.what.run::<S>(pair, self.window, self.room, put);
    }

    /// Sort `rows` of eight columns into the upper half of the keys, their places counted from
    /// `first`; returns how many values each column holds.
    #[inline(always)]
    fn sort<S: Simd>(&mut self, rows: Range<usize>, at: Lanes, first: usize) -> [usize; LANES] {
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
    ) -> [usize; LANES] {
        let Scratch { keys: lanes, values, half, .. } = &mut *self.scratch;
        let upper = lanes.values_mut()[*half * LANES..].chunks_exact_mut(LANES);
        let values = &mut values[first..][..rows.len()];
        let mut counts = S::splat(0.0);
        for ((t, value), key) in rows.zip(values).zip(upper) {
            // SAFETY: the rows and columns of a tile, and the rows above it, exist.
            let row = unsafe { self.x.row::<S>(t, at.first, at.count) };
            counts = S::add(counts, S::keep(S::valid(row), S::splat(1.0)));
            value.store::<S>(row);
            if keys {
                // SAFETY: a key row holds eight values.
                unsafe { S::store(key.as_mut_ptr(), row) };
            }
        }
        S::to_array(counts).map(|count| count as usize)
    }
}

/// Two blocks of eight columns in order.
pub struct Pair<'a> {
    /// Sorted values, which carry their places; row after row.
    pub keys: &'a mut [f64],
    /// The bits that hold a place.
    pub mask: u64,
    values: &'a [Line],
    /// Places of a block.
    pub half: usize,
    /// Where the earlier and the later block begin.
    pub there: usize,
    /// Where the later block begins.
    pub here: usize,
    /// Rows of the earlier block.
    pub reach: usize,
    /// Rows of the later block.
    pub steps: usize,
    /// Which vector of its tile it is.
    pub vector: usize,
    /// Columns.
    pub lanes: usize,
    /// Values of every column.
    pub counts: [usize; LANES],
}

impl Pair<'_> {
    /// Value of a place of lane `l`.
    #[inline(always)]
    pub fn value(&self, place: usize, l: usize) -> f64 {
        self.values[place].0[l]
    }

    /// Place of a rank of lane `l`.
    #[inline(always)]
    pub fn place(&self, rank: usize, l: usize) -> usize {
        (self.keys[rank * LANES + l].to_bits() & self.mask) as usize
    }

    /// Places of a rank.
    #[inline(always)]
    pub fn places<S: Simd>(&self, rank: usize) -> [i64; LANES] {
        let keys = &self.keys[rank * LANES..][..LANES];
        // SAFETY: eight keys are readable.
        let keys = S::as_int(unsafe { S::load(keys.as_ptr()) });
        S::to_array_i(S::and_i(keys, S::splat_i(self.mask as i64)))
    }

    /// Values of a rank in every lane.
    #[inline(always)]
    pub fn values<S: Simd>(&self, ranks: [usize; LANES]) -> S::F {
        let mut values = [0.0; LANES];
        for (l, (value, rank)) in values.iter_mut().zip(ranks).enumerate() {
            *value = self.value(self.place(rank, l), l);
        }
        S::from_array(values)
    }

    /// Is a rank of lane `l` in the window that ends in row `step` of the later block?
    #[inline(always)]
    fn is_in(&self, rank: usize, l: usize, step: usize) -> bool {
        // Places of the earlier block count from 0, those of the later one from `half`, and the
        // window is the `half` places from `step + 1` on.
        self.place(rank, l).wrapping_sub(self.there + step + 1) & self.half == 0
    }

    /// The rank in the window of `step` that follows `skip` others from rank `from` on.
    #[inline(always)]
    pub fn up(&self, from: i64, skip: i64, l: usize, step: usize) -> usize {
        let ranks = from.max(0) as usize..self.counts[l];
        let mut held = ranks.filter(|&rank| self.is_in(rank, l, step));
        held.nth(skip as usize).expect("a window holds the ranks it is asked for")
    }

    /// The rank in the window of `step` that precedes `skip` others below rank `from`.
    #[inline(always)]
    pub fn down(&self, from: i64, skip: i64, l: usize, step: usize) -> usize {
        let ranks = 0..(from.max(0) as usize).min(self.counts[l]);
        let mut held = ranks.rev().filter(|&rank| self.is_in(rank, l, step));
        held.nth(skip as usize).expect("a window holds the ranks it is asked for")
    }

    /// Bring values into order that agree in all bits but those of their places.
    #[inline(always)]
    pub fn settle<S: Simd>(&mut self, tied: &mut Vec<(f64, usize)>) {
        let keep = S::splat_i(!self.mask as i64);
        let mut near = S::from_bits(0);
        let all = self.counts[..self.lanes].iter().copied().max().unwrap_or(0);
        let mut before = S::splat_i(-1);
        for keys in self.keys[..all * LANES].chunks_exact(LANES) {
            // SAFETY: eight keys are readable.
            let key = S::and_i(keep, S::as_int(unsafe { S::load(keys.as_ptr()) }));
            near = S::or(near, S::eq_i(key, before));
            before = key;
        }
        let near = S::bits(near);
        for l in (0..self.lanes).filter(|l| near >> l & 1 == 1) {
            self.settle_lane(l, tied);
        }
    }

    fn settle_lane(&mut self, l: usize, tied: &mut Vec<(f64, usize)>) {
        let part = |key: f64| key.to_bits() & !self.mask;
        let mut from = 0;
        while from < self.counts[l] {
            let first = part(self.keys[from * LANES + l]);
            let rest = from + 1..self.counts[l];
            let end = rest.clone().find(|rank| part(self.keys[rank * LANES + l]) != first);
            let end = end.unwrap_or(rest.end);
            if end - from > 1 {
                tied.clear();
                let places = (from..end).map(|rank| self.place(rank, l));
                tied.extend(places.map(|place| (self.value(place, l), place)));
                if tied.iter().any(|tie| tie.0 != tied[0].0) {
                    tied.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                    for (rank, &(_, place)) in (from..end).zip(&*tied) {
                        self.keys[rank * LANES + l] = f64::from_bits(first | place as u64);
                    }
                }
            }
            from = end;
        }
    }
}

/// Where the results of a block go.
pub struct Put<'a> {
    x: Table<'a>,
    sink: Sink<'a>,
    top: usize,
    at: Lanes,
}

impl Put<'_> {
    /// The results of row `step`; asks for the rows that the next vector reads.
    #[inline(always)]
    pub fn row<S: Simd>(&self, step: usize, results: S::F) {
        self.x.prefetch(self.top + step + self.at.down, self.at.right);
        // SAFETY: the tile belongs to this task.
        unsafe { self.sink.put::<S>(self.top + step, self.at, results) };
    }
}
