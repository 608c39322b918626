//! What a CPU can do and the language has no safe word for.

/// Asks the cache for the line at `at`. Any address is allowed: a prefetch cannot fault.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address, mapped or not, has no effect that a program can see.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks the cache for a line to write to: no other core keeps a copy, that would have to be asked for at the first
/// write.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as `prefetch`; CPUs that do not know the instruction take it for none. The compiler has no
    // other way to say it without assuming more of the CPU.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Which of the eight 16-bit lanes of `words` hold `lane`: bit k for the k-th, lane 0 in the lowest bits of the
/// first word.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn equal_lanes([first, second]: [u64; 2], lane: u16) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_set_epi64x, _mm_set1_epi16, _mm_setzero_si128,
    };
    // SAFETY: every x86-64 has SSE2.
    unsafe {
        let equal = _mm_cmpeq_epi16(_mm_set_epi64x(second as i64, first as i64), _mm_set1_epi16(lane as i16));
        _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) as u32
    }
}

/// Which of the eight 16-bit lanes of `words` hold `lane`: bit k for the k-th, lane 0 in the lowest bits of the
/// first word.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn equal_lanes(words: [u64; 2], lane: u16) -> u32 {
    let lanes = words.into_iter().flat_map(|word| (0..4).map(move |i| (word >> (16 * i)) as u16));
    lanes.zip(0..).map(|(has, i)| u32::from(has == lane) << i).sum()
}
