//! A hint to the processor which memory is going to be read.

/// Asks the memory for the line that this begins in.
#[inline]
#[allow(unsafe_code, reason = "a hint to the processor, which no safe function gives")]
pub(crate) fn prefetch<T: ?Sized>(at: &T) {
    // SAFETY: a prefetch reads nothing that the program sees and never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast::<i8>());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
