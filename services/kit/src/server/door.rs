//! The door of a port: so many connections and no more, and none for ever. Who sends a request drop by drop, or does not
//! take the answer, is shown out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a port bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// How long it may take from a request's first byte to its answer's.
    pub(crate) request: Duration,
    /// How long a connection may be quiet after an answer, and how long the client may take to receive a part of one.
    pub(crate) quiet: Duration,
}

impl Default for Limits {
    /// Connections stay below the 1024 files that a process may open unless told otherwise. A request has a deadline of
    /// its own, from its head on, which is shorter. Clients of the shop let go of a quiet connection after 90 s, before
    /// it is closed under them.
    fn default() -> Self {
        let (request, quiet) = (Duration::from_secs(30), Duration::from_secs(120));
        Self { connections: 900, request, quiet }
    }
}

pub(crate) struct Door {
    listener: TcpListener,
    limits: Limits,
    places: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self { listener, limits, places: Arc::new(Semaphore::new(limits.connections)) }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        // Nobody closes it: an error would let everybody in.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // An answer is written in one go; waiting for more to send would only delay it.
        stream.set_nodelay(true).ok();
        let until = Instant::now() + self.limits.request;
        let alarm = Box::pin(sleep_until(until));
        (Guest { stream, limits: self.limits, asking: true, until, alarm, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection.
pub(crate) struct Guest {
    stream: TcpStream,
    limits: Limits,
    /// Whether a request has begun that is not answered.
    asking: bool,
    until: Instant,
    /// Rings at `until` or before: when that is put off, it is set anew only once it rings.
    alarm: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Guest {
    fn read(&mut self) {
        if !self.asking {
            self.asking = true;
            self.may_take(self.limits.request);
        }
    }

    fn written(&mut self) {
        self.asking = false;
        self.may_take(self.limits.quiet);
    }

    fn may_take(&mut self, time: Duration) {
        self.until = Instant::now() + time;
        if self.until < self.alarm.deadline() {
            self.alarm.as_mut().reset(self.until);
        }
    }

    /// While there is nothing to do: an error once it took too long.
    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.alarm.as_mut().poll(context));
            if self.until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(self.until);
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guest = self.get_mut();
        match Pin::new(&mut guest.stream).poll_read(context, into) {
            Poll::Pending => guest.waits(context),
            ready => {
                guest.read();
                ready
            }
        }
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guest = self.get_mut();
        match Pin::new(&mut guest.stream).poll_write_vectored(context, bytes) {
            Poll::Pending => guest.waits(context),
            ready => {
                guest.written();
                ready
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
