//! A set of ranks that counts the ranks below any other without a search.

/// Words that are counted together.
const TOGETHER: usize = 8;

/// Memory of a set.
#[derive(Default)]
pub struct Room {
    words: Vec<u64>,
    upto: Vec<[u32; TOGETHER]>,
}

impl Room {
    /// A set without any of `ranks` ranks.
    #[inline(always)]
    pub fn empty(&mut self, ranks: usize) -> RankSet<'_> {
        let groups = ranks.div_ceil(64 * TOGETHER).max(1);
        self.words.clear();
        self.words.resize(groups * TOGETHER + 1, 0);
        self.upto.clear();
        self.upto.resize(groups, [0; TOGETHER]);
        RankSet { words: &mut self.words, upto: &mut self.upto }
    }
}

/// Ranks below a bound, one bit each.
pub struct RankSet<'a> {
    /// The bits, and a last word of what is nowhere.
    words: &'a mut [u64],
    /// Ranks in every word and those before it.
    upto: &'a mut [[u32; TOGETHER]],
}

impl RankSet<'_> {
    /// A rank that stands for no value: whether it is in the set does not count.
    #[inline(always)]
    pub fn nowhere(&self) -> u32 {
        64 * (self.words.len() as u32 - 1)
    }

    /// Put `ranks` into an empty set.
    #[inline(always)]
    pub fn fill(&mut self, ranks: &[u32]) {
        for &rank in ranks {
            self.words[rank as usize / 64] |= 1 << (rank % 64);
        }
        let mut sum = 0;
        for (upto, word) in self.upto.as_flattened_mut().iter_mut().zip(&*self.words) {
            sum += word.count_ones();
            *upto = sum;
        }
    }

    /// Take one rank out and put another in.
    #[inline(always)]
    pub fn replace(&mut self, leaves: u32, comes: u32) {
        let (less, more) = (leaves / 64, comes / 64);
        self.words[less as usize] &= !(1 << (leaves % 64));
        self.words[more as usize] |= 1 << (comes % 64);
        let (mut less, mut more) = (less as i32, more as i32);
        for eight in &mut *self.upto {
            for (j, upto) in (0..).zip(eight) {
                let change = u32::from(more <= j).wrapping_sub(u32::from(less <= j));
                *upto = upto.wrapping_add(change);
            }
            (less, more) = (less - TOGETHER as i32, more - TOGETHER as i32);
        }
    }

    /// Number of ranks.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.upto[self.upto.len() - 1][TOGETHER - 1] as usize
    }

    /// How many ranks are below `rank`.
    #[inline(always)]
    pub fn below(&self, rank: usize) -> u32 {
        let others = self.words[rank / 64] & (!0 << (rank % 64));
        self.upto.as_flattened()[rank / 64] - others.count_ones()
    }

    /// How many ranks are at most `rank`.
    #[inline(always)]
    pub fn through(&self, rank: usize) -> u32 {
        let beyond = self.words[rank / 64] & (!1 << (rank % 64));
        self.upto.as_flattened()[rank / 64] - beyond.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn walk(start: &[u32], moves: &[(u32, u32)], bound: usize) {
        let mut room = Room::default();
        let mut set = room.empty(bound);
        let nowhere = set.nowhere();
        set.fill(start);
        let mut truth: BTreeSet<usize> = start.iter().map(|&rank| rank as usize).collect();
        for &(leaves, comes) in moves {
            let leaves = if truth.remove(&(leaves as usize)) { leaves } else { nowhere };
            let comes = if truth.insert(comes as usize) { comes } else { nowhere };
            set.replace(leaves, comes);
            assert_eq!(set.count(), truth.len());
            for (i, &rank) in truth.iter().enumerate() {
                assert_eq!(set.below(rank) as usize, i);
                assert_eq!(set.through(rank) as usize, i + 1);
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_tree(
            start in prop::collection::btree_set(0u32..1500, 0..200),
            moves in prop::collection::vec((0u32..1500, 0u32..1500), 1..40),
        ) {
            let start: Vec<u32> = start.into_iter().collect();
            walk(&start, &moves, 1500);
        }
    }
}
