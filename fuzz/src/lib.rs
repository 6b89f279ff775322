//! A C program drawn from a fuzzer's bytes. What it hands in is memory of exactly the size that it
//! says, and what it is told must be what the header promises.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::OnceLock;

use chat::bytes::libchat_bytes;
use chat::cancel::{libchat_cancel_fire, libchat_cancel_new};
use chat::conn::libchat_connect;
use chat::error::*;
use chat::manager::{libchat_manager_options, libchat_open};
use chat::status::*;

mod callbacks;
mod calls;

/// What all runs share; 0 where there is no server.
#[derive(Default)]
struct Shared {
    conn: u64,
    manager: u64,
    /// A cancel token that has fired: with it a call is over once its arguments are read.
    fired: u64,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (mut shared, err) = (Shared::default(), ptr::null_mut());
        // SAFETY: places to write to, NULL, and options that are whole.
        unsafe {
            libchat_cancel_new(&mut shared.fired, err);
            libchat_cancel_fire(shared.fired);
            if std::env::var_os("LIBCHAT_URL").is_some() {
                assert_eq!(libchat_connect(ptr::null(), &mut shared.conn, err), LIBCHAT_OK);
                let mut options: libchat_manager_options = std::mem::zeroed();
                options.struct_size = size_of_val(&options);
                (options.project, options.agent_id) = (c"fuzz".as_ptr(), c"ana".as_ptr());
                let opened = libchat_open(shared.conn, &options, &mut shared.manager, err);
                assert_eq!(opened, LIBCHAT_OK);
            }
        }
        shared
    })
}

/// Runs the program: any call, or those only that take an option struct.
pub fn run(bytes: &[u8], options_only: bool) {
    let mut host = Host { bytes, opened: [0; 4], memory: Vec::new() };
    while !host.bytes.is_empty() {
        if options_only || host.byte() % 2 == 0 { host.call_with_options() } else { host.call() }
    }
    (0..4).for_each(|kind| host.close(kind));
}

struct Host<'a> {
    bytes: &'a [u8],
    /// The connection, manager, watch and responder that it opened last.
    opened: [u64; 4],
    /// Alive until the run ends.
    memory: Vec<Box<[u8]>>,
}

impl<'a> Host<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..128 => (small % 32).into(),
            128..160 => u64::MAX,
            160..192 => i64::MAX.cast_unsigned() + u64::from(self.byte() % 2),
            _ => self.take(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    /// 0, what is open, what was, and anything; never what all runs share.
    fn handle(&mut self) -> u64 {
        let shared = shared();
        let handle = match self.byte() % 8 {
            0 => 0,
            1 => shared.fired,
            2 => shared.fired ^ 1 << (self.byte() % 64),
            3 => self.number(),
            opened => self.opened[usize::from(opened - 4)],
        };
        if handle == shared.conn || handle == shared.manager { 0 } else { handle }
    }

    fn manager(&mut self) -> u64 {
        if self.byte() % 16 == 15 { self.handle() } else { shared().manager }
    }

    fn keep(&mut self, bytes: Vec<u8>) -> *mut u8 {
        self.memory.push(bytes.into());
        self.memory.last_mut().map_or(ptr::null_mut(), |it| it.as_mut_ptr())
    }

    fn text(&mut self) -> *const c_char {
        match self.byte() % 8 {
            0 => ptr::null(),
            1 => c"0123abcd".as_ptr(),
            2..5 => c"plan".as_ptr(),
            _ => {
                let len = self.byte().into();
                let text = self.take(len).iter().copied().take_while(|byte| *byte != 0);
                let text = text.chain([0]).collect();
                self.keep(text).cast()
            }
        }
    }

    /// Nobody listens there, and no name is looked up.
    fn server(&mut self) -> *const c_char {
        let servers = [c"", c"127.0.0.1:1", c"nats://,", c"tls://127.0.0.1:2,127.0.0.1:1"];
        servers.get(usize::from(self.byte() % 64)).map_or(ptr::null(), |it| it.as_ptr())
    }

    fn body(&mut self) -> libchat_bytes {
        let len = self.number() as usize;
        let body = match self.byte() % 8 {
            0 => return libchat_bytes { data: ptr::null(), len },
            1 => return libchat_bytes { data: ptr::dangling(), len: 0 },
            2 => vec![b'a'; len % 0x20_0000],
            _ => self.take(len % 256).to_vec(),
        };
        libchat_bytes { len: body.len(), data: self.keep(body) }
    }

    /// The address and the number of header fields.
    fn headers(&mut self) -> [u64; 2] {
        let count = match self.byte() {
            0..192 => return [0, 0],
            192 => return [0, self.number()],
            193 => return [8, 4097 + self.number() % 9999],
            count => u64::from(count % 4),
        };
        let texts = (0..2 * count).flat_map(|_| (self.text() as u64).to_ne_bytes()).collect();
        [self.keep(texts) as u64, count]
    }

    /// An option struct, its size followed by letters: (t)ext, (s)erver's address, (h)eaders,
    /// (c)ancel token, (n)umber, two (w)ords, a (T)imeout and a word; E, D and R are callbacks.
    fn options<T>(&mut self, letters: &str) -> *mut T {
        let mut words = vec![size_of::<T>() as u64];
        for letter in letters.chars() {
            let word = match letter {
                't' if self.byte() % 4 > 0 => 0,
                't' => self.text() as u64,
                's' => self.server() as u64,
                'h' => {
                    words.extend(self.headers());
                    continue;
                }
                'c' if self.byte() % 16 < 15 => shared().fired,
                'c' => self.handle(),
                'w' => self.number() << 32 | self.number() & 0xffff_ffff,
                'T' => self.number() << 32 | u64::from(1 + self.byte() % 16),
                'n' => self.number(),
                callback => callbacks::address(callback, self.byte()),
            };
            words.push(word);
        }
        assert_eq!(words.len() * 8, size_of::<T>());
        self.put(&words).cast()
    }

    /// A struct as an older, today's or a newer header has it: of another size perhaps, which is as
    /// much memory as there is, unaligned perhaps, or NULL.
    fn put(&mut self, words: &[u64]) -> *mut u8 {
        let known = words.len() * 8;
        let size = match self.byte() {
            0..128 => known,
            128..160 => usize::from(self.byte()),
            160..192 => known + usize::from(self.byte()),
            192..208 => 4090 + usize::from(self.byte() % 14),
            208..224 => self.number() as usize,
            _ => return ptr::null_mut(),
        };
        // What is beyond the limits is not looked at: only the size itself is there.
        let there = if (8..=4096).contains(&size) { size } else { 8 };
        let mut bytes = vec![0; usize::from(self.byte() == 255)];
        let shift = bytes.len();
        bytes.extend(size.to_ne_bytes());
        // Half a pointer is none.
        let whole = words.iter().take(there / 8).skip(1);
        bytes.extend(whole.flat_map(|word| word.to_ne_bytes()));
        bytes.resize(shift + there, 0);
        if self.byte() > 200 && there > known {
            let at = known + usize::from(self.byte()) % (there - known);
            bytes[shift + at] = self.byte();
        }
        // SAFETY: `shift` is within.
        unsafe { self.keep(bytes).add(shift) }
    }
}

/// A failure has a reason and leaves the output, if there is one, empty; a success the reverse.
fn judge(status: libchat_status, out: Option<u64>, error: *mut libchat_error) {
    assert_ne!(status, LIBCHAT_ERR_PANIC);
    assert!(out.is_none_or(|out| (out != 0) == (status == LIBCHAT_OK)), "{out:?}: {status}");
    assert_eq!(error.is_null(), status < 100, "{status}");
    // SAFETY: NULL or an error of ours, whose texts are alive until it is freed.
    unsafe {
        assert_eq!(libchat_error_code(error), if status < 100 { LIBCHAT_OK } else { status });
        for text in [libchat_error_message, libchat_error_hint, libchat_error_id] {
            CStr::from_ptr(text(error)).to_str().expect("UTF-8");
        }
        libchat_error_free(error);
    }
}
