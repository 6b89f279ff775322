//! Local server
//!
//! An official nats-server that belongs to one folder: loopback only, with a random password, its
//! messages in `.libchat/store`. It goes on running when your program ends, and any program in the
//! folder or below finds it without options. It is found as `libchat up` finds it: in
//! LIBCHAT_NATS_SERVER, in PATH, beside your program, in a Python environment.

use std::ffi::c_char;
use std::path::Path;

use libchat::LocalServer;

use crate::boundary::boundary;
use crate::error::{Failure, libchat_error};
use crate::read::text_in;
use crate::status::*;

/// Starts the server of `folder`, or finds the one that runs.
///
/// `url`  gets its address with user and password, for libchat_conn_options.servers; may be NULL
///        with a `url_size` of 0. 256 bytes are enough.
///
/// Fails with
///   NOT_FOUND  there is no nats-server program; the hint says how to get one
///   CONFLICT   the folder names a server that libchat did not start
///   TIMEOUT    it is not ready yet; call again to go on waiting
///   SYSTEM     the folder cannot be written, or the program not be started
///
/// Blocks up to 5 s in most cases.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_local_server_start(
    folder: *const c_char,
    url: *mut c_char,
    url_size: usize,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        if !url.is_null() && url_size > 0 {
            url.write(0);
        }
        boundary(err, || {
            if url.is_null() && url_size > 0 {
                return Err(Failure::invalid("url: NULL with a size"));
            }
            let folder = text_in("folder", folder)?;
            let server = LocalServer::start(Path::new(folder), &Default::default())?;
            text_out("url", &server.url_with_login(), url, url_size)
        })
    }
}

/// Stops the server of `folder`. Its messages stay, and so do port and password for the next start.
/// OK too when none runs. Blocks until it has ended; after 5 s it is killed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_local_server_stop(
    folder: *const c_char,
    err: *mut *mut libchat_error,
) -> libchat_status {
    // SAFETY: the caller keeps the header's rules for every pointer here.
    unsafe {
        boundary(err, || {
            let folder = text_in("folder", folder)?;
            LocalServer::stop(Path::new(folder))?;
            Ok(LIBCHAT_OK)
        })
    }
}

/// Writes `text` with a NUL into the caller's `out`; nothing where that is NULL without a size.
///
/// # Safety
/// `out` can be written for `size` characters.
pub(crate) unsafe fn text_out(
    what: &str,
    text: &str,
    out: *mut c_char,
    size: usize,
) -> Result<libchat_status, Failure> {
    if out.is_null() && size == 0 {
        return Ok(LIBCHAT_OK);
    }
    if out.is_null() || size <= text.len() {
        let text = format!("{what}: NULL or too small: {} bytes are needed", text.len() + 1);
        return Err(Failure::invalid(&text));
    }
    // SAFETY: there is room for the text and its NUL, as the caller says.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len());
        out.add(text.len()).write(0);
    }
    Ok(LIBCHAT_OK)
}
