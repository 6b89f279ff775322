//! Events

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use libchat::{Cursor, Event, History};

use crate::error::libchat_error;
use crate::message::{libchat_cursor, libchat_message};
use crate::status::{self, libchat_status};

/// A watch.
pub type libchat_watch = u64;

/// What kind of event it is. Leave out those that you do not know.
pub type libchat_event_kind = i32;
/// A message.
pub const LIBCHAT_EVENT_MESSAGE: libchat_event_kind = 1;
/// Once: what was stored at the start is told.
pub const LIBCHAT_EVENT_CAUGHT_UP: libchat_event_kind = 2;
/// After `after` up to `cursor` all is gone, untold.
pub const LIBCHAT_EVENT_GAP: libchat_event_kind = 3;
/// The stream was made anew or rolled back: all follows.
pub const LIBCHAT_EVENT_RESET: libchat_event_kind = 4;
/// What is stored at `cursor` is no message.
pub const LIBCHAT_EVENT_MALFORMED: libchat_event_kind = 5;
/// No source for 10 s, and why; nothing is lost.
pub const LIBCHAT_EVENT_STALLED: libchat_event_kind = 6;
/// There is a source again.
pub const LIBCHAT_EVENT_RESUMED: libchat_event_kind = 7;

/// An event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct libchat_event {
    /// One of LIBCHAT_EVENT_.
    pub kind: libchat_event_kind,
    /// STALLED: what a call would answer now; else 0.
    pub reason: i32,
    /// MESSAGE: lent, by the callback or the list; else NULL.
    pub message: *const libchat_message,
    /// Its place: save it, and go on after it.
    pub cursor: libchat_cursor,
    /// GAP: the last place before it.
    pub after: libchat_cursor,
    /// 0.
    pub reserved: [u64; 2],
}

/// Whether a watch goes on.
pub type libchat_flow = i32;
/// It does.
pub const LIBCHAT_CONTINUE: libchat_flow = 0;
/// It stops, as by libchat_watch_stop.
pub const LIBCHAT_STOP: libchat_flow = 1;

/// Told the events of one watch, one after the other, in stream order; `event` is lent until it
/// returns. It may run before the function that set up the watch has returned.
pub type libchat_event_fn = Option<
    unsafe extern "C" fn(
        watch: libchat_watch,
        event: *const libchat_event,
        user_data: *mut c_void,
    ) -> libchat_flow,
>;

/// Told once when nothing will follow any more, after the last other callback has returned: the
/// place to free `user_data`. `handle` is the watch or the responder.
///
/// `status`  END after stop or close; CLOSED when the manager or the connection was closed; else
///           why it ended, with `error`, which is lent until this returns
pub type libchat_done_fn = Option<
    unsafe extern "C" fn(
        handle: u64,
        status: libchat_status,
        error: *const libchat_error,
        user_data: *mut c_void,
    ),
>;

/// One event for a callback, with the message that it lends.
pub(crate) struct Lent {
    event: libchat_event,
    _message: Option<Arc<libchat_message>>,
}

impl Lent {
    pub(crate) fn new(event: Event) -> Lent {
        let blank = libchat_event {
            kind: 0,
            reason: 0,
            message: ptr::null(),
            cursor: libchat_cursor::default(),
            after: libchat_cursor::default(),
            reserved: [0; 2],
        };
        let of = |kind, cursor: Cursor| libchat_event { kind, cursor: cursor.into(), ..blank };
        let event = match event {
            Event::Message(message) => {
                let cursor = message.cursor;
                let message = libchat_message::new(message);
                let pointer = Arc::as_ptr(&message);
                let event = libchat_event { message: pointer, ..of(LIBCHAT_EVENT_MESSAGE, cursor) };
                return Lent { event, _message: Some(message) };
            }
            Event::CaughtUp { cursor } => of(LIBCHAT_EVENT_CAUGHT_UP, cursor),
            Event::Gap { after, until } => {
                libchat_event { after: after.into(), ..of(LIBCHAT_EVENT_GAP, until) }
            }
            Event::Reset { cursor } => of(LIBCHAT_EVENT_RESET, cursor),
            Event::Malformed { cursor } => of(LIBCHAT_EVENT_MALFORMED, cursor),
            Event::Stalled { reason } => libchat_event {
                kind: LIBCHAT_EVENT_STALLED,
                reason: status::of(reason.kind()),
                ..blank
            },
            Event::Resumed => libchat_event { kind: LIBCHAT_EVENT_RESUMED, ..blank },
            // Event may grow in core; C leaves out what it does not know, and so do we.
            _ => blank,
        };
        Lent { event, _message: None }
    }

    pub(crate) fn event(&self) -> &libchat_event {
        &self.event
    }
}

/// A list of events, from libchat_watch_take or libchat_history. It never changes; its messages are
/// lent until it is released.
pub struct libchat_events {
    events: Vec<libchat_event>,
    _messages: Vec<Arc<libchat_message>>,
    truncated: bool,
    next: libchat_cursor,
}

/// A list on its way to the caller.
pub(crate) struct Events(Box<libchat_events>);

impl Events {
    pub(crate) fn of_watch(taken: Vec<Event>) -> Events {
        Events::new(taken.into_iter(), false, Cursor::default())
    }

    /// Messages and gaps, in stream order.
    pub(crate) fn of_history(history: History) -> Events {
        let gaps = history.gaps.into_iter().map(|(after, until)| Event::Gap { after, until });
        let mut events: Vec<Event> =
            history.messages.into_iter().map(Event::Message).chain(gaps).collect();
        events.sort_by_key(|event| match event {
            Event::Message(message) => message.cursor.seq,
            Event::Gap { until, .. } => until.seq,
            _ => 0,
        });
        Events::new(events.into_iter(), history.truncated, history.next)
    }

    fn new(taken: impl ExactSizeIterator<Item = Event>, truncated: bool, next: Cursor) -> Events {
        let (mut events, mut messages) = (Vec::with_capacity(taken.len()), Vec::new());
        for event in taken {
            let Lent { event, _message } = Lent::new(event);
            events.push(event);
            messages.extend(_message);
        }
        Events(Box::new(libchat_events {
            events,
            _messages: messages,
            truncated,
            next: next.into(),
        }))
    }

    pub(crate) fn into_raw(self) -> *const libchat_events {
        Box::into_raw(self.0)
    }
}

/// How many events it has; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_events_len(events: *const libchat_events) -> usize {
    // SAFETY: the caller keeps the header's rules for `events`.
    unsafe { events.as_ref() }.map_or(0, |list| list.events.len())
}

/// Event number `index`, from 0 on; NULL past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_events_get(
    events: *const libchat_events,
    index: usize,
) -> *const libchat_event {
    // SAFETY: the caller keeps the header's rules for `events`.
    let event = unsafe { events.as_ref() }.and_then(|list| list.events.get(index));
    event.map_or(ptr::null(), ptr::from_ref)
}

/// Whether a history ended at a bound; `next`, which may be NULL, gets the place to go on after.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_events_truncated(
    events: *const libchat_events,
    next: *mut libchat_cursor,
) -> bool {
    // SAFETY: the caller keeps the header's rules for both pointers.
    unsafe {
        let (truncated, place) =
            events.as_ref().map_or_else(Default::default, |list| (list.truncated, list.next));
        if !next.is_null() {
            next.write(place);
        }
        truncated
    }
}

/// Frees a list, and the messages in it that nobody retained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libchat_events_release(events: *const libchat_events) {
    if !events.is_null() {
        // SAFETY: it came from `Events::into_raw`, and is released once.
        drop(unsafe { Box::from_raw(events.cast_mut()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Cursor {
        Cursor { incarnation: 9, seq, check: 3 }
    }

    #[test]
    fn a_list_holds_its_events_until_it_is_released() {
        let stalled = "".parse::<Cursor>().expect_err("no cursor");
        let reason = status::of(stalled.kind());
        let list = Events::of_watch(vec![
            Event::CaughtUp { cursor: at(1) },
            Event::Gap { after: at(1), until: at(4) },
            Event::Reset { cursor: at(0) },
            Event::Malformed { cursor: at(5) },
            Event::Stalled { reason: stalled },
            Event::Resumed,
        ]);
        let list = list.into_raw();
        let none = libchat_cursor::default();
        let expected = [
            (LIBCHAT_EVENT_CAUGHT_UP, 0, at(1).into(), none),
            (LIBCHAT_EVENT_GAP, 0, at(4).into(), at(1).into()),
            (LIBCHAT_EVENT_RESET, 0, at(0).into(), none),
            (LIBCHAT_EVENT_MALFORMED, 0, at(5).into(), none),
            (LIBCHAT_EVENT_STALLED, reason, none, none),
            (LIBCHAT_EVENT_RESUMED, 0, none, none),
        ];
        // SAFETY: the list is alive until it is released, once.
        unsafe {
            assert_eq!(libchat_events_len(list), expected.len());
            for (n, expected) in expected.into_iter().enumerate() {
                let event = *libchat_events_get(list, n);
                assert_eq!((event.kind, event.reason, event.cursor, event.after), expected);
                assert!(event.message.is_null() && event.reserved == [0; 2]);
            }
            assert!(libchat_events_get(list, expected.len()).is_null());
            assert!(libchat_events_get(list, usize::MAX).is_null());
            libchat_events_release(list);
        }
    }

    #[test]
    fn a_truncated_list_says_where_to_go_on() {
        let mut next = libchat_cursor::default();
        // SAFETY: the list is alive until it is released, once; `next` can be written.
        unsafe {
            let list = Events::new(Vec::new().into_iter(), true, at(7)).into_raw();
            assert!(libchat_events_truncated(list, &mut next));
            assert!(libchat_events_truncated(list, ptr::null_mut()));
            libchat_events_release(list);
        }
        assert_eq!(next, at(7).into());
    }

    #[test]
    fn no_list_is_an_empty_one() {
        let mut next = at(7).into();
        // SAFETY: NULL; `next` can be written.
        unsafe {
            assert_eq!(libchat_events_len(ptr::null()), 0);
            assert!(libchat_events_get(ptr::null(), 0).is_null());
            assert!(!libchat_events_truncated(ptr::null(), &mut next));
            libchat_events_release(ptr::null());
        }
        assert_eq!(next, libchat_cursor::default());
    }
}
