//! Mails through a mail server that this test plays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "../../payments/tests/support/stage.rs"]
mod stage;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use services_engines::Engine;
use services_kit::events::OrderCancelled;
use services_kit::{Kit, Options, Peer, Running};
use services_notifications::MailOptions;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use uuid::Uuid;

use stage::{Stage, customer, until_metric};

type Answers = Arc<Mutex<VecDeque<&'static str>>>;

/// Serves one connection as RFC 5321 has it: `answers` says what it answers to each RCPT, then 250.
async fn serve(stream: TcpStream, answers: Answers, mails: Sender<String>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 test ESMTP\r\n").await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let answer = match line.split([' ', '\r']).next().unwrap() {
            "EHLO" => "250 test",
            "RCPT" => answers.lock().unwrap().pop_front().unwrap_or("250 yes"),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut mail).await.unwrap();
                }
                mails.try_send(mail).unwrap();
                "250 taken"
            }
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        line.clear();
    }
}

/// A mail server on loopback, and the mails that it takes.
async fn server(answers: &'static [&'static str]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
    let (taken, mails) = channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answers), taken.clone()));
        }
    });
    (address, mails)
}

async fn next(mails: &mut Receiver<String>) -> String {
    let taken = timeout(Duration::from_secs(60), mails.recv()).await;
    taken.expect("a mail is taken").unwrap()
}

async fn start(stage: &Stage, server: SocketAddr) -> Running {
    start_with(stage.options(), server).await
}

async fn start_with(options: Options, server: SocketAddr) -> Running {
    let kit = Kit::new(Peer::Notifications, options).unwrap();
    let smtp_url = Some(format!("smtp://{server}").into());
    let mail = MailOptions { smtp_url, from: "Shop <shop@example.org>".parse().unwrap() };
    let service = services_notifications::service(kit, mail).await.unwrap();
    service.start().await.unwrap()
}

async fn cancel(stage: &Stage, name: &str, email: &str) {
    let order_id = Uuid::now_v7();
    let mut customer = customer(Uuid::new_v4());
    (customer.name, customer.email) = (name.into(), email.into());
    let cancelled = OrderCancelled {
        order_id,
        number: "A-1".into(),
        customer,
        total: 900,
        currency: "EUR".into(),
        reason: "it was out of stock".into(),
    };
    stage.tell(order_id, cancelled).await;
}

#[tokio::test]
async fn a_message_is_also_sent_by_mail() {
    let stage = Stage::open().await;
    let (address, mut mails) = server(&[]).await;
    let running = start(&stage, address).await;
    cancel(&stage, "Ada", "ada@example.org").await;
    let mail = next(&mut mails).await;
    for line in [
        "From: Shop <shop@example.org>\r\n",
        "To: Ada <ada@example.org>\r\n",
        "Subject: Your order A-1 was cancelled\r\n",
        "@example.org>\r\n",
        "was cancelled: it was out of stock.",
    ] {
        assert!(mail.contains(line), "{line} is not in\n{mail}");
    }
    until_metric(&running, "shop_mails_total{outcome=\"sent\"} 1").await;
    until_metric(&running, "shop_mails_pending 0").await;
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_takes_the_mail_once() {
    let stage = Stage::open().await;
    let (address, mut mails) = server(&["451 later"]).await;
    let running = start(&stage, address).await;
    cancel(&stage, "Ada", "ada@example.org").await;
    let mail = next(&mut mails).await;
    assert!(mail.contains("To: Ada <ada@example.org>"), "{mail}");
    until_metric(&running, "shop_mails_total{outcome=\"sent\"} 1").await;
    until_metric(&running, "shop_mails_total{outcome=\"retried\"} 1").await;
    assert!(mails.try_recv().is_err());
}

/// Two processes share the mails.
#[tokio::test(flavor = "multi_thread")]
async fn mails_are_sent_once_on_postgres_as_well_by_whichever_process() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    let stage = Stage::open().await;
    let (address, mut mails) = server(&["451 later"]).await;
    let options = || Options { database_url: Some(engine.url().into()), ..stage.options() };
    let start = || start_with(options(), address);
    let (one, other) = tokio::join!(start(), start());
    let mut names: Vec<String> = (0..12).map(|number| format!("Ada{number:02}")).collect();
    for name in &names {
        cancel(&stage, name, "ada@example.org").await;
    }
    while !names.is_empty() {
        let mail = next(&mut mails).await;
        let sent = names.iter().position(|name| mail.contains(&format!("To: {name} <")));
        names.remove(sent.unwrap_or_else(|| panic!("it was sent before:\n{mail}")));
    }
    // Either looks once a second, and finds that nothing is left.
    for running in [&one, &other] {
        until_metric(running, "shop_mails_pending 0").await;
    }
    assert!(mails.try_recv().is_err());
}

#[tokio::test]
async fn a_mail_that_will_never_be_taken_is_not_tried_again() {
    let stage = Stage::open().await;
    let (address, mut mails) = server(&["550 no such user"]).await;
    let running = start(&stage, address).await;
    cancel(&stage, "Ada", "ada@example.org").await;
    until_metric(&running, "shop_mails_total{outcome=\"refused\"} 1").await;
    cancel(&stage, "Ada", "this is no address").await;
    until_metric(&running, "shop_mails_total{outcome=\"refused\"} 2").await;
    until_metric(&running, "shop_mails_pending 0").await;
    assert!(mails.try_recv().is_err());
}

#[tokio::test]
async fn a_name_cannot_add_lines_to_a_mails_head() {
    let stage = Stage::open().await;
    let (address, mut mails) = server(&[]).await;
    let _running = start(&stage, address).await;
    cancel(&stage, "Ada\r\nBcc: eve@example.org", "ada@example.org").await;
    let mail = next(&mut mails).await;
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
}
