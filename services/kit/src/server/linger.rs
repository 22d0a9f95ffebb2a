//! Reads on what nobody wants to read: who still sends a request's body when it is answered – it is too large, or the
//! path does not exist – would else find the connection reset, and the answer lost with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Who sends more than this, in bytes, or for longer, is cut off.
const MOST: usize = 1 << 20;
const LONGEST: Duration = Duration::from_secs(2);

/// Lets the rest of the body be read, within bounds, once it is dropped.
pub(super) async fn linger(request: Request) -> Request {
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::from_stream(Lingering(Some(body.into_data_stream())))
    })
}

/// A body until it has ended.
struct Lingering(Option<BodyDataStream>);

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Without a runtime there is no connection either.
        if let (Some(body), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(timeout(LONGEST, drain(body)));
        }
    }
}

async fn drain(mut body: BodyDataStream) {
    let mut read = 0;
    while read < MOST
        && let Some(Ok(bytes)) = body.next().await
    {
        read += bytes.len();
    }
}
