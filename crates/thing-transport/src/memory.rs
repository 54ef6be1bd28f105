//! Memory that is cold: ten thousand sessions do not fit into a cache, and each is needed once in a while.

/// Bytes that come together.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Asks for the memory of a value that is about to be needed: what is fetched at once comes in the time of one line, what is fetched
/// as it is met in the time of all.
#[inline]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the compiler cannot check addresses that it does not compute"))]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        let first = std::ptr::from_ref(value).cast::<i8>();
        for offset in (0..size_of::<T>()).step_by(LINE) {
            // SAFETY: a hint, which reads nothing; the address lies within the value.
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(first.add(offset)) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
