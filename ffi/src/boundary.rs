//! Where C enters and leaves: no panic passes, nothing is touched in a forked process, and what the
//! caller looks at is always written.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use libchat::bridge;

use crate::error::{Failure, libchat_error};
use crate::status::*;

/// What an output holds when the call fails.
///
/// # Safety
/// All bits zero is a value of the type.
pub(crate) unsafe trait Empty: Sized {}

// SAFETY: handles.
unsafe impl Empty for u64 {}
// SAFETY: counts.
unsafe impl Empty for usize {}
// SAFETY: file descriptors.
unsafe impl Empty for isize {}
// SAFETY: characters of a text.
unsafe impl Empty for [std::ffi::c_char; 9] {}
// SAFETY: NULL.
unsafe impl<T> Empty for *const T {}
// SAFETY: NULL.
unsafe impl<T> Empty for *mut T {}

/// A place of the caller's that can be written.
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn set(self, value: T) {
        // SAFETY: `boundary` was given it as writable, and runs while the caller waits.
        unsafe { ptr::write_unaligned(self.0, value) };
    }
}

/// Runs a function that has an output. It is zero unless `body` writes it.
///
/// # Safety
/// `out` and `err` are NULL or can be written.
pub(crate) unsafe fn boundary_out<T: Empty>(
    out: *mut T,
    err: *mut *mut libchat_error,
    body: impl FnOnce(Out<T>) -> Result<libchat_status, Failure>,
) -> libchat_status {
    if !out.is_null() {
        // SAFETY: writable as the caller says, and `Empty` allows zero.
        unsafe { ptr::write_bytes(out.cast::<u8>(), 0, size_of::<T>()) };
    }
    let body = || {
        if out.is_null() {
            return Err(Failure::invalid("out: NULL"));
        }
        body(Out(out))
    };
    // SAFETY: passed on from the caller.
    unsafe { boundary(err, body) }
}

/// [`boundary`] with a descriptor for `*out`, which the caller closes; -1 after a failure.
pub(crate) unsafe fn fd_out(
    out: *mut isize,
    err: *mut *mut libchat_error,
    body: impl FnOnce() -> Result<OwnedFd, Failure>,
) -> libchat_status {
    let body = || {
        if out.is_null() {
            return Err(Failure::invalid("out: NULL"));
        }
        let fd = isize::try_from(body()?.into_raw_fd()).unwrap_or(-1);
        // SAFETY: writable as the caller says.
        unsafe { out.write_unaligned(fd) };
        Ok(LIBCHAT_OK)
    };
    if !out.is_null() {
        // SAFETY: writable as the caller says.
        unsafe { out.write_unaligned(-1) };
    }
    // SAFETY: passed on from the caller.
    unsafe { boundary(err, body) }
}

/// Runs a function.
///
/// # Safety
/// `err` is NULL or can be written.
pub(crate) unsafe fn boundary(
    err: *mut *mut libchat_error,
    body: impl FnOnce() -> Result<libchat_status, Failure>,
) -> libchat_status {
    let (status, error) = match guarded(body) {
        Ok(status) => (status, ptr::null_mut()),
        Err(failure) if err.is_null() => (failure.status(), ptr::null_mut()),
        Err(failure) => (failure.status(), failure.into_raw()),
    };
    if !err.is_null() {
        // SAFETY: writable as the caller says.
        unsafe { ptr::write_unaligned(err, error) };
    }
    status
}

fn guarded(
    body: impl FnOnce() -> Result<libchat_status, Failure>,
) -> Result<libchat_status, Failure> {
    if bridge::is_forked() {
        let text = "this process was forked from one that had opened something";
        return Err(Failure::new(LIBCHAT_ERR_FORKED, text)
            .hint("call exec after the fork, or open nothing before it"));
    }
    if bridge::is_logging() {
        let text = "this function was called in a log callback, which may be under a lock of ours";
        return Err(Failure::new(LIBCHAT_ERR_WOULD_DEADLOCK, text)
            .hint("hand the text to a thread of your own"));
    }
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(Failure::panicked()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status_and_an_error() {
        let mut error = ptr::dangling_mut();
        let mut out = 7_u64;
        // SAFETY: both can be written.
        let status = unsafe { boundary_out(&mut out, &mut error, |_| panic!("on purpose")) };
        assert_eq!((status, out), (LIBCHAT_ERR_PANIC, 0));
        // SAFETY: it was written.
        unsafe { crate::error::libchat_error_free(error) };
    }

    #[test]
    fn err_is_written_on_success_too() {
        let mut error = ptr::dangling_mut();
        // SAFETY: it can be written.
        let status = unsafe { boundary(&mut error, || Ok(LIBCHAT_OK)) };
        assert_eq!((status, error), (LIBCHAT_OK, ptr::null_mut()));
    }

    #[test]
    fn without_a_place_to_write_nothing_is_done() {
        // SAFETY: both are NULL.
        let status = unsafe {
            boundary_out::<u64>(ptr::null_mut(), ptr::null_mut(), |_| panic!("not reached"))
        };
        assert_eq!(status, LIBCHAT_ERR_INVALID_ARGUMENT);
    }
}
