//! Random ids and names from the operating system.

use std::time::SystemTime;

/// `bytes` random bytes as hex digits.
pub(crate) fn hex(bytes: usize) -> String {
    let mut random = vec![0u8; bytes];
    fill(&mut random);
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(bytes * 2);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    text
}

/// Fills `bytes` at random.
pub(crate) fn fill(bytes: &mut [u8]) {
    if let Err(cause) = getrandom::fill(bytes) {
        // Names need to differ, not to be secret: the clock does for a machine without randomness.
        tracing::error!(%cause, "the operating system gives no random bytes");
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_nanos()).to_le_bytes();
        for (byte, seed) in bytes.iter_mut().zip(seed.iter().cycle()) {
            *byte = *seed;
        }
    }
}
