//! Bits of a word.

/// Position of the `i`-th set bit of a byte, for all `i` and bytes.
static NTH_OF_BYTE: [[u8; 256]; 8] = {
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
pub fn nth(word: u64, i: u32) -> u32 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let i = u64::from(i);
    let pairs = word - ((word >> 1) & (ONES * 0x55));
    let nibbles = (pairs & (ONES * 0x33)) + ((pairs >> 2) & (ONES * 0x33));
    let bytes = (nibbles + (nibbles >> 4)) & (ONES * 0x0f);
    let upto = bytes.wrapping_mul(ONES); // set bits up to and including each byte
    let passed = ((((i * ONES) | TOPS) - upto) & TOPS) >> 7; // bytes to leave behind
    let shift = (passed.wrapping_mul(ONES) >> 56) as u32 * 8;
    let rest = i - (((upto << 8) >> shift) & 0xff);
    shift + u32::from(NTH_OF_BYTE[(rest & 7) as usize][((word >> shift) & 0xff) as usize])
}

/// [`nth`] by depositing bits, a matter of few cycles on most CPUs that do it.
///
/// # Safety
/// The CPU has BMI2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn nth_by_deposit(word: u64, i: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { std::arch::x86_64::_pdep_u64(1 << i, word) }.trailing_zeros()
}
