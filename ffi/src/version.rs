//! Version

use std::ffi::{CStr, c_char};

/// cbindgen:ignore
pub const LIBCHAT_ABI: u32 = 1;

/// cbindgen:ignore
pub const LIBCHAT_INFINITE: u32 = 0xFFFF_FFFF;

/// Whether the library that is loaded fits the header you compiled with: pass LIBCHAT_ABI.
#[unsafe(no_mangle)]
pub extern "C" fn libchat_abi_compatible(header_abi: u32) -> bool {
    header_abi == LIBCHAT_ABI
}

/// The version of the library that is loaded, as "0.1.0". It lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn libchat_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}
