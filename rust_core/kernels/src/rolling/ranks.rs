//! Rank of the last value in its window; by counting where the window is short.

use crate::Exec;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::places::{Columns, Places};
use super::ranked::{self, Pair, Put, Windows};
use super::rankset;
use super::source::{Source, Table};
use super::tiles::{Line, Sink, Tile, Tiles};

/// Average rank of the last value divided by the count, down every column.
pub fn rank(exec: Exec, x: Table, window: Window, out: &mut [f64]) {
    if window.reach(x.rows()) >= LONG {
        ranked::run(exec, Last, x, window, out);
    } else {
        count(exec, x, window, out);
    }
}

/// From this window on, ranking the values once beats counting.
const LONG: usize = 100;

/// The same from ranks.
#[derive(Clone, Copy)]
struct Last;

/// What a thread needs to rank its columns one after the other.
#[derive(Default)]
struct Room {
    places: Places,
    /// Rank of every place; beyond the set if there is no value.
    ranks: Vec<u32>,
    /// First and last rank that hold the value of a rank.
    ties: Vec<(u32, u32)>,
    set: rankset::Room,
    results: Columns,
    tied: Vec<(f64, usize)>,
}

impl Windows for Last {
    type Room = Room;
    #[inline(always)]
    fn run<S: Simd>(self, pair: Pair<'_>, window: Window, room: &mut Room, put: Put<'_>) {
        room.places.keep::<S>(pair.keys, pair.mask);
        room.results.resize(pair.half);
        for l in 0..pair.lanes {
            room.slide(&pair, l, window.min_periods());
        }
        for top in (0..pair.steps).step_by(LANES) {
            let rows = room.results.get::<S>(top);
            for (step, row) in (top..pair.steps).zip(rows) {
                put.row::<S>(step, row);
            }
        }
    }
}

impl Room {
    /// Slide over lane `l`.
    #[inline(always)]
    fn slide(&mut self, pair: &Pair<'_>, l: usize, min_periods: usize) {
        let Room { places, ranks, ties, set, results, tied } = self;
        let count = pair.counts[l];
        let mut set = set.empty(count);
        let nowhere = set.nowhere();
        ranks.clear();
        ranks.resize(2 * pair.half, nowhere);
        ties.resize(2 * pair.half, (0, 0));
        let equal = &mut ties[..count];
        places.lane(l, count).walk(
            tied,
            |place| pair.value(place, l),
            |rank, place, ties| {
                assert!(rank < count);
                debug_assert!(place < ranks.len());
                // SAFETY: a key holds a place below twice `half`, which is how many there are.
                unsafe { *ranks.get_unchecked_mut(place) = rank as u32 };
                equal[rank] = (ties.start as u32, ties.end as u32 - 1);
            },
        );
        let leave = &ranks[pair.there..pair.there + pair.reach];
        let come = &ranks[pair.here..pair.here + pair.steps];
        set.fill(leave);
        for ((&leaves, &comes), result) in leave.iter().zip(come).zip(results.column_mut(l)) {
            set.replace(leaves, comes);
            *result = if comes == nowhere || set.count() < min_periods {
                f64::NAN
            } else {
                let (first, last) = ties[comes as usize];
                let upto = set.through(last as usize);
                let below = if first == last { upto - 1 } else { set.below(first as usize) };
                0.5 * f64::from(below + upto + 1) / set.count() as f64
            };
        }
    }
}

/// [`rank`] by counting.
fn count(exec: Exec, x: Table, window: Window, out: &mut [f64]) {
    let (rows, cols) = (x.rows(), x.cols());
    let sink = Sink::new(out, rows, cols);
    let reach = window.reach(rows);
    let exec = exec.for_work(rows * cols * (1 + reach / 16));
    let tiles = Tiles::new(rows, cols, (8 * reach).max(512));
    exec.for_each(tiles.count(), |i| {
        simd::run(exec.level(), Pass { x, window, tile: tiles.tile(i), sink });
    });
}

struct Pass<'a> {
    x: Table<'a>,
    window: Window,
    tile: Tile,
    sink: Sink<'a>,
}

impl Kernel for Pass<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        const ROWS_AT_A_TIME: usize = 64;
        let reach = self.window.reach(self.x.rows());
        let first = self.tile.rows.start.saturating_sub(reach - 1);
        let mut rings: Vec<_> = self.tile.vectors(0).map(|_| Ring::new(reach)).collect();
        for top in (first..self.tile.rows.end).step_by(ROWS_AT_A_TIME) {
            let bottom = (top + ROWS_AT_A_TIME).min(self.tile.rows.end);
            for (at, ring) in self.tile.vectors(ROWS_AT_A_TIME).zip(&mut rings) {
                for t in top..bottom {
                    // SAFETY: the rows exist and the tile belongs to this task.
                    unsafe {
                        let v = self.x.walk::<S>(t, at);
                        ring.push::<S>(v);
                        if t >= self.tile.rows.start {
                            let result = ring.rank::<S>(v, self.window.min_periods());
                            self.sink.put::<S>(t, at, result);
                        }
                    }
                }
            }
        }
    }
}

/// The last rows of eight columns, in any order; NaN where there is no value.
struct Ring {
    rows: Vec<Line>,
    oldest: usize,
    count: Line,
}

impl Ring {
    fn new(reach: usize) -> Ring {
        Ring { rows: vec![Line::splat(f64::NAN); reach], oldest: 0, count: Line::splat(0.0) }
    }

    #[inline(always)]
    fn push<S: Simd>(&mut self, v: S::F) {
        let one = S::splat(1.0);
        let leaves = S::valid(self.rows[self.oldest].load::<S>());
        let n = S::add(self.count.load::<S>(), S::keep(S::valid(v), one));
        self.count.store::<S>(S::sub(n, S::keep(leaves, one)));
        self.rows[self.oldest].store::<S>(v);
        self.oldest = if self.oldest + 1 == self.rows.len() { 0 } else { self.oldest + 1 };
    }

    /// `(below + (equal + 1) / 2) / n`, NaN where `v` is missing or `n < min_periods`.
    #[inline(always)]
    fn rank<S: Simd>(&self, v: S::F, min_periods: usize) -> S::F {
        let one = S::splat_i(1);
        let zero = S::splat_i(0);
        let (mut below, mut upto) = (zero, zero);
        for row in &self.rows {
            let other = row.load::<S>();
            below = S::add_i(below, S::select_i(S::lt(other, v), one, zero));
            upto = S::add_i(upto, S::select_i(S::le(other, v), one, zero));
        }
        let n = self.count.load::<S>();
        let twice = S::to_float(S::add_i(S::add_i(below, upto), one));
        let share = S::div(S::mul(S::splat(0.5), twice), n);
        let enough = S::and(S::valid(v), S::le(S::splat(min_periods as f64), n));
        S::select(enough, share, S::splat(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn ranks_of_values_ranked_once_are_the_counts() {
        const ODD: [f64; 6] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::NAN];
        let mut state = 1u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 33) % n
        };
        for (rows, cols, kinds) in [(0, 3, 5), (90, 11, 9), (700, 9, 40), (300, 1, 1 << 31)] {
            let mut value = || match below(9) {
                0 => ODD[below(6) as usize],
                _ => below(kinds) as f64 - 3.0,
            };
            let x: Vec<f64> = (0..rows * cols).map(|_| value()).collect();
            let table = Table::new(&x, rows, cols);
            for (len, need) in [(1, 1), (7, 3), (40, 40), (64, 2), (130, 1), (900, 5)] {
                let window = Window::new(len, need);
                for level in Level::ALL.into_iter().filter(|level| *level <= Level::detect()) {
                    let exec = Exec::new(2, level);
                    let (mut a, mut b) = (vec![-7.0; x.len()], vec![-7.0; x.len()]);
                    count(exec, table, window, &mut a);
                    ranked::run(exec, Last, table, window, &mut b);
                    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
                        let same = a == b || a.is_nan() && b.is_nan();
                        assert!(same, "{level:?} {rows} x {cols} window {len} entry {i}: {a} {b}");
                    }
                }
            }
        }
    }
}
