//! Two watchdogs in one process: each on its own, and nothing left when they have stopped.

use std::net::SocketAddr;
use std::time::Duration;

use oomen::app::App;
use oomen::cli::WatchArgs;
use oomen::config::{Config, Environment};
use oomen::otlp::Otlp;
use tempfile::TempDir;

use crate::support::{SOON, Service, Shop, eventually, get, get_json};

async fn start(service: &Service, data: &TempDir) -> App {
    let args = WatchArgs {
        pid: Some(service.pid()),
        probe: Some(service.admin.parse().expect("an address")),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        data_dir: Some(data.path().to_owned()),
        warm_up: Some(Duration::from_secs(1)),
        ..WatchArgs::default()
    };
    let config = Config::load(&args, Environment::default()).expect("a configuration");
    App::start(config, Otlp::off()).await.expect("started")
}

async fn watches(app: &App, service: &Service) {
    let url = format!("http://{}/api/v1/targets/{}", app.address, service.name);
    eventually("a sample", SOON, async || {
        let target = get_json(&url).await?;
        let sampled = !target["sample"].is_null();
        (sampled && target["identity"]["pid"] == service.pid()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_watchdogs_in_one_process_start_and_stop_without_leaving_anything_behind() {
    let (one, two) = (Shop::new(), Shop::new());
    let (one, two) = (one.start().await, two.start().await);
    let data = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();

    let first = start(&one, &data[0]).await;
    let second = start(&two, &data[1]).await;
    let addresses = [first.address, second.address];
    assert_ne!(addresses[0], addresses[1]);
    watches(&first, &one).await;
    watches(&second, &two).await;
    let alone = get(&format!("http://{}/metrics", first.address)).await.expect("metrics");
    assert!(!alone.contains(&two.name), "the first knows the second's target");
    assert!(tasks() > before);

    first.stop().await;
    assert!(get(&format!("http://{}/health/live", addresses[0])).await.is_none());
    watches(&second, &two).await;
    second.stop().await;
    for address in addresses {
        std::net::TcpListener::bind(address).expect("the port is free again");
    }
    eventually("every task ends", SOON, async || (tasks() <= before).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let data = tempfile::tempdir().expect("a directory");
    let args = WatchArgs {
        process: Some("nobody".into()),
        listen: Some(address),
        data_dir: Some(data.path().to_owned()),
        ..WatchArgs::default()
    };
    let config = Config::load(&args, Environment::default()).expect("a configuration");
    let error = App::start(config, Otlp::off()).await.err().expect("an error");
    assert!(format!("{error:#}").contains(&address.to_string()), "{error:#}");
}
