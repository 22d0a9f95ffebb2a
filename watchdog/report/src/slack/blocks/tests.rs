//! Whatever an incident holds, Slack takes the message.

use proptest::prelude::*;
use serde_json::Value;
use watchdog_core::forecast::KillWindow;
use watchdog_core::profile::Frame;
use watchdog_core::units::{Bytes, BytesPerSecond};
use watchdog_fixtures::slack::check_content;

use super::*;

fn sample() -> Incident {
    serde_json::from_str(include_str!("../../../tests/report/confirmed.json"))
        .expect("the sample incident")
}

fn message(incident: &Incident, page: Option<&Url>) -> Value {
    let request = SlackApiChatPostMessageRequest::new("alerts".into(), content(incident, page));
    serde_json::to_value(request).expect("JSON")
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
        let message = message(&incident, linked.then_some(&page));
        prop_assert_eq!(check_content(&message), Ok(()), "{:#}", message);
        // The only markup is ours: foreign text mentions nobody.
        let text = message.to_string();
        for mention in ["<!channel", "<!here", "<@"] {
            prop_assert!(!text.contains(mention), "{}", text);
        }
    }
}

#[test]
fn the_longest_parts_all_at_once_stay_within_the_limits() {
    // Quotes double in JSON, ampersands grow fivefold by escaping.
    for piece in ["\"", "&", "🦀", "`"] {
        let long = piece.repeat(5000);
        let mut incident = sample();
        incident.id.clone_from(&long);
        incident.target.name.clone_from(&long);
        incident.target.pod = Some(long.clone());
        incident.target.version = Some(long.clone());
        incident.verdict.sentence.clone_from(&long);
        incident.evidence = Some(long.clone());
        let frame = Frame { function: long.clone(), file: Some(long.clone()), line: Some(1) };
        if let Some(culprit) = &mut incident.culprit {
            culprit.stack = vec![frame.clone(); 5000];
            culprit.frame = frame;
        }
        let message = message(&incident, None);
        assert_eq!(check_content(&message), Ok(()), "{piece}");
        assert!(message.to_string().contains("… 4992 more"), "{message}");
    }
}

#[test]
fn the_forecast_survives_the_longest_name() {
    let mut incident = sample();
    incident.target.name = "x".repeat(500);
    let message = message(&incident, None);
    let header = message["blocks"][0]["text"]["text"].as_str().expect("a header");
    assert!(header.ends_with("killed in 3 min 10 s (2 min 40 s – 4 min)"), "{header}");
}

#[test]
fn escapes_count_and_are_never_cut_apart() {
    assert_eq!(escaped("a<b>&c", 100), "a&lt;b&gt;&amp;c");
    assert_eq!(escaped("abc", 3), "abc");
    assert_eq!(escaped("abcd", 3), "ab…");
    assert_eq!(escaped("ab<c", 5), "ab…");
    assert_eq!(escaped("<<", 4), "…");
    assert_eq!(escaped("🦀🦀", 3), "🦀…");
}

#[test]
fn links_are_encoded_and_left_out_when_too_long() {
    let page: Url = "https://oomen.example/base/".parse().expect("a url");
    let to = |id| link(Some(&page), &["incidents", id]);
    let link_to = to("a|b>&/c").expect("a link");
    assert_eq!(link_to, "https://oomen.example/base/incidents/a%7Cb%3E&amp;%2Fc");
    assert_eq!(to(&"x".repeat(LINK)), None);
    assert_eq!(link(None, &["a"]), None);
}

#[test]
fn dates_are_in_the_readers_time_zone_with_a_fallback() {
    let date_of = |seconds| date(WallTime(seconds));
    assert_eq!(
        date_of(1_795_269_800.0),
        "<!date^1795269800^{date_short_pretty} {time_secs}|2026-11-21 14:03:20 UTC>"
    );
    assert_eq!(date_of(f64::NAN), "an unknown time");
}
