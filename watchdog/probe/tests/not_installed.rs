//! A program that merges the router but forgot `install!` is told so.

#[tokio::test]
async fn a_program_without_install_is_told_what_is_missing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes: axum::Router = oomen_probe::router();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    for path in ["/debug/allocator", "/debug/pprof/heap"] {
        let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        assert_eq!(response.status().as_u16(), 503);
        let text = response.text().await.unwrap();
        assert!(text.contains("oomen_probe::install!();"), "{text}");
    }
}
