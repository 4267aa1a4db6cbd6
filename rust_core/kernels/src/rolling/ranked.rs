//! Order statistics of long windows: values are ranked once, windows are sets of ranks.
//!
//! The rows of two neighbouring blocks of one window length are sorted
//! together. Every window of the second block is then a set of bits, one per
//! rank, in which a step clears one bit and sets one; the wanted order
//! statistic is found by walking from word to word, at most a little, and
//! selecting within a word. The cost per value hardly depends on the window.
//! (The idea of sorting once: Suomela 2014, Median filtering is equivalent to
//! sorting.)

use crate::Exec;
use crate::order;
use crate::simd::{self, Kernel, LANES, Simd};

use super::Window;
use super::places::Places;
use super::source::{Source, Table};
use super::tiles::{Lanes, Line, Sink, Tile, Tiles};

/// Which ranks of a window are wanted, and what follows from their values.
pub trait Ranks: Copy + Sync {
    /// The lower rank, and how far the result lies towards the next one.
    fn place(self, n: usize) -> (usize, f64);
    /// The result between two neighbours.
    fn between(self, low: f64, high: f64, share: f64) -> f64;
}

/// Run `ranks` over every window of every column.
pub fn run<R: Ranks>(exec: Exec, ranks: R, x: Table, window: Window, out: &mut [f64]) {
    let (rows, cols) = (x.rows(), x.cols());
    let reach = window.reach(rows);
    let sink = Sink::new(out, rows, cols);
    let tiles = Tiles::new(rows, cols, reach);
    let exec = exec.for_work(rows * cols * 16);
    exec.for_each_with(
        tiles.count(),
        || Scratch::new(2 * reach),
        |scratch, i| {
            simd::run(exec.level(), Pass { ranks, x, window, tile: tiles.tile(i), sink, scratch });
        },
    );
}

/// The windows that end in one block of rows.
struct Pass<'a, 's, R> {
    ranks: R,
    x: Table<'a>,
    window: Window,
    tile: Tile,
    sink: Sink<'a>,
    scratch: &'s mut Scratch,
}

/// What a thread needs for two blocks of eight columns.
struct Scratch {
    keys: order::Lanes,
    places: Places,
    rows: Vec<Line>,
    results: Vec<Line>,
    column: Column,
    tied: Vec<(f64, usize)>,
}

impl Scratch {
    fn new(rows: usize) -> Scratch {
        Scratch {
            keys: order::Lanes::new(rows),
            places: Places::default(),
            rows: vec![Line::splat(f64::NAN); rows],
            results: vec![Line::splat(f64::NAN); rows],
            column: Column { ranks: vec![MISSING; rows], values: vec![0.0; rows] },
            tied: Vec::new(),
        }
    }
}

impl<R: Ranks> Kernel for Pass<'_, '_, R> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let block = self.tile.rows.clone();
        let before = block.start.min(self.window.len());
        for at in self.tile.vectors(block.len()) {
            let counts = self.sort::<S>(block.start - before, block.end, at);
            for (l, &count) in counts.iter().enumerate().take(at.count) {
                self.slide(l, count as usize, before, before + block.len());
            }
            for (t, result) in block.clone().zip(&self.scratch.results) {
                // SAFETY: the tile belongs to this task.
                unsafe { self.sink.put::<S>(t, at, result.load::<S>()) };
            }
        }
    }
}

impl<R: Ranks> Pass<'_, '_, R> {
    /// Sort rows `top .. bottom` of eight columns; returns how many values each holds.
    #[inline(always)]
    fn sort<S: Simd>(&mut self, top: usize, bottom: usize, at: Lanes) -> [f64; LANES] {
        let Scratch { keys, places, rows, .. } = &mut *self.scratch;
        let mut counts = S::splat(0.0);
        let used = (bottom - top).next_multiple_of(order::BLOCK);
        let keys = &mut keys.values_mut()[..used * LANES];
        keys[(bottom - top) * LANES..].fill(f64::NAN);
        for (t, key) in (top..bottom).zip(keys.chunks_exact_mut(LANES)) {
            // SAFETY: the rows and columns exist, and a key row holds eight values.
            unsafe {
                let v = self.x.walk::<S>(t, at);
                counts = S::add(counts, S::keep(S::valid(v), S::splat(1.0)));
                rows[t - top].store::<S>(v);
                S::store(key.as_mut_ptr(), v);
            }
        }
        places.sort::<S>(keys);
        S::to_array(counts)
    }

    /// Slide over lane `l`: the window holds the first `before` rows, then moves on to `end`.
    #[inline(always)]
    fn slide(&mut self, l: usize, count: usize, before: usize, end: usize) {
        let Scratch { places, rows, results, column, tied, .. } = &mut *self.scratch;
        column.ranks[..end].fill(MISSING);
        places.lane(l, count).walk(
            tied,
            |place| rows[place].0[l],
            |rank, place, _| {
                column.ranks[place] = rank as u32;
                column.values[rank] = rows[place].0[l];
            },
        );

        let mut set = RankSet::new(count);
        column.ranks[..before].iter().for_each(|&rank| set.insert(rank));
        for (i, result) in (before..end).zip(results) {
            if before > 0 {
                set.remove(column.ranks[i - before]);
            }
            set.insert(column.ranks[i]);
            result.0[l] = if set.len < self.window.min_periods() {
                f64::NAN
            } else {
                pick(self.ranks, &mut set, &column.values)
            };
        }
    }
}

/// The result of the window whose ranks are `set`.
#[inline(always)]
fn pick<R: Ranks>(ranks: R, set: &mut RankSet, values: &[f64]) -> f64 {
    let (rank, share) = ranks.place(set.len);
    let low = set.select(rank);
    if share == 0.0 {
        return values[low];
    }
    ranks.between(values[low], values[set.after(low)], share)
}

/// Rank of a missing value.
const MISSING: u32 = u32::MAX;

/// Rank of every row, and value of every rank, of one column.
struct Column {
    ranks: Vec<u32>,
    values: Vec<f64>,
}

/// A set of ranks that remembers where it was last asked.
struct RankSet {
    words: Vec<u64>,
    sizes: Vec<u8>,
    len: usize,
    /// A word, and the number of ranks in the words before it.
    word: usize,
    below: usize,
}

impl RankSet {
    fn new(ranks: usize) -> RankSet {
        let words = ranks.div_ceil(64).max(1);
        RankSet { words: vec![0; words], sizes: vec![0; words], len: 0, word: 0, below: 0 }
    }

    #[inline(always)]
    fn insert(&mut self, rank: u32) {
        if rank != MISSING {
            let word = rank as usize / 64;
            self.words[word] |= 1 << (rank % 64);
            self.sizes[word] += 1;
            self.len += 1;
            self.below += usize::from(word < self.word);
        }
    }

    #[inline(always)]
    fn remove(&mut self, rank: u32) {
        if rank != MISSING {
            let word = rank as usize / 64;
            self.words[word] &= !(1 << (rank % 64));
            self.sizes[word] -= 1;
            self.len -= 1;
            self.below -= usize::from(word < self.word);
        }
    }

    /// The `i`-th smallest rank, `i < len`.
    #[inline(always)]
    fn select(&mut self, i: usize) -> usize {
        while self.below > i {
            self.word -= 1;
            self.below -= usize::from(self.sizes[self.word]);
        }
        while self.below + usize::from(self.sizes[self.word]) <= i {
            self.below += usize::from(self.sizes[self.word]);
            self.word += 1;
        }
        64 * self.word + select_bit(self.words[self.word], i - self.below)
    }

    /// The rank after `rank`; there is one.
    #[inline(always)]
    fn after(&self, rank: usize) -> usize {
        let mut word = rank / 64;
        let mut rest = self.words[word] & (!1 << (rank % 64));
        while rest == 0 {
            word += 1;
            rest = self.words[word];
        }
        64 * word + rest.trailing_zeros() as usize
    }
}

/// Position of the `i`-th set bit of a byte, for all `i` and bytes.
static SELECT_IN_BYTE: [[u8; 256]; 8] = {
    let mut table = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut seen) = (0, 0);
        while bit < 8 {
            if (byte >> bit) & 1 == 1 {
                table[seen][byte] = bit as u8;
                seen += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

/// Position of the `i`-th set bit of `word`, which has more than `i`
/// (Vigna 2008, Broadword implementation of rank/select queries).
#[inline(always)]
fn select_bit(word: u64, i: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let pairs = word - ((word >> 1) & (ONES * 0x55));
    let nibbles = (pairs & (ONES * 0x33)) + ((pairs >> 2) & (ONES * 0x33));
    let bytes = (nibbles + (nibbles >> 4)) & (ONES * 0x0f);
    let upto = bytes.wrapping_mul(ONES); // set bits up to and including each byte
    let passed = ((((i as u64 * ONES) | TOPS) - upto) & TOPS) >> 7; // bytes to leave behind
    let shift = (passed.wrapping_mul(ONES) >> 56) * 8;
    let rest = i - (((upto << 8) >> shift) & 0xff) as usize;
    shift as usize + usize::from(SELECT_IN_BYTE[rest][((word >> shift) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_every_bit_of_many_words() {
        let mut word = 0x9e37_79b9_7f4a_7c15u64;
        for turn in 0..200u32 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let bits = match turn % 4 {
                0 => word,
                1 => word & word.rotate_left(13) & word.rotate_left(31),
                2 => word | word.rotate_left(13) | word.rotate_left(31),
                _ => (1 << (turn % 64)) | (1 << 63),
            };
            let set = (0..64).filter(|bit| (bits >> bit) & 1 == 1);
            for (i, bit) in set.enumerate() {
                assert_eq!(select_bit(bits, i), bit, "{bits:x} {i}");
            }
        }
        assert_eq!(select_bit(u64::MAX, 63), 63);
    }
}
