//! A watch by async-nats' own ordered consumer, printed like an agent's.

use std::io::Write;

use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::admin::short;

/// `watch NAME THREAD ...`, from new messages on, until standard input ends.
pub(crate) async fn run(args: &[String]) {
    let url = std::env::var("LIBCHAT_URL").expect("LIBCHAT_URL is set");
    let (login, address) = url.trim_start_matches("nats://").split_once('@').expect("a login");
    let (user, password) = login.split_once(':').expect("a password");
    let options = async_nats::ConnectOptions::new();
    let options = options.user_and_password(user.to_owned(), password.to_owned());
    let client = options.connect(address).await.expect("connects");
    let stream = jetstream::new(client).get_stream("chat-demo").await.expect("a stream");
    let thread = args.get(2).expect("a thread");
    let config = OrderedConfig {
        filter_subject: format!("chat.demo.{}", short(thread)),
        deliver_policy: DeliverPolicy::New,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    tell("ready 0");
    let follow = async {
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) => tell(&got(thread, &message)),
                Err(error) => tell(&format!("fault {error}")),
            }
        }
        tell("over ENDED");
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        () = follow => {}
        // An input that cannot be read has ended, too.
        _ = async { tokio::io::stdin().read_to_end(&mut rest).await } => {}
    }
    tell("end");
}

fn got(thread: &str, message: &jetstream::Message) -> String {
    let envelope: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
    let text = |key: &str| envelope[key].as_str().unwrap_or("-").to_owned();
    let seq = message.info().map_or(0, |it| it.stream_sequence);
    format!("got {thread} {} {} {seq} - {}", text("body"), text("from"), text("id"))
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness has gone: so do we, when our input ends.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
