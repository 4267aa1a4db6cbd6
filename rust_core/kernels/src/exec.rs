//! How a kernel runs: thread count and SIMD level, as an argument.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Instruction set that a kernel is compiled for; all levels run the same source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every CPU of the architecture has.
    Baseline,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, DQ, BW, VL.
    Avx512,
}

impl Level {
    /// Every level, from the lowest.
    pub const ALL: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

    /// The highest level that this CPU runs.
    pub fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            use crate::simd::{avx2, avx512};
            if avx512::available() {
                return Level::Avx512;
            }
            if avx2::available() {
                return Level::Avx2;
            }
        }
        Level::Baseline
    }

    /// Name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Baseline => "baseline",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Threads and SIMD level of one call.
///
/// `level` never exceeds what the CPU runs: [`Exec::new`] lowers it.
#[derive(Clone, Copy, Debug)]
pub struct Exec {
    threads: usize,
    level: Level,
}

impl Exec {
    /// At least one thread, at most the CPU's level.
    pub fn new(threads: usize, level: Level) -> Exec {
        Exec { threads: threads.max(1), level: level.min(Level::detect()) }
    }

    /// One thread at the CPU's level.
    pub fn serial() -> Exec {
        Exec::new(1, Level::detect())
    }

    /// SIMD level to dispatch to.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Threads that a call may use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The same level on one thread when `work` (about nanoseconds) is too small to share.
    pub fn for_work(&self, work: usize) -> Exec {
        const NANOSECONDS_WORTH_A_THREAD: usize = 200_000;
        let threads = self.threads.min(work / NANOSECONDS_WORTH_A_THREAD).max(1);
        Exec { threads, ..*self }
    }

    /// Call `task(i)` once for every `i < n`, on up to `threads` threads.
    ///
    /// Threads live for this call only, so a forked child never inherits a
    /// pool. Which thread runs which `i` is not fixed; results must depend on
    /// `i` alone.
    pub fn for_each<F: Fn(usize) + Sync>(&self, n: usize, task: F) {
        self.for_each_with(n, || (), |(), i| task(i));
    }

    /// [`Exec::for_each`] with one scratch value per thread.
    pub fn for_each_with<S, I, F>(&self, n: usize, init: I, task: F)
    where
        I: Fn() -> S + Sync,
        F: Fn(&mut S, usize) + Sync,
    {
        let threads = self.threads.min(n);
        if threads <= 1 {
            let mut scratch = init();
            (0..n).for_each(|i| task(&mut scratch, i));
            return;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut scratch = init();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    break;
                }
                task(&mut scratch, i);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
    }
}

/// A mutable slice that several threads write at places that never overlap.
#[derive(Clone, Copy)]
pub struct SharedOut<'a, T = f64> {
    start: *mut T,
    len: usize,
    marker: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `slice`, whose caller promises disjoint ranges.
unsafe impl<T: Send> Send for SharedOut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedOut<'_, T> {}

impl<'a, T> SharedOut<'a, T> {
    /// Borrow `out` for the time of a parallel call.
    pub fn new(out: &'a mut [T]) -> Self {
        SharedOut { start: out.as_mut_ptr(), len: out.len(), marker: std::marker::PhantomData }
    }

    /// The range `[from, from + len)`.
    ///
    /// # Safety
    /// No two live slices overlap.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from + len <= self.len, "range outside the output");
        // SAFETY: in bounds by the assert, disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// Pointer to entry `at`, for strided lanes.
    ///
    /// # Safety
    /// `at` is in bounds and no other thread touches what is written through it.
    #[inline(always)]
    pub unsafe fn at(&self, at: usize) -> *mut T {
        debug_assert!(at < self.len.max(1));
        // SAFETY: in bounds by the caller's promise.
        unsafe { self.start.add(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_for_any_thread_count() {
        for threads in [1, 2, 3, 7] {
            let mut out = vec![0.0; 100];
            let shared = SharedOut::new(&mut out);
            Exec::new(threads, Level::Baseline).for_each(100, |i| {
                // SAFETY: one entry per task.
                let slot = unsafe { shared.slice(i, 1) };
                slot[0] += i as f64 + 1.0;
            });
            assert!(out.iter().enumerate().all(|(i, &v)| v == i as f64 + 1.0));
        }
    }

    #[test]
    fn level_never_exceeds_the_cpu() {
        assert!(Exec::new(1, Level::Avx512).level() <= Level::detect());
        assert_eq!(Level::from_name("avx2"), Some(Level::Avx2));
        assert_eq!(Level::from_name("mmx"), None);
    }
}
