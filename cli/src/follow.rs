//! What a watch tells, printed as it comes.

use std::pin::pin;
use std::time::Duration;

use libchat::{Event, Message, Watch};
use tokio::time::timeout;

use crate::failure::{Failure, tell};
use crate::glob;
use crate::options::Options;
use crate::output::{json_line, print_in_background};
use crate::render::{event_json, message_text, notice};
use crate::session::interrupt;

/// Printed in one go at most, so that a reader of the output gets the first lines early.
const PAGE_BYTES: usize = 64 << 10;

/// What to print of a watch, and until when.
pub(crate) struct Follow<'a> {
    pub(crate) options: &'a Options,
    pub(crate) with_thread: bool,
    /// Patterns on threads; none: all.
    pub(crate) globs: &'a [String],
    pub(crate) from: Option<&'a str>,
    /// End with what was stored at the start, and fail if for so long nothing comes.
    pub(crate) patience: Option<Duration>,
}

/// Events that came together.
#[derive(Default)]
struct Page {
    text: String,
    /// For standard error, after the text.
    notice: Option<String>,
    is_last: bool,
}

impl Follow<'_> {
    /// Prints until Ctrl-C, which says from where to go on, or to the end.
    pub(crate) async fn run(&self, watch: &Watch) -> Result<(), Failure> {
        let color = !self.options.json && self.options.color.is_on();
        let mut interrupted = pin!(interrupt());
        let mut printed = watch.cursor();
        loop {
            let step = async {
                let page = self.page(watch, color).await?;
                print_in_background(page.text).await?;
                Ok::<_, Failure>((page.notice, page.is_last))
            };
            let (notice, is_last) = tokio::select! {
                biased;
                failure = &mut interrupted => {
                    self.options.note(&format!("to go on from here: --since {printed}"));
                    return Err(failure);
                }
                page = step => page?,
            };
            printed = watch.cursor();
            if let Some(notice) = notice {
                tell(&format!("libchat: {notice}\n"));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The next event, and what came with it.
    async fn page(&self, watch: &Watch, color: bool) -> Result<Page, Failure> {
        let mut page = Page::default();
        let mut event = self.first(watch).await?;
        loop {
            if let (Some(_), Event::Stalled { reason }) = (self.patience, &event) {
                return Err(reason.clone().into());
            }
            if self.wants(&event) {
                self.add(&mut page, &event, color);
            }
            page.is_last = self.patience.is_some() && matches!(event, Event::CaughtUp { .. });
            if page.is_last || page.notice.is_some() || page.text.len() >= PAGE_BYTES {
                return Ok(page);
            }
            match watch.try_next_event() {
                Some(next) => event = next?,
                None => return Ok(page),
            }
        }
    }

    async fn first(&self, watch: &Watch) -> Result<Event, Failure> {
        let Some(patience) = self.patience else { return Ok(watch.next_event().await?) };
        match timeout(patience, watch.next_event()).await {
            Ok(event) => Ok(event?),
            Err(_) => {
                let seconds = patience.as_secs_f64();
                let text = format!("read after {}: nothing came for {seconds} s", watch.cursor());
                Err(Failure::timeout(text))
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let Event::Message(message) = event else { return true };
        let Message { thread, short, sender, .. } = &**message;
        self.from.is_none_or(|from| from == sender)
            && glob::wants(self.globs, thread.as_deref(), short.as_str())
    }

    fn add(&self, page: &mut Page, event: &Event, color: bool) {
        if self.options.json {
            page.text.extend(event_json(event).map(json_line));
        } else if let Event::Message(message) = event {
            page.text += &message_text(message, self.with_thread, color);
        } else if !(self.options.quiet && matches!(event, Event::CaughtUp { .. } | Event::Resumed))
        {
            page.notice = notice(event);
        }
    }
}
