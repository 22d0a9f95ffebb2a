//! Whatever an incident holds, Slack takes the message.

use proptest::prelude::*;
use serde_json::Value;
use watchdog_core::culprit::Culprit;
use watchdog_core::forecast::KillWindow;
use watchdog_core::profile::Frame;
use watchdog_core::units::{Bytes, BytesPerSecond, WallTime};
use watchdog_fixtures::slack::check_content;

use super::*;
use crate::slack::memory::Memory;
use crate::slack::news::untold;

fn sample() -> Incident {
    serde_json::from_str(include_str!("../../../tests/report/confirmed.json"))
        .expect("the sample incident")
}

fn around(page: Option<&Url>) -> Surroundings<'_> {
    Surroundings { page, runbook: page, plot: Some("F0123456789"), key: "oomen:key" }
}

/// The message as it is posted.
fn message(incidents: &[Incident], page: Option<&Url>) -> Value {
    let content = content(incidents, around(page));
    let request = SlackApiChatPostMessageRequest::new("alerts".into(), content);
    serde_json::to_value(request).expect("JSON")
}

/// Nothing in it but our own markup: dates and links to our own page.
fn mentions_nobody(message: &Value) -> Result<(), TestCaseError> {
    for text in texts(message) {
        for (at, _) in text.match_indices('<') {
            let markup = &text[at..];
            let ours =
                markup.starts_with("<!date^") || markup.starts_with("<https://oomen.example/");
            prop_assert!(ours, "{}", text);
        }
    }
    Ok(())
}

/// All that Slack reads as markup. What is plain text in a block is shown as it is.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) if object.get("type") == Some(&Value::from("mrkdwn")) => {
            assert_eq!(object["verbatim"], true, "else names become links");
            vec![object["text"].as_str().expect("a text").to_owned()]
        }
        Value::Object(object) => {
            let plain = object.get("channel").and(object.get("text")).and_then(Value::as_str);
            let parts = object.values().flat_map(texts);
            parts.chain(plain.map(str::to_owned)).collect()
        }
        Value::Array(array) => array.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Ordinary, empty, long, escaped, quoted, right-to-left, combining, astral and control text.
fn hostile() -> impl Strategy<Value = String> {
    let seed = prop_oneof![
        any::<String>(),
        "[a-z_:]{0,40}",
        Just("<!channel> & <@U1> *b* ```".into()),
        Just("\"\\\"\\".into()),
        Just("\u{202e}\u{0}\u{1b}[31m\n\r\t".into()),
        Just("🦀👩‍👩‍👧‍👦e\u{301}ﷺ".into()),
    ];
    (seed, prop_oneof![Just(1_usize), 0..4_usize, Just(3000)])
        .prop_map(|(seed, times)| seed.repeat(times))
}

fn hostile_frame() -> impl Strategy<Value = Frame> {
    (hostile(), proptest::option::of(hostile()), proptest::option::of(any::<u32>()))
        .prop_map(|(function, file, line)| Frame { function, file, line })
}

prop_compose! {
    fn culprit()(
        frame in hostile_frame(),
        frames in prop::collection::vec(hostile_frame(), 0..4),
        repeated in 0..100_usize,
        growth in any::<u64>(),
        share in any::<f64>(),
        samples in any::<u64>(),
        over_seconds in any::<f64>(),
        rates in any::<[f64; 3]>(),
    ) -> Culprit {
        let stack = frames.iter().cycle().take(frames.len() * repeated).cloned().collect();
        let [rate, rate_low, rate_high] = rates;
        Culprit {
            frame,
            growth: Bytes(growth),
            share,
            samples,
            profiles: repeated,
            over_seconds,
            rate,
            rate_low,
            rate_high,
            stack,
        }
    }
}

prop_compose! {
    fn incident()(
        state in prop::sample::select(State::ALL.to_vec()),
        texts in prop::collection::vec(hostile(), 8),
        culprit in proptest::option::of(culprit()),
        pending in proptest::option::of(hostile()),
        evidence in proptest::option::of(hostile()),
        bytes in any::<(u64, Option<u64>)>(),
        times in any::<[f64; 5]>(),
        rates in any::<[f64; 3]>(),
        closed in any::<bool>(),
    ) -> Incident {
        let mut incident = sample();
        incident.id.clone_from(&texts[0]);
        incident.target.name.clone_from(&texts[1]);
        incident.target.namespace = Some(texts[2].clone());
        incident.target.pod = Some(texts[3].clone());
        incident.target.version = Some(texts[4].clone());
        incident.verdict.sentence.clone_from(&texts[5]);
        incident.dumps = vec![texts[6].clone(), texts[7].clone()];
        incident.state = state;
        incident.suspects = culprit.iter().cycle().take(3).cloned().collect();
        incident.culprit = culprit;
        incident.culprit_pending = pending;
        incident.evidence = evidence;
        incident.used = Bytes(bytes.0);
        incident.limit = bytes.1.map(Bytes);
        incident.updated = WallTime(times[0]);
        incident.told = Some(WallTime(times[1]));
        incident.closed = closed.then_some(WallTime(times[1]));
        incident.kill = Some(KillWindow {
            low: WallTime(times[2]),
            estimate: WallTime(times[3]),
            high: Some(WallTime(times[4])),
        });
        if let Some(trend) = &mut incident.trend {
            [trend.slope, trend.low, trend.high] = rates.map(BytesPerSecond);
        }
        incident
    }
}

proptest! {
    #[test]
    fn any_incident_makes_a_message_within_every_limit(incident in incident(), linked in any::<bool>()) {
        let page: Url = "https://oomen.example/a|b/".parse().expect("a url");
        let message = message(&[incident], linked.then_some(&page));
        prop_assert_eq!(check_content(&message), Ok(()), "{:#}", message);
        mentions_nobody(&message)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_group_makes_a_message_within_every_limit(
        incidents in prop::collection::vec(incident(), 1..8),
        times in 1..12_usize,
    ) {
        let page: Url = "https://oomen.example/".parse().expect("a url");
        let many: Vec<Incident> =
            incidents.iter().cycle().take((incidents.len() * times).min(64)).cloned().collect();
        let message = message(&many, Some(&page));
        prop_assert_eq!(check_content(&message), Ok(()), "{:#}", message);
        mentions_nobody(&message)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_news_makes_a_reply_within_every_limit(
        before in prop::collection::vec(incident(), 0..3),
        after in prop::collection::vec(incident(), 1..14),
    ) {
        let mut memory = Memory::default();
        memory.tell_all(&before);
        let told = before.len().min(after.len());
        let mut after = after;
        for (after, before) in after.iter_mut().zip(&before[..told]) {
            after.id.clone_from(&before.id);
        }
        let mut replies = 0;
        while let Some(news) = untold(&memory, &after) {
            let request = SlackApiChatPostMessageRequest::new("alerts".into(), news.content());
            let reply = serde_json::to_value(request).expect("JSON");
            prop_assert_eq!(check_content(&reply), Ok(()), "{:#}", reply);
            mentions_nobody(&reply)?;
            news.remember(&mut memory);
            replies += 1;
            prop_assert!(replies < 10, "it never ends");
        }
    }
}

/// With everything as long as it can be.
fn longest(piece: &str, bytes: usize, many: usize) -> Incident {
    let long = piece.repeat(bytes / piece.len());
    let mut incident = sample();
    incident.id.clone_from(&long);
    incident.target.name.clone_from(&long);
    incident.target.workload = Some(long.clone());
    incident.target.namespace = Some(long.clone());
    incident.target.pod = Some(long.clone());
    incident.target.version = Some(long.clone());
    incident.verdict.sentence.clone_from(&long);
    incident.evidence = Some(long.clone());
    let frame = Frame { function: long.clone(), file: Some(long), line: Some(1) };
    if let Some(culprit) = &mut incident.culprit {
        culprit.rate = 1.0;
        culprit.frame = frame.clone();
        culprit.stack.clear();
        incident.suspects = vec![culprit.clone(); many];
        incident.suspects[0].stack = vec![frame; many];
    }
    incident
}

#[test]
fn the_longest_parts_all_at_once_stay_within_the_limits() {
    let page: Url = format!("https://oomen.example/{}", "x".repeat(300)).parse().expect("a url");
    // Quotes double in JSON, ampersands grow fivefold by escaping.
    for piece in ["\"", "\\", "&", "🦀", "`", "<!channel>"] {
        for (count, bytes, suspects) in [(1, 10_000, 300), (2, 10_000, 300), (64, 1_000, 20)] {
            let many = vec![longest(piece, bytes, suspects); count];
            let message = message(&many, Some(&page));
            assert_eq!(check_content(&message), Ok(()), "{count} × {piece}");
            mentions_nobody(&message).expect("nobody");
            let text = message.to_string();
            assert!(text.contains("keeps 93\u{a0}%"), "{text}");
            if count == 64 {
                let list = message["blocks"][1]["text"]["text"].as_str().expect("a list");
                let shown = list.lines().count() - 1;
                assert!(list.ends_with(&format!("… {} more", count - shown)), "{list}");
            }
        }
    }
}

#[test]
fn a_report_of_usual_size_is_shown_in_full() {
    let mut incident = sample();
    incident.suspects = incident.culprit.clone().into_iter().cycle().take(3).collect();
    let many = vec![incident; 20];
    let full = laid_out(&many, around(None), &DETAILS[0]);
    assert_eq!(content(&many, around(None)), full);
    let length = length(&full);
    assert!(length < WHOLE - 3000, "{length} characters");
}

#[test]
fn the_forecast_survives_the_longest_name() {
    let mut incident = sample();
    incident.target.name = "x".repeat(500);
    let message = message(&[incident], None);
    let header = message["blocks"][0]["text"]["text"].as_str().expect("a header");
    let header = header.replace('\u{a0}', " ");
    assert!(header.ends_with("killed in 3 min 10 s (2 min 40 s – 4 min)"), "{header}");
}

#[test]
fn buttons_lead_only_where_there_is_an_address() {
    let labels = |around: Surroundings<'_>, incident: &Incident| -> Vec<String> {
        let message = serde_json::to_value(content(std::slice::from_ref(incident), around));
        let message = message.expect("JSON");
        let blocks = message["blocks"].as_array().expect("blocks").iter();
        let actions = blocks.filter(|block| block["type"] == "actions");
        let elements = actions.flat_map(|block| block["elements"].as_array().expect("buttons"));
        elements.map(|button| button["text"]["text"].as_str().expect("a label").into()).collect()
    };
    let page: Url = "https://oomen.example/".parse().expect("a url");
    let all = Surroundings { page: Some(&page), runbook: Some(&page), ..Surroundings::default() };
    assert_eq!(labels(all, &sample()), ["Watchdog", "Flamegraph", "Heap dump", "Runbook"]);
    let none_taken = Incident { dumps: Vec::new(), ..sample() };
    assert_eq!(labels(all, &none_taken), ["Watchdog", "Runbook"]);
    assert!(labels(Surroundings::default(), &sample()).is_empty());
}

#[test]
fn a_function_is_told_of_the_replica_that_knows_it() {
    let mut unknowing = sample();
    (unknowing.culprit, unknowing.state) = (None, State::Imminent);
    let mut knowing = sample();
    knowing.target.pod = Some("knows".into());
    let message = message(&[unknowing, knowing], None).to_string();
    assert!(message.contains("Of `knows`:\\n🔎 `cache::remember` keeps"), "{message}");
}
