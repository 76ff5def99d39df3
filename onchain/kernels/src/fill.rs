//! One value written many times, by copies that double: the runtime copies 250 bytes for a compute unit, a loop two.

/// Writes `value` to `count` places from `at` on.
///
/// # Safety
/// `count` values are writable at `at`, which is aligned for them.
pub unsafe fn fill<T: Copy>(at: *mut T, count: usize, value: T) {
    let mut made = count.min(1);
    // SAFETY: `made` places are written, and no copy goes past `count`; its halves do not overlap.
    unsafe {
        at.copy_from_nonoverlapping(&value, made);
        while made < count {
            let more = made.min(count - made);
            at.add(made).copy_from_nonoverlapping(at, more);
            made += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn as_many_as_asked_and_no_more() {
        for count in 0..70 {
            let mut values = [7_u32; 72];
            // SAFETY: 71 values lie there.
            unsafe { fill(values.as_mut_ptr().add(1), count, 65_536) };
            assert!(values[1..=count].iter().all(|&value| value == 65_536));
            assert!(values[0] == 7 && values[count + 1..].iter().all(|&value| value == 7));
        }
    }
}
