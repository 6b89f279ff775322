//! Two agents in one project: one follows a thread, the other writes in it.
#![allow(clippy::print_stdout)] // a program for people

use libchat::{ConnectOptions, OpenOptions, SendOptions, WatchOptions};

#[tokio::main]
async fn main() -> Result<(), libchat::Error> {
    let connection = libchat::connect(ConnectOptions::default()).await?;
    let ana = connection.open("demo", "ana", OpenOptions::default()).await?;
    let ben = connection.open("demo", "ben", OpenOptions::default()).await?;

    let plan = ben.watch("plan", WatchOptions::default()).await?;
    ana.send("plan", "Shall we ship on Friday?", SendOptions::default()).await?;

    let message = plan.next().await?;
    println!("{} says: {}", message.sender, message.body);

    connection.close().await;
    Ok(())
}
