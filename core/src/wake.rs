//! A file descriptor that is readable while there is something to read elsewhere.

use std::io;
use std::os::fd::OwnedFd;

#[cfg(not(target_os = "linux"))]
use rustix::pipe::{PipeFlags, pipe_with};

/// An eventfd on Linux, a pipe elsewhere: for event loops, which poll a duplicate of it.
pub struct WakeFd {
    readable: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    written: OwnedFd,
}

impl WakeFd {
    /// One that is not readable yet.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<WakeFd> {
        use rustix::event::{EventfdFlags, eventfd};
        let readable = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(WakeFd { readable })
    }

    /// One that is not readable yet.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<WakeFd> {
        let (readable, written) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(WakeFd { readable, written })
    }

    /// Makes it readable; an edge for whoever polls for edges, also when it was readable before.
    pub fn raise(&self) {
        #[cfg(target_os = "linux")]
        let written = rustix::io::write(&self.readable, &1u64.to_ne_bytes());
        #[cfg(not(target_os = "linux"))]
        let written = rustix::io::write(&self.written, &[1]);
        // Refused only when it is full: readable already.
        let _ = written;
    }

    /// Makes it unreadable.
    pub fn lower(&self) {
        let mut drained = [0; 512];
        // An eventfd is empty after one read; a pipe when there is nothing more.
        while rustix::io::read(&self.readable, &mut drained).is_ok_and(|read| read == drained.len())
        {
        }
    }

    /// Another descriptor of the same thing, not inherited by programs that are started.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.readable.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(fd: &OwnedFd) -> bool {
        let now = Timespec::try_from(Duration::ZERO).expect("no time");
        poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)).expect("polls") == 1
    }

    #[test]
    fn a_duplicate_is_readable_between_raise_and_lower() {
        let wake = WakeFd::new().expect("a descriptor");
        let duplicate = wake.duplicate().expect("another");
        assert!(!is_readable(&duplicate));
        (0..3).for_each(|_| wake.raise());
        assert!(is_readable(&duplicate));
        wake.lower();
        assert!(!is_readable(&duplicate));
    }
}
