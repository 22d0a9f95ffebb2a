//! The log at the collector.

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::*;
use watchdog_fixtures::otlp::shown;

#[tokio::test]
async fn lines_arrive_with_severity_fields_and_where_they_come_from() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let otlp = Otlp::start(&config(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    tracing::warn!(target: "oomen::watcher", target_name = "shop", count = 3, "cannot read");
    tracing::error!(error = %"broken", "stopped");
    let received = soon(collector.until(|received| received.logs.len() == 2)).await;
    assert_eq!(received.mistakes, Vec::<String>::new());
    let find = |body: &str| -> (&str, &LogRecord) {
        let is = |record: &LogRecord| shown(record.body.as_ref()) == body;
        let found = received.logs.iter().find(|(_, record)| is(record));
        found.map(|(scope, record)| (scope.as_str(), record)).expect(body)
    };
    let (scope, warning) = find("cannot read");
    assert_eq!(scope, "oomen::watcher");
    assert_eq!((warning.severity_number, warning.severity_text.as_str()), (13, "WARN"));
    let fields = attributes(&warning.attributes);
    assert_eq!((fields["target_name"].as_str(), fields["count"].as_str()), ("shop", "3"));
    assert_eq!(warning.event_name, "", "a place in the source is no kind of event");
    let (scope, error) = find("stopped");
    assert_eq!(scope, module_path!());
    assert_eq!(error.severity_number, 17);
    assert_eq!(attributes(&error.attributes)["error"], "broken");
    assert_eq!(captured.said("cannot read").1, 1, "it is on stderr as well");
}

#[tokio::test]
async fn what_the_export_itself_logs_is_not_exported() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let otlp = Otlp::start(&config(&collector.url())).expect("started");
    let captured = Captured::start(&otlp);
    for number in 0..3 {
        tracing::info!("line {number}");
        soon(collector.until(|received| received.logs.len() == number + 1)).await;
    }
    // At this level the HTTP client says something of every request, and each would cause the next.
    assert!(captured.said("hyper").1 + captured.said("reqwest").1 > 0, "{:?}", captured.said(""));
    let scopes: Vec<_> = collector.received().logs.into_iter().map(|(scope, _)| scope).collect();
    assert!(scopes.iter().all(|scope| scope == module_path!()), "{scopes:?}");
}

#[test]
fn off_is_nothing() {
    let otlp = Otlp::off();
    assert!(otlp.log_layer::<tracing_subscriber::Registry>().is_none());
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    otlp.ended(&delivery(&shop()));
    assert_eq!(otlp.counts().count(), 0);
}
