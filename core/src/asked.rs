//! What a consumer was asked for and has not delivered yet, and whether it may have had to wait.

use std::collections::VecDeque;
use std::time::Duration;

/// How a consumer is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Messages asked for at once.
    pub(crate) batch: usize,
    /// Bytes asked for at once.
    pub(crate) max_bytes: usize,
    /// A sign of life as often as this.
    pub(crate) heartbeat: Duration,
    /// Follows what is yet to come, and does not end by itself.
    pub(crate) live: bool,
}

impl Shape {
    #[cfg(test)]
    fn request(self) -> Asked {
        Asked { messages: self.batch, bytes: self.max_bytes }
    }
}

/// What was asked for and is neither delivered nor given back.
///
/// The server serves its requests in turn, so only their sum is known, but that to the byte: it
/// counts a delivery as async-nats' `Message::length` does, and a status gives back what its
/// request has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Asked {
    /// Whether it is time to ask for more. The bytes tell where the messages do not: a request
    /// that a delivery fills to the last byte ends without a status (nats-server 2.15), and the
    /// messages it has left are never given back.
    pub(crate) fn is_low(self, shape: Shape) -> bool {
        self.messages <= shape.batch / 2 || self.bytes <= shape.max_bytes / 2
    }

    pub(crate) fn more(&mut self, request: Asked) {
        self.messages += request.messages;
        self.bytes += request.bytes;
    }

    pub(crate) fn less(&mut self, used: Asked) {
        self.bytes = self.bytes.saturating_sub(used.bytes);
        // No request lives without bytes.
        self.messages =
            if self.bytes == 0 { 0 } else { self.messages.saturating_sub(used.messages) };
    }
}

/// When the server may have had no request of ours. What is stored then and gone again before the
/// next request arrives shows in no delivery.
#[derive(Default)]
pub(crate) struct Pauses {
    /// What is still to come before each request that was sent while others were open: it may have
    /// arrived only after that.
    ahead: VecDeque<Asked>,
    pub(crate) passed: bool,
}

impl Pauses {
    pub(crate) fn asked(&mut self, open: Asked) {
        self.ahead.push_back(open);
        self.pass();
    }

    pub(crate) fn used(&mut self, used: Asked) {
        self.ahead.iter_mut().for_each(|it| it.less(used));
        self.pass();
    }

    fn pass(&mut self) {
        let is_over = |it: &Asked| it.messages == 0 || it.bytes == 0;
        while self.ahead.front().is_some_and(is_over) {
            self.ahead.pop_front();
            self.passed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape { batch: 8, max_bytes: 64, heartbeat: Duration::ZERO, live: false };

    /// The requests a server holds, served as nats-server 2.15 does.
    #[derive(Default)]
    struct Server {
        requests: VecDeque<Asked>,
        /// What it has sent and nobody has read.
        sent: VecDeque<Asked>,
    }

    impl Server {
        /// `false`: no request is left.
        fn deliver(&mut self, size: usize) -> bool {
            while let Some(mut request) = self.requests.pop_front() {
                if size > request.bytes {
                    self.sent.push_back(request);
                    continue;
                }
                let delivery = Asked { messages: 1, bytes: size };
                self.sent.push_back(delivery);
                request.messages -= 1;
                request.bytes -= size;
                match request {
                    Asked { bytes: 0, .. } => {}
                    Asked { messages: 0, .. } => self.sent.push_back(request),
                    _ => self.requests.push_back(request),
                }
                return true;
            }
            false
        }
    }

    /// A slow reader asks again when half is read; by then the server may long have had nothing to
    /// send by, and what was stored and purged meanwhile was lost in silence.
    #[test]
    fn a_delivery_may_follow_a_pause_of_the_server() {
        let (request, one) = (SHAPE.request(), Asked { messages: 1, bytes: 1 });
        let mut pauses = Pauses::default();
        pauses.asked(Asked::default());
        assert!(std::mem::take(&mut pauses.passed), "before the first request arrives");
        let mut open = request;
        while !open.is_low(SHAPE) {
            open.less(one);
            pauses.used(one);
        }
        pauses.asked(open);
        while open.messages > 0 {
            assert!(!pauses.passed, "{open:?} to come by the first request");
            open.less(one);
            pauses.used(one);
        }
        assert!(pauses.passed, "what comes now comes by the second request");
    }

    proptest! {
        /// However far a reader is behind, and wherever requests end.
        #[test]
        fn a_server_without_a_request_is_asked_again(
            sizes in prop::collection::vec((1..=SHAPE.max_bytes, 0..6usize), 1..200),
        ) {
            let request = SHAPE.request();
            let mut server = Server { requests: [request].into(), ..Default::default() };
            let mut asked = request;
            let mut read = |server: &mut Server, most: usize| {
                for _ in 0..most {
                    let Some(sent) = server.sent.pop_front() else { break };
                    asked.less(sent);
                    if asked.is_low(SHAPE) {
                        asked.more(request);
                        server.requests.push_back(request);
                    }
                }
                asked
            };
            for (size, reads) in sizes {
                while !server.deliver(size) {
                    let asked = read(&mut server, usize::MAX);
                    prop_assert!(!server.requests.is_empty(), "nothing more comes: {asked:?}");
                    let bytes: usize = server.requests.iter().map(|it| it.bytes).sum();
                    prop_assert_eq!(asked.bytes, bytes);
                    prop_assert!(bytes <= 2 * SHAPE.max_bytes, "{} bytes", bytes);
                }
                read(&mut server, reads);
            }
        }
    }
}
