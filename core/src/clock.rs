//! Time that goes on while the machine sleeps.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// When a call that may take `timeout` must have ended; a very long one has the deadline of a year.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(365 * 24 * 3600))
}

/// A duration as JetStream's JSON has it.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A moment, remembered on two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    boot: Duration,
    wall: SystemTime,
}

impl Stamp {
    pub(crate) fn now() -> Stamp {
        Stamp { boot: since_boot(), wall: SystemTime::now() }
    }

    /// How long ago that was, by the clock that says more: a suspended laptop stops neither, and a
    /// virtual machine's pause shows on the wall clock only.
    pub(crate) fn age(&self) -> Duration {
        let wall = SystemTime::now().duration_since(self.wall).unwrap_or_default();
        since_boot().saturating_sub(self.boot).max(wall)
    }
}

fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_takes_the_clock_that_went_further() {
        let hour = Duration::from_secs(3600);
        let now = Stamp::now();
        assert!(now.age() < hour);
        assert!(Stamp { wall: now.wall - hour, ..now }.age() >= hour);
        assert!(
            Stamp { boot: now.boot.saturating_sub(hour), wall: now.wall + hour }.age() < hour * 2
        );
    }
}
