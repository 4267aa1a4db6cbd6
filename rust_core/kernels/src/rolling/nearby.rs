//! Order statistics of long windows, from the ranks near the one that is wanted.
//!
//! A window that slides by one row moves its order statistic by a value or two. So of the set of
//! ranks that a window holds only 64 are kept, as the bits of a word about the statistic, and how
//! many ranks lie below: eight columns fit a few registers. When a statistic leaves its word, the
//! words are set about the statistics anew, by going through the rows of the window once.

use crate::simd::{LANES, Simd};

use super::Window;
use super::ranked::{Pair, Put, Windows};

/// Ranks of a word.
const WORD: i64 = 64;
/// The rank of a missing value, beyond all others.
const NOWHERE: u32 = i32::MAX as u32;

/// An order statistic between two neighbouring values.
pub trait Between: Copy + Sync {
    /// The lower one of `count` values, counted from 0, and how far to go to the next one.
    fn place<S: Simd>(self, count: S::F) -> (S::I, S::F);
    /// So far from `low` to `high`; `low` and `high` are equal where it is 0.
    fn between<S: Simd>(self, low: S::F, high: S::F, share: S::F) -> S::F;
}

/// What a thread needs.
#[derive(Default)]
pub struct Room {
    /// Rank of every place.
    ranks: Vec<[u32; LANES]>,
    /// Where the last statistics of every vector of a tile lay: it is where to begin.
    places: Vec<[usize; LANES]>,
    tied: Vec<(f64, usize)>,
}

impl<B: Between> Windows for B {
    type Room = Room;
    #[inline(always)]
    fn run<S: Simd>(self, mut pair: Pair<'_>, window: Window, room: &mut Room, put: Put<'_>) {
        pair.settle::<S>(&mut room.tied);
        rank::<S>(&pair, &mut room.ranks);
        if pair.vector >= room.places.len() {
            room.places.resize(pair.vector + 1, [0; LANES]);
        }
        let (ranks, places) = (&room.ranks, &mut room.places[pair.vector]);
        let mut near = Nearby::<S>::new();
        near.begin(&pair, ranks, places);
        let need = S::splat(window.min_periods() as f64);
        let used = S::from_bits(u8::MAX >> (LANES - pair.lanes));
        for step in 0..pair.steps {
            near.turn(&ranks[pair.there + step], false);
            near.turn(&ranks[pair.here + step], true);
            let count = S::to_float(near.count);
            let (wanted, share) = self.place::<S>(count);
            let live = S::and(used, S::le(need, count));
            if S::any(S::and(live, S::not(near.holds(wanted)))) {
                near.aim(&pair, ranks, step, S::bits(live), wanted);
            }
            let found = near.find(wanted, live);
            let low = pair.values::<S>(found.ranks);
            let further = S::and(live, S::lt(S::splat(0.0), share));
            let high = match S::bits(further) {
                0 => low,
                lanes => {
                    let next = found.next(&pair, lanes, step);
                    S::select(further, pair.values::<S>(next), low)
                }
            };
            let result = self.between::<S>(low, high, share);
            put.row::<S>(step, S::select(live, result, S::splat(f64::NAN)));
            if step + 1 == pair.steps {
                for (l, place) in places.iter_mut().enumerate() {
                    *place = pair.place(found.ranks[l], l);
                }
            }
        }
    }
}

/// Bring the rank of every value to its place.
#[inline(always)]
fn rank<S: Simd>(pair: &Pair<'_>, ranks: &mut Vec<[u32; LANES]>) {
    ranks.clear();
    ranks.resize(2 * pair.half, [NOWHERE; LANES]);
    let counts = &pair.counts[..pair.lanes];
    let all = counts.iter().copied().min().unwrap_or(0);
    for rank in 0..all {
        let places = pair.places::<S>(rank);
        for (l, &place) in places[..pair.lanes].iter().enumerate() {
            ranks[place as usize][l] = rank as u32;
        }
    }
    for (l, &count) in counts.iter().enumerate() {
        for rank in all..count {
            ranks[pair.place(rank, l)][l] = rank as u32;
        }
    }
}

/// The ranks of eight windows near the ones that are wanted.
struct Nearby<S: Simd> {
    /// The rank of the first bit.
    start: S::I,
    word: S::I,
    /// How many ranks lie below the word, and below its end.
    below: S::I,
    upto: S::I,
    /// How many there are.
    count: S::I,
}

impl<S: Simd> Nearby<S> {
    #[inline(always)]
    fn new() -> Nearby<S> {
        let zero = S::splat_i(0);
        Nearby { start: zero, word: zero, below: zero, upto: zero, count: zero }
    }

    /// Take a row of ranks out, or put it in.
    #[inline(always)]
    fn turn(&mut self, ranks: &[u32; LANES], comes: bool) {
        let (zero, one) = (S::splat_i(0), S::splat_i(1));
        let change = S::splat_i(if comes { 1 } else { -1 });
        let rank = S::widen(ranks);
        let at = S::sub_i(rank, self.start);
        let somewhere = S::lt_i(rank, S::splat_i(i64::from(NOWHERE)));
        let below = S::lt_i(at, zero);
        let upto = S::lt_i(at, S::splat_i(WORD));
        self.word = S::xor_i(self.word, S::shl_i(one, at));
        self.below = S::add_i(self.below, S::select_i(below, change, zero));
        self.upto = S::add_i(self.upto, S::select_i(upto, change, zero));
        self.count = S::add_i(self.count, S::select_i(somewhere, change, zero));
    }

    /// Put in the rows of the windows that end before the later block, with words about `places`.
    #[inline(always)]
    fn begin(&mut self, pair: &Pair<'_>, ranks: &[[u32; LANES]], places: &[usize; LANES]) {
        let mut start = [0; LANES];
        for (l, start) in start.iter_mut().enumerate() {
            let rank = i64::from(ranks[places[l]][l]).min(pair.counts[l] as i64);
            *start = rank - WORD / 2;
        }
        self.start = S::from_array_i(start);
        for row in &ranks[pair.there..pair.there + pair.reach] {
            self.turn(row, true);
        }
    }

    /// Does the word hold the `i`-th rank?
    #[inline(always)]
    fn holds(&self, i: S::I) -> S::M {
        S::and(S::not(S::lt_i(i, self.below)), S::lt_i(i, self.upto))
    }

    /// The `i`-th ranks of some lanes; 0 in the others.
    #[inline(always)]
    fn find(&self, i: S::I, lanes: S::M) -> Found {
        let zero = S::splat_i(0);
        let nth = S::select_i(lanes, S::sub_i(i, self.below), zero);
        let (nth, words) = (S::to_array_i(nth), S::select_i(lanes, self.word, S::splat_i(1)));
        let starts = S::to_array_i(S::select_i(lanes, self.start, zero));
        let words = S::to_array_i(words).map(|word| word as u64);
        let (mut bits, mut ranks) = ([0; LANES], [0; LANES]);
        for (bit, (&word, nth)) in bits.iter_mut().zip(words.iter().zip(nth)) {
            *bit = S::nth_bit(word, nth as u32);
        }
        for (rank, (&start, &bit)) in ranks.iter_mut().zip(starts.iter().zip(&bits)) {
            *rank = (start + i64::from(bit)) as usize;
        }
        Found { starts, words, bits, ranks }
    }

    /// Set the words of some lanes about their `i`-th ranks, after so many steps.
    #[inline(always)]
    fn aim(&mut self, pair: &Pair<'_>, ranks: &[[u32; LANES]], step: usize, lanes: u8, i: S::I) {
        let mut starts = S::to_array_i(self.start);
        let (words, wanted) = (S::to_array_i(self.word), S::to_array_i(i));
        let (below, upto) = (S::to_array_i(self.below), S::to_array_i(self.upto));
        for (l, start) in starts.iter_mut().enumerate() {
            if lanes >> l & 1 == 0 {
                continue;
            }
            let rank = if wanted[l] < below[l] {
                pair.down(*start, below[l] - wanted[l] - 1, l, step) as i64
            } else if wanted[l] >= upto[l] {
                pair.up(*start + WORD, wanted[l] - upto[l], l, step) as i64
            } else {
                *start + i64::from(S::nth_bit(words[l] as u64, (wanted[l] - below[l]) as u32))
            };
            *start = rank - WORD / 2;
        }
        let count = self.count;
        *self = Nearby { start: S::from_array_i(starts), ..Nearby::new() };
        for row in &ranks[pair.there + step + 1..pair.there + pair.reach] {
            self.turn(row, true);
        }
        for row in &ranks[pair.here..=pair.here + step] {
            self.turn(row, true);
        }
        self.count = count;
    }
}

/// Ranks, and where their bits are.
struct Found {
    starts: [i64; LANES],
    words: [u64; LANES],
    bits: [u32; LANES],
    ranks: [usize; LANES],
}

impl Found {
    /// The next ranks of some lanes; the same in the others.
    #[inline(always)]
    fn next(&self, pair: &Pair<'_>, lanes: u8, step: usize) -> [usize; LANES] {
        let mut next = [0; LANES];
        let mut beyond = 0;
        for (l, (next, &start)) in next.iter_mut().zip(&self.starts).enumerate() {
            let rest = self.words[l] & (!1 << self.bits[l]);
            beyond |= u8::from(rest == 0) << l;
            *next = (start + i64::from(rest.trailing_zeros())) as usize;
        }
        if beyond != 0 {
            for l in (0..LANES).filter(|l| beyond >> l & 1 == 1) {
                next[l] = match lanes >> l & 1 {
                    0 => self.ranks[l],
                    _ => pair.up(self.starts[l] + WORD, 0, l, step),
                };
            }
        }
        next
    }
}
