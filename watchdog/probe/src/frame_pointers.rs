//! Unwinding by frame pointers: some twenty loads instead of a walk through unwind tables.
//!
//! Needs `-C force-frame-pointers=yes` for the whole program, and `CFLAGS=-fno-omit-frame-pointer` while jemalloc is
//! built. Code without frame pointers cuts a stack short or leaves out callers; it is never read out of bounds.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::c_uint;
use std::mem::MaybeUninit;
use std::ops::Range;

use tikv_jemalloc_ctl::raw;

use crate::error::ProbeError;

type Hook = extern "C" fn(*mut usize, *mut c_uint, c_uint);

/// Has jemalloc take stacks by this module from now on.
pub(crate) fn install() -> Result<(), ProbeError> {
    // SAFETY: jemalloc 5.3.1, `experimental_hooks_prof_backtrace_ctl` in `ctl.c`: the value written is a
    // `prof_backtrace_hook_t`, which `prof_hook.h` declares as `void (*)(void **, unsigned *, unsigned)`. The function
    // lives as long as the program and neither unwinds nor allocates with jemalloc.
    #[allow(unsafe_code)]
    unsafe { raw::write::<Hook>(b"experimental.hooks.prof_backtrace\0", backtrace) }
        .map_err(|source| ProbeError::Hook { key: "experimental.hooks.prof_backtrace", source })
}

extern "C" fn backtrace(vector: *mut usize, length: *mut c_uint, most: c_uint) {
    if vector.is_null() || length.is_null() {
        return;
    }
    // SAFETY: `prof_backtrace` in `prof_sys.c` passes a vector with room for `most` pointers, which the thread's
    // `prof_tdata_t` owns and nobody else uses meanwhile. Nothing is assumed of what is in it.
    #[allow(unsafe_code)]
    let vector = unsafe {
        std::slice::from_raw_parts_mut(vector.cast::<MaybeUninit<usize>>(), most as usize)
    };
    // The frames of all callers lie above this one.
    let here = (&raw const most).addr();
    let depth = stack_of(here).map_or(0, |end| walk(frame_pointer(), here..end, vector));
    // SAFETY: as above: `length` points to the length of that vector.
    #[allow(unsafe_code)]
    unsafe {
        *length = c_uint::try_from(depth).unwrap_or(0);
    }
}

/// Follows the chain of frames from `frame` on as long as it lies within `stack`, which begins with a frame that has
/// not returned. Writes return addresses, innermost first, and says how many.
///
/// A frame begins with the caller's frame pointer and the return address, on x86-64 (System V ABI, 3.2.2) and on
/// arm64 (AAPCS64, 6.4.6). The stack grows down, so each frame lies above the one before it; what does not is no
/// frame.
fn walk(mut frame: usize, stack: Range<usize>, vector: &mut [MaybeUninit<usize>]) -> usize {
    const PAIR: usize = 2 * size_of::<usize>();
    let mut depth = 0;
    for slot in vector {
        let whole = stack.contains(&frame) && stack.end - frame >= PAIR;
        if !whole || !frame.is_multiple_of(align_of::<usize>()) {
            break;
        }
        // SAFETY: `frame` is aligned and the pair lies within this thread's stack, at or above the frame of a function
        // that has not returned. Of a stack, the part from the frames in use to its end is mapped and initialised by
        // those who use it; plain numbers of any value are valid.
        #[allow(unsafe_code)]
        let [caller, address] =
            unsafe { std::ptr::with_exposed_provenance::<[usize; 2]>(frame).read() };
        if address == 0 {
            break;
        }
        slot.write(address);
        depth += 1;
        if caller <= frame {
            break;
        }
        frame = caller;
    }
    depth
}

/// The frame pointer of whoever this is inlined into, or of its nearest caller that has one.
#[inline(always)]
fn frame_pointer() -> usize {
    let frame: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: copies one register to another and touches nothing else.
    #[allow(unsafe_code)]
    unsafe {
        asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: copies one register to another and touches nothing else.
    #[allow(unsafe_code)]
    unsafe {
        asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags));
    }
    frame
}

/// The address behind this thread's stack, if `here` is on it: a coroutine with a stack of its own has no known end,
/// and is not unwound.
fn stack_of(here: usize) -> Option<usize> {
    thread_local! {
        /// Constant and without a destructor: reading it allocates nothing. Empty until asked for.
        static STACK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }
    let (start, end) = STACK
        .try_with(|stack| {
            if stack.get() == (0, 0) {
                // Where nothing can be said, one try is enough; no address is in 1..1.
                stack.set(own_stack().unwrap_or((1, 1)));
            }
            stack.get()
        })
        .ok()?;
    (start..end).contains(&here).then_some(end)
}

/// Asks once per thread. For the main thread, glibc reads `/proc/self/maps` with its own allocator, which is not the
/// program's: jemalloc is linked under a prefix.
fn own_stack() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut start, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pthread_getattr_np(3) initialises `attributes` when it returns 0, and only then are they read and
    // destroyed. pthread_attr_getstack(3) writes the lowest address of the stack and its size.
    #[allow(unsafe_code)]
    let got = unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let got = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        got
    };
    let start = start.addr();
    (got == 0).then_some((start, start.checked_add(size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames in memory: pairs of caller and return address, at increasing addresses.
    fn stack(callers: &[usize], addresses: &[usize]) -> (Vec<usize>, usize, usize) {
        let mut memory = vec![0; callers.len() * 2];
        let start = memory.as_ptr().expose_provenance();
        for (frame, (caller, address)) in callers.iter().zip(addresses).enumerate() {
            memory[frame * 2] = start + caller * 16;
            memory[frame * 2 + 1] = *address;
        }
        let end = start + memory.len() * 8;
        (memory, start, end)
    }

    fn walked(frame: usize, stack: Range<usize>, room: usize) -> Vec<usize> {
        let mut vector = vec![MaybeUninit::new(0); room];
        let depth = walk(frame, stack, &mut vector);
        // SAFETY: all of it was initialised above.
        #[allow(unsafe_code)]
        vector[..depth].iter().map(|slot| unsafe { slot.assume_init() }).collect()
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let (_memory, start, end) = stack(&[1, 2, 3], &[7, 8, 9]);
        assert_eq!(walked(start, start..end, 8), [7, 8, 9]);
    }

    #[test]
    fn no_more_frames_are_written_than_there_is_room_for() {
        let (_memory, start, end) = stack(&[1, 2, 3], &[7, 8, 9]);
        assert_eq!(walked(start, start..end, 2), [7, 8]);
    }

    #[test]
    fn a_chain_that_goes_down_or_in_a_circle_ends() {
        let (_memory, start, end) = stack(&[1, 0], &[7, 8]);
        assert_eq!(walked(start, start..end, 8), [7, 8]);
        let (_memory, start, end) = stack(&[0], &[7]);
        assert_eq!(walked(start, start..end, 8), [7]);
    }

    #[test]
    fn what_is_no_frame_is_not_read() {
        for frame in [0, 1, 4097, usize::MAX, usize::MAX - 7] {
            assert!(walked(frame, 4096..8192, 8).is_empty());
        }
        let (_memory, start, end) = stack(&[1], &[7]);
        assert!(walked(start + 1, start..end, 8).is_empty(), "not aligned");
        assert!(walked(end - 8, start..end, 8).is_empty(), "half out of bounds");
        assert!(walked(start, start + 8..end, 8).is_empty(), "below what is in use");
    }

    #[test]
    fn every_thread_knows_its_stack() {
        let inside = || {
            let local = 0_u8;
            let end = stack_of((&raw const local).addr());
            end.is_some() && end == own_stack().map(|(_, end)| end) && stack_of(4096).is_none()
        };
        assert!(inside());
        assert!(std::thread::spawn(inside).join().unwrap());
    }
}
