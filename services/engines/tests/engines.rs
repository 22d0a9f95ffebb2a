//! Every engine starts, dies on SIGKILL and comes back on the same port.
#![allow(clippy::unwrap_used, reason = "a test that cannot start its engine is to say so and end")]

use std::net::TcpStream;

use services_engines::{Engine, EngineError};

fn live_die_and_live_again(start: fn() -> Result<Engine, EngineError>) {
    let mut engine = start().unwrap();
    assert!(engine.is_up());
    engine.kill();
    assert!(!engine.is_up());
    engine.start().unwrap();
    assert!(engine.is_up());
    let port = engine.port();
    drop(engine);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn postgres_dies_on_sigkill_and_comes_back() {
    live_die_and_live_again(Engine::postgres);
}

#[test]
fn rabbitmq_dies_on_sigkill_and_comes_back() {
    live_die_and_live_again(Engine::rabbitmq);
}

#[test]
fn redis_dies_on_sigkill_and_comes_back() {
    live_die_and_live_again(Engine::redis);
}
