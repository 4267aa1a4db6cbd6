//! A vertical sorting network: every lane of a buffer of rows is a column of its own.
//!
//! Lanes are sorted independently of each other by minimum and maximum alone. The sequence of
//! operations depends on the number of rows, never on the values, so there are no bad inputs.
//! Blocks of sixteen rows are sorted in registers (Green's network, 60 exchanges) and merged
//! bitonically, depth first, three stages per walk through the buffer.
//!
//! A row is one cache line. Where a register holds less, its parts go through every step one after
//! the other: sixteen of them are as many as most CPUs have registers.

/// Rows that are sorted in registers; a buffer has a multiple of it.
pub const BLOCK: usize = 16;
/// Bytes of a row.
const ROW: usize = 64;

/// A register that holds part of a row, or all of it.
pub trait Register: Copy {
    /// A value.
    type Item: Copy;
    /// No value is larger.
    const LAST: Self::Item;
    /// All lanes `x`.
    fn splat(x: Self::Item) -> Self;
    /// Read a register's values.
    ///
    /// # Safety
    /// They are readable at `p`.
    unsafe fn load(p: *const Self::Item) -> Self;
    /// Write a register's values.
    ///
    /// # Safety
    /// They are writable at `p`.
    unsafe fn store(self, p: *mut Self::Item);
    /// The smaller in every lane.
    fn min(self, other: Self) -> Self;
    /// The larger in every lane.
    fn max(self, other: Self) -> Self;
}

/// Sort every lane of `rows` ascending; what lies beyond the data holds [`Register::LAST`].
///
/// # Panics
/// The number of rows is not a multiple of [`BLOCK`].
#[inline(always)]
pub fn sort<R: Register>(rows: &mut [R::Item]) {
    let net = Net::<R> { start: rows.as_mut_ptr(), n: rows.len() / Net::<R>::LANES };
    let whole = rows.len().is_multiple_of(BLOCK * Net::<R>::LANES);
    assert!(whole, "rows must come in blocks of {BLOCK}");
    let blocks = net.n / BLOCK;
    for block in 0..blocks {
        net.sort_block(block * BLOCK);
        // Merge every aligned pair of runs that this block completes: the
        // buffer is sorted depth first, while its lower levels are in cache.
        let (done, mut run) = (block + 1, 1);
        while run < blocks && (done.is_multiple_of(2 * run) || done == blocks) {
            let base = block / (2 * run) * (2 * run);
            if base + run < done {
                net.merge(base * BLOCK, run * BLOCK);
            }
            run *= 2;
        }
    }
}

/// Merge the first `run` rows of every lane, which are sorted, with the others, which are, too.
///
/// # Panics
/// `run` is not [`BLOCK`] times a power of two, or the others are none, more than `run`, or in
/// part of a block.
#[inline(always)]
pub fn merge<R: Register>(rows: &mut [R::Item], run: usize) {
    let net = Net::<R> { start: rows.as_mut_ptr(), n: rows.len() / Net::<R>::LANES };
    let whole = rows.len().is_multiple_of(BLOCK * Net::<R>::LANES);
    assert!(whole, "rows must come in blocks of {BLOCK}");
    assert!(run >= BLOCK && run.is_power_of_two(), "a run is {BLOCK} rows times a power of two");
    assert!(run < net.n && net.n <= 2 * run, "the other run is as long at most");
    net.merge(0, run);
}

/// A buffer of `n` rows; rows from `n` on are imagined to hold [`Register::LAST`].
struct Net<R: Register> {
    start: *mut R::Item,
    n: usize,
}

impl<R: Register> Net<R> {
    /// Values in a row.
    const LANES: usize = ROW / size_of::<R::Item>();
    /// Registers in a row.
    const PARTS: usize = ROW / size_of::<R>();

    #[inline(always)]
    fn place(&self, row: usize, part: usize) -> *mut R::Item {
        debug_assert!(row < self.n && part < Self::PARTS);
        // SAFETY: `row < n`, and the slice behind `start` has `n` rows.
        unsafe { self.start.add(row * Self::LANES + part * (Self::LANES / Self::PARTS)) }
    }

    #[inline(always)]
    fn load(&self, row: usize, part: usize) -> R {
        // SAFETY: the place is that of a register in the slice.
        unsafe { R::load(self.place(row, part)) }
    }

    #[inline(always)]
    fn store(&self, row: usize, part: usize, x: R) {
        // SAFETY: as in `load`; `sort` holds the slice exclusively.
        unsafe { x.store(self.place(row, part)) }
    }

    /// A part of rows `from`, `from + step`, ...; `CUT` says that some may lie beyond the buffer.
    #[inline(always)]
    fn load_every<const N: usize, const CUT: bool>(
        &self,
        from: usize,
        step: usize,
        part: usize,
    ) -> [R; N] {
        let mut v = [R::splat(R::LAST); N];
        for (i, x) in v.iter_mut().enumerate() {
            if !CUT || from + i * step < self.n {
                *x = self.load(from + i * step, part);
            }
        }
        v
    }

    #[inline(always)]
    fn store_every<const N: usize, const CUT: bool>(
        &self,
        from: usize,
        step: usize,
        part: usize,
        v: &[R; N],
    ) {
        for (i, x) in v.iter().enumerate() {
            if !CUT || from + i * step < self.n {
                self.store(from + i * step, part, *x);
            }
        }
    }

    #[inline(always)]
    fn sort_block(&self, from: usize) {
        for part in 0..Self::PARTS {
            let mut v = self.load_every::<BLOCK, false>(from, 1, part);
            sort_registers(&mut v);
            self.store_every::<BLOCK, false>(from, 1, part, &v);
        }
    }

    /// Merge the sorted runs `[base, base + m)` and `[base + m, base + 2 m)`.
    #[inline(always)]
    fn merge(&self, base: usize, m: usize) {
        // log2(2 m) stages: the last four are done in registers; as many as
        // leave a multiple of three between are done with the mirror stage.
        let mut step = match m.trailing_zeros() {
            4 => self.mirror::<1>(base, m),
            k => match (k - 5) % 3 {
                0 => self.mirror::<2>(base, m),
                1 => self.mirror::<4>(base, m),
                _ => self.mirror::<8>(base, m),
            },
        };
        let end = (base + 2 * m).min(self.n);
        while step > BLOCK {
            step /= 8;
            self.clean::<8>(base, end, step);
        }
        self.clean::<BLOCK>(base, end, 1);
    }

    /// Compare row `i` of the lower run with row `i` from the end of the upper one, then clean
    /// both halves down to the distance returned.
    #[inline(always)]
    fn mirror<const N: usize>(&self, base: usize, m: usize) -> usize {
        let step = m / N;
        let top = base + 2 * m;
        let whole = (top.saturating_sub(self.n)).min(step);
        for i in 0..whole {
            self.mirror_one::<N, true>(base + i, top - 1 - i, step);
        }
        for i in whole..step {
            self.mirror_one::<N, false>(base + i, top - 1 - i, step);
        }
        step
    }

    #[inline(always)]
    fn mirror_one<const N: usize, const CUT: bool>(&self, first: usize, last: usize, step: usize) {
        let upper = last - (N - 1) * step;
        for part in 0..Self::PARTS {
            let mut low = self.load_every::<N, false>(first, step, part);
            let mut high = self.load_every::<N, CUT>(upper, step, part);
            for i in 0..N {
                let (a, b) = (low[i], high[N - 1 - i]);
                low[i] = a.min(b);
                high[N - 1 - i] = a.max(b);
            }
            clean_registers(&mut low);
            clean_registers(&mut high);
            self.store_every::<N, false>(first, step, part, &low);
            self.store_every::<N, CUT>(upper, step, part, &high);
        }
    }

    /// The stages of distance `N / 2 * step`, ..., `step` on rows `[base, end)`.
    #[inline(always)]
    fn clean<const N: usize>(&self, base: usize, end: usize, step: usize) {
        for group in (base..end).step_by(N * step) {
            // Where the last row of a set of N lies beyond the buffer, others may too.
            let whole = self.n.saturating_sub(group + (N - 1) * step).min(step);
            for i in group..group + whole {
                self.clean_one::<N, false>(i, step);
            }
            for i in group + whole..(group + step).min(end) {
                self.clean_one::<N, true>(i, step);
            }
        }
    }

    #[inline(always)]
    fn clean_one<const N: usize, const CUT: bool>(&self, first: usize, step: usize) {
        for part in 0..Self::PARTS {
            let mut v = self.load_every::<N, CUT>(first, step, part);
            clean_registers(&mut v);
            self.store_every::<N, CUT>(first, step, part, &v);
        }
    }
}

#[inline(always)]
fn exchange<R: Register, const N: usize>(v: &mut [R; N], low: usize, high: usize) {
    let (a, b) = (v[low], v[high]);
    v[low] = a.min(b);
    v[high] = a.max(b);
}

/// Half-cleaners of distance `N / 2`, ..., 1.
#[inline(always)]
fn clean_registers<R: Register, const N: usize>(v: &mut [R; N]) {
    let mut distance = N / 2;
    while distance > 0 {
        for i in 0..N {
            if i & distance == 0 {
                exchange(v, i, i + distance);
            }
        }
        distance /= 2;
    }
}

/// Sort sixteen registers with Green's network. Written out, so that all of them stay registers.
#[inline(always)]
#[rustfmt::skip]
fn sort_registers<R: Register>(v: &mut [R; BLOCK]) {
    macro_rules! exchanges {
        ($($low:literal $high:literal),*) => { $(exchange(v, $low, $high);)* };
    }
    exchanges!(0 1, 2 3, 4 5, 6 7, 8 9, 10 11, 12 13, 14 15);
    exchanges!(0 2, 4 6, 8 10, 12 14, 1 3, 5 7, 9 11, 13 15);
    exchanges!(0 4, 8 12, 1 5, 9 13, 2 6, 10 14, 3 7, 11 15);
    exchanges!(0 8, 1 9, 2 10, 3 11, 4 12, 5 13, 6 14, 7 15);
    exchanges!(5 10, 6 9, 3 12, 13 14, 4 8, 7 11, 1 2);
    exchanges!(1 4, 7 13, 2 8, 11 14);
    exchanges!(2 4, 5 6, 9 10, 11 13, 3 8, 7 12);
    exchanges!(6 8, 10 12, 3 5, 7 9);
    exchanges!(3 4, 5 6, 7 8, 9 10, 11 12);
    exchanges!(6 7, 8 9);
}
