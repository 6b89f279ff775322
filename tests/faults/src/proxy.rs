//! The network between agents and a server: open, cut, half open, slow.

use std::future::pending;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Open,
    /// Every connection ends, and none is made.
    Cut,
    /// Nothing comes through, and nobody is told: connections of this time stay dead afterwards.
    HalfOpen,
    /// 100 KB a second each way, a tenth of a second late.
    Slow,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// In front of a server's port; lives as long as the runtime.
    pub(crate) async fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (network, state) = watch::channel(Network::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() != Network::Cut {
                    tokio::spawn(relay(client, server, state.clone()));
                }
            }
        });
        Proxy { port, network }
    }

    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn relay(client: TcpStream, server: u16, state: watch::Receiver<Network>) {
    // Where the server is away, the client's connection ends at once.
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = state.clone();
    tokio::select! {
        _ = pump(from_client, to_server, state.clone(), false) => {}
        _ = pump(from_server, to_client, state, true) => {}
        _ = cut.wait_for(|it| *it == Network::Cut) => {}
    }
}

/// One way of a connection, until its reading end is over; a dead connection does not say so.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<Network>,
    to_client: bool,
) -> std::io::Result<()> {
    let mut is_dead = *state.borrow_and_update() == Network::HalfOpen;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            biased;
            changed = state.changed() => {
                is_dead |= changed.is_ok() && *state.borrow() == Network::HalfOpen;
                continue;
            }
            read = from.read(&mut buffer) => read,
        };
        let is_slow = *state.borrow() == Network::Slow;
        match read {
            Ok(0) | Err(_) if is_dead && to_client => pending::<()>().await,
            Ok(0) => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) if is_dead => {}
            Ok(count) => {
                if is_slow {
                    let millis = 100 + u64::try_from(count).unwrap_or(u64::MAX) / 100;
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                }
                to.write_all(&buffer[..count]).await?;
            }
        }
    }
}
