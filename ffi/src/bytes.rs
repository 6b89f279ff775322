//! Text, bytes and header fields

use std::ffi::{CString, c_char};

/// Bytes that have a length. What the library hands out is followed by a NUL, which `len` does not
/// count, and its `data` is never NULL; but text that others wrote may hold a NUL of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libchat_bytes {
    /// May be NULL in what you hand in, if `len` is 0.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// One header field of a message or a request, as "traceparent".
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libchat_header {
    /// No space, no colon; "Nats-…" are the server's.
    pub name: *const c_char,
    /// UTF-8 without line breaks.
    pub value: *const c_char,
}

impl libchat_bytes {
    pub(crate) const EMPTY: libchat_bytes = libchat_bytes { data: c"".as_ptr().cast(), len: 0 };
}

/// Texts in one block of memory, a NUL behind each, so that C finds both an end and a length.
#[derive(Debug)]
pub(crate) struct Texts<const N: usize> {
    block: Box<[u8]>,
    ends: [usize; N],
}

impl<const N: usize> Texts<N> {
    pub(crate) fn new(texts: [&[u8]; N]) -> Texts<N> {
        let size = texts.iter().map(|text| text.len() + 1).sum();
        let (mut block, mut ends) = (Vec::with_capacity(size), [0; N]);
        for (text, end) in texts.iter().zip(&mut ends) {
            block.extend_from_slice(text);
            *end = block.len();
            block.push(0);
        }
        Texts { block: block.into(), ends }
    }

    /// Text number `n`; the pointer is good as long as `self`.
    pub(crate) fn get(&self, n: usize) -> libchat_bytes {
        let begin = n.checked_sub(1).map_or(0, |before| self.ends[before] + 1);
        let text = &self.block[begin..];
        libchat_bytes { data: text.as_ptr(), len: self.ends[n] - begin }
    }
}

/// Header fields as C reads them.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    fields: Vec<libchat_header>,
    /// What the fields point into.
    _texts: Vec<[CString; 2]>,
}

// SAFETY: the pointers lead into `_texts`, which lives as long and is never changed.
unsafe impl Send for Headers {}
// SAFETY: as above.
unsafe impl Sync for Headers {}

impl Headers {
    pub(crate) fn new(headers: &libchat::Headers) -> Headers {
        let texts = headers.iter().map(|(name, value)| [name, value].map(c_text));
        // In their place before anything points to them: moving a box forbids older pointers.
        let texts: Vec<[CString; 2]> = texts.collect();
        let field = |[name, value]: &[CString; 2]| libchat_header {
            name: name.as_ptr(),
            value: value.as_ptr(),
        };
        Headers { fields: texts.iter().map(field).collect(), _texts: texts }
    }

    pub(crate) fn fields(&self) -> &[libchat_header] {
        &self.fields
    }
}

/// Where the fields are, as C has it: NULL if there are none.
pub(crate) fn fields_out(fields: &[libchat_header]) -> *const libchat_header {
    if fields.is_empty() { std::ptr::null() } else { fields.as_ptr() }
}

/// Text for C's eyes that has an end and no length; a NUL inside, which nothing should hold, is
/// replaced rather than cutting it off.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let replaced = text.replace('\0', "\u{FFFD}");
        CString::new(replaced).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_an_end_and_a_length() {
        let texts = Texts::new([b"ab", b"", b"c\0d"]);
        for (n, expected) in [&b"ab\0"[..], b"\0", b"c\0d\0"].into_iter().enumerate() {
            let text = texts.get(n);
            assert_eq!(text.len + 1, expected.len());
            // SAFETY: inside the block, with the NUL.
            let seen = unsafe { std::slice::from_raw_parts(text.data, text.len + 1) };
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_nul_inside_does_not_cut_text_off() {
        assert_eq!(c_text("a\0b").to_str().expect("UTF-8"), "a\u{FFFD}b");
    }
}
