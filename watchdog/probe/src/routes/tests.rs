//! One dump at a time, and nobody waits for a slow reader for ever.

use std::io::Write;

use axum::http::StatusCode;
use tokio::io::AsyncReadExt;

use super::*;

fn probe(turn: &Arc<Semaphore>) -> State<Probe> {
    State(Probe { turn: Arc::clone(turn), directories: dump::directories().into() })
}

fn file_of(bytes: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'x'; bytes]).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

#[tokio::test(start_paused = true)]
async fn a_second_dump_waits_a_moment_and_is_then_told_to_come_back() {
    let turn = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&turn).acquire_owned().await.unwrap();
    let response = heap(probe(&turn)).await.unwrap_err().into_response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    drop(held);
    assert_eq!(heap(probe(&turn)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_cut_short_and_frees_the_turn() {
    let turn = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&turn).acquire_owned().await.unwrap();
    let (writer, mut reader) = tokio::io::duplex(CHUNK);
    tokio::spawn(deliver(file_of(4 * CHUNK), writer, permit));
    let freed = timeout(MAX_DELIVERY + Duration::from_secs(1), turn.acquire()).await;
    assert!(freed.is_ok(), "the turn is free within the time for delivery");
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    assert!(got.len() < 4 * CHUNK, "{} bytes came", got.len());
}

#[tokio::test]
async fn a_reader_that_hangs_up_frees_the_turn() {
    let turn = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&turn).acquire_owned().await.unwrap();
    let (writer, reader) = tokio::io::duplex(CHUNK);
    drop(reader);
    deliver(file_of(4 * CHUNK), writer, permit).await;
    assert_eq!(turn.available_permits(), 1);
}
