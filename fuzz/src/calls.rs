//! Every function of the header that takes more than what the library itself made.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::{dangling_mut, null_mut};

use chat::{ask::*, cancel::*, conn::*, events::*, history::*, local_server::*, log::*};
use chat::{manager::*, respond::*, send::*, stats::*, threads::*, watch::*};

use crate::{Host, callbacks, judge, shared};

/// A call that gives a reason.
macro_rules! call {
    ($function:expr, $($argument:expr),+) => {{
        let mut error = dangling_mut();
        let status = unsafe { $function($($argument,)+ &mut error) };
        judge(status, None, error);
    }};
}

/// The same with a handle or a list as output, which is the value: 0 after a failure.
macro_rules! made {
    ($function:expr $(, $argument:expr)*) => {{
        let (mut out, mut error) = (u64::MAX, dangling_mut());
        let status = unsafe { $function($($argument,)* (&raw mut out).cast(), &mut error) };
        judge(status, Some(out), error);
        out
    }};
}

impl Host<'_> {
    pub(crate) fn call_with_options(&mut self) {
        let (choice, manager, text) = (self.byte() % 10, self.manager(), self.text());
        match choice {
            0 => {
                self.close(0);
                self.opened[0] = made!(libchat_connect, self.options("sttttttttttttcnTw"));
            }
            1 => {
                self.close(1);
                self.opened[1] = made!(libchat_open, shared().conn, self.options("ttcnTw"));
            }
            2 => {
                self.close(2);
                let options = self.options("EDnnnnnncnwT");
                self.opened[2] = match self.byte() % 3 {
                    0 => made!(libchat_watch_thread, manager, text, options),
                    1 => made!(libchat_watch_pattern, manager, text, options),
                    _ => made!(libchat_watch_all, manager, options),
                };
            }
            3 => {
                self.close(3);
                let options = self.options("RDntcwT");
                self.opened[3] = match self.byte() % 2 {
                    0 => made!(libchat_respond, manager, text, options),
                    _ => made!(libchat_answer, manager, options),
                };
            }
            4 => {
                let (body, options) = (self.body(), self.options("tthnnncT"));
                let mut receipt = [0_u64; size_of::<libchat_receipt>() / 8];
                let out = [null_mut(), receipt.as_mut_ptr()][usize::from(self.byte() % 2)].cast();
                call!(libchat_send, manager, text, body, options, out);
            }
            5 => {
                let (body, options) = (self.body(), self.options("tthnnncT"));
                // LIBCHAT_KEEP, where the options have it, goes with none.
                let sent = (self.byte() % 2 > 0).then_some(callbacks::on_sent as _);
                call!(libchat_send_async, manager, text, body, options, sent, null_mut());
            }
            6 => {
                let options = self.options("nnnnncwT");
                read_events(made!(libchat_history, manager, text, options));
            }
            7 => {
                let (max, options) = (self.number() as u32, self.options("hcT"));
                let list = match self.byte() % 2 {
                    0 => made!(libchat_list_threads, manager, options),
                    _ => made!(libchat_threads_for_agent, manager, text, max, options),
                } as *const libchat_threads;
                unsafe {
                    let index = self.number() as usize % (libchat_threads_len(list) + 1);
                    libchat_threads_get(list, index, self.put(&[0; 14]).cast());
                    libchat_threads_release(list);
                }
            }
            8 => {
                let (body, options) = (self.body(), self.options("hcT"));
                let ask = [libchat_ask, libchat_request][usize::from(self.byte() % 2)];
                let reply = made!(ask, manager, text, body, options);
                unsafe { libchat_reply_release(reply as _) };
            }
            _ => call!(libchat_manager_stats, manager, self.put(&[0; 15]).cast()),
        }
    }

    pub(crate) fn call(&mut self) {
        let (choice, handle, text) = (usize::from(self.byte() % 32), self.handle(), self.text());
        let closes = [libchat_conn_close, libchat_manager_close];
        let joins = [libchat_watch_join, libchat_responder_join];
        let stops = [libchat_watch_stop, libchat_responder_stop];
        let ends = [libchat_watch_close, libchat_responder_close];
        let fires = [libchat_cancel_fire, libchat_cancel_close];
        let log = (self.byte() > 99).then_some(callbacks::log as _);
        match choice {
            0 | 1 => call!(closes[choice], handle, 0),
            2 | 3 => call!(joins[choice - 2], handle, 0),
            4 | 5 => drop(unsafe { stops[choice - 4](handle) }),
            6 | 7 => drop(unsafe { ends[choice - 6](handle) }),
            8 | 9 => drop(fires[choice - 8](handle)),
            10 => drop(made!(libchat_cancel_new)),
            11 => call!(libchat_conn_stop, handle),
            12 => call!(libchat_local_server_stop, text),
            13 => call!(libchat_local_server_start, c"\xff".as_ptr(), null_mut(), 0),
            14 => call!(libchat_thread_short, text, self.text(), self.keep(vec![1; 9]).cast()),
            15 => {
                let (max, ms) = (self.number() as usize, u32::from(self.byte() % 4));
                read_events(made!(libchat_watch_take, handle, max, ms));
            }
            16 => {
                let (mut fd, mut error) = (0, dangling_mut());
                let status = unsafe { libchat_watch_fd(handle, &mut fd, &mut error) };
                // Its nothing is -1, since 0 is a descriptor.
                judge(status, Some(u64::from(fd != -1)), error);
                if fd != -1 {
                    drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
                }
            }
            17 => call!(libchat_request_reply, handle, self.body()),
            18 => call!(libchat_request_fail, handle, text, self.text()),
            19 => drop(unsafe { libchat_set_log(log, null_mut(), self.number() as i32) }),
            20 => self.sent_take(),
            21 => {
                let (manager, mut fd, mut error) = (self.manager(), 0, dangling_mut());
                let status = unsafe { libchat_sent_fd(manager, &mut fd, &mut error) };
                judge(status, Some(u64::from(fd != -1)), error);
                if fd != -1 {
                    drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
                }
            }
            _ => self.call_with_options(),
        }
    }

    /// What is handed out is whole: each with the error of its status, which is ours to free.
    fn sent_take(&mut self) {
        let (manager, room) = (self.manager(), usize::from(self.byte() % 4));
        let max = if room == 0 { self.number() as usize } else { room };
        let words = vec![0; room * size_of::<libchat_sent>()];
        let out = if room == 0 { null_mut() } else { self.keep(words).cast::<libchat_sent>() };
        let (mut len, mut error) = (usize::MAX, dangling_mut());
        let status = unsafe { libchat_sent_take(manager, out, max, &mut len, &mut error) };
        judge(status, Some(len as u64), error);
        for at in 0..len {
            let sent = unsafe { out.add(at).read_unaligned() };
            assert_eq!(sent.receipt.id[64], 0);
            judge(sent.status, None, sent.error);
        }
    }

    /// Closes the connection, manager, watch or responder that it has opened.
    pub(crate) fn close(&mut self, kind: usize) {
        let handle = std::mem::take(&mut self.opened[kind]);
        match kind {
            0 => call!(libchat_conn_close, handle, u32::MAX),
            1 => call!(libchat_manager_close, handle, u32::MAX),
            2 => assert_eq!(unsafe { libchat_watch_close(handle) }, 0),
            _ => assert_eq!(unsafe { libchat_responder_close(handle) }, 0),
        }
    }
}

fn read_events(list: u64) {
    let list = list as *const libchat_events;
    unsafe {
        for index in 0..libchat_events_len(list) {
            callbacks::on_event(0, libchat_events_get(list, index), null_mut());
        }
        libchat_events_release(list);
    }
}
