//! Memory that is cold: ten thousand sessions do not fit into a cache, and each is needed once in a while.

/// Bytes that come together.
const LINE: usize = 64;

/// Where a value lies. It may be gone by the time that it is fetched: then that was for nothing.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    first: *const u8,
    bytes: usize,
}

impl Span {
    pub(crate) const EMPTY: Self = Self { first: std::ptr::null(), bytes: 0 };

    pub(crate) fn of<T: ?Sized>(value: &T) -> Self {
        Self { first: std::ptr::from_ref(value).cast(), bytes: size_of_val(value) }
    }

    /// The beginning of a value of unknown size.
    pub(crate) fn at(value: *const ()) -> Self {
        Self { first: value.cast(), bytes: 2 * LINE }
    }

    /// Asks for it: what is fetched at once comes in the time of one line, what is fetched as it is met in the time of all.
    #[inline]
    pub(crate) fn prefetch(self) {
        for offset in (0..self.bytes).step_by(LINE) {
            prefetch_line(self.first.wrapping_add(offset));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the compiler cannot check addresses that it does not compute")]
fn prefetch_line(at: *const u8) {
    // SAFETY: a hint, which reads nothing and never faults, whatever the address.
    unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line(_at: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_gone_may_be_asked_for() {
        let gone = Span::of(&*Box::new([0_u8; 1 << 20]));
        for span in [gone, Span::EMPTY, Span::at(std::ptr::null())] {
            span.prefetch();
        }
        assert_eq!((gone.bytes, Span::of("name").bytes), (1 << 20, 4));
    }
}
