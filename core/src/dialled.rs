//! One client of async-nats, which may be thrown away and dialled anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_nats::{Client, HeaderMap, Subscriber};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, root};

pub(crate) struct Dialled {
    pub(crate) client: Client,
    pub(crate) abandoned: Arc<AtomicBool>,
    /// Ends what waits on the client; a subscription of ours would keep it alive.
    pub(crate) gone: CancellationToken,
    /// Ends what listens for answers.
    pub(crate) hearing: Mutex<CancellationToken>,
}

impl Dialled {
    pub(crate) async fn publish(
        &self,
        subject: &str,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), Error> {
        let (client, to) = (&self.client, subject.to_owned());
        let result = match (reply, headers) {
            (None, None) => client.publish(to, payload).await,
            (None, Some(headers)) => client.publish_with_headers(to, headers, payload).await,
            (Some(reply), None) => client.publish_with_reply(to, reply, payload).await,
            (Some(reply), Some(headers)) => {
                client.publish_with_reply_and_headers(to, reply, headers, payload).await
            }
        };
        result.map_err(|cause| publish_error(subject, cause))
    }

    /// Ends this client, with whatever it has queued, and everything that waits on it.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.gone.cancel();
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.abandon();
    }
}

pub(crate) async fn subscribe(
    client: &Client,
    subject: String,
    queue_group: Option<String>,
) -> Result<Subscriber, Error> {
    let what = format!("subscribe to {subject}");
    let result = match queue_group {
        Some(group) => client.queue_subscribe(subject, group).await,
        None => client.subscribe(subject).await,
    };
    result.map_err(|cause| Error::new(ErrorKind::Disconnected, what).because(root(&cause)))
}

fn publish_error(subject: &str, cause: async_nats::PublishError) -> Error {
    use async_nats::client::PublishErrorKind;
    let kind = match cause.kind() {
        PublishErrorKind::MaxPayloadExceeded => ErrorKind::TooLarge,
        PublishErrorKind::InvalidSubject => ErrorKind::InvalidArgument,
        PublishErrorKind::Send => ErrorKind::Disconnected,
    };
    Error::new(kind, format!("publish to {subject}")).because(root(&cause))
}
