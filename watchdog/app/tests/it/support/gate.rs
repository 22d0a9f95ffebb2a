//! A way to the probe that stops in the middle of a heap profile.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes everything on to a service, but of a heap profile only the beginning.
pub(crate) struct Gate {
    address: SocketAddr,
    held: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn before(service: &str) -> Self {
        let to = service.strip_prefix("http://").expect("an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (hold, held) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                tokio::spawn(pass(client, to.clone(), hold.clone()));
            }
        });
        Self { address, held, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a heap profile is under way.
    pub(crate) async fn holds(&mut self) {
        let held = self.held.wait_for(|held| *held);
        tokio::time::timeout(super::SOON, held).await.expect("in time").expect("a gate");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Whoever breaks it, the other side sees its end.
async fn pass(mut client: TcpStream, to: String, hold: watch::Sender<bool>) -> Option<()> {
    let mut service = TcpStream::connect(to).await.ok()?;
    let mut head = [0; 4096];
    loop {
        let read = client.read(&mut head).await.ok().filter(|read| *read > 0)?;
        service.write_all(&head[..read]).await.ok()?;
        let mut answer = [0; 512];
        let first = service.read(&mut answer).await.ok().filter(|read| *read > 0)?;
        client.write_all(&answer[..first]).await.ok()?;
        if String::from_utf8_lossy(&head[..read]).contains("/debug/pprof/heap") {
            hold.send_replace(true);
            // Until the watchdog is gone.
            return client.read(&mut head).await.ok().map(drop);
        }
    }
}
