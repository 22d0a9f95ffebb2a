//! The Slack sink, step by step: in which order, what is remembered, and what is done when it goes wrong.

use serde_json::{Value, json};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::slack::Failure;
use watchdog_report::sink::{ErrorKind, Sink};

use crate::sample::confirmed;
use crate::slack_story::{Known, Story, channel, course, later, replicas, sink, story, unnamed};

const NOTHING: Known = Known { rows: false, profile: None };
const PLOT: Known = Known { rows: true, profile: None };
const ALL: Known = Known { rows: true, profile: Some(1000) };
/// The fixture's messages are of now; whatever came before was not of this test.
const LONG_AGO: Option<WallTime> = Some(WallTime(0.0));

const UPLOAD: [&str; 3] = ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"];

fn with_upload(before: &[&'static str], after: &[&'static str]) -> Vec<&'static str> {
    [before, &UPLOAD, after].concat()
}

#[tokio::test]
async fn text_comes_first_then_the_plot_then_the_profile() {
    let (server, mut story) = story(ALL).await;
    story.tell(&[confirmed()]).await.expect("told");
    let expected = [&with_upload(&["post"], &["update"])[..], &UPLOAD].concat();
    assert_eq!(course(&server), expected);
    let [plot, profile] = &server.files()[..] else { panic!("{:?}", server.files()) };
    let root = &server.messages()[0];
    assert!(plot.completed && plot.channel.is_none(), "only the message shows it: {plot:?}");
    assert!(profile.completed && profile.channel.as_ref() == Some(&root.channel), "{profile:?}");
    assert_eq!(profile.thread_ts.as_ref(), Some(&root.ts));
    assert_eq!((profile.name.as_str(), profile.bytes.len()), ("recommendations-7d9f.pb.gz", 1000));
    let shown = &server.messages()[1].blocks;
    let images: Vec<_> = shown.iter().filter(|block| block["type"] == "image").collect();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0]["slack_file"], json!({"id": plot.id}));
    assert_eq!(story.tell(&[confirmed()]).await, Ok(1), "nothing is left to tell");
    assert_eq!(course(&server).len(), expected.len());
}

#[tokio::test]
async fn each_step_is_one_delivery() {
    let (server, mut story) = story(PLOT).await;
    assert_eq!(story.step(&[confirmed()], None).await, Ok(true));
    assert_eq!(course(&server), ["post"]);
    assert_eq!(story.step(&[confirmed()], None).await, Ok(true));
    assert_eq!(course(&server), with_upload(&["post"], &[]));
    let habits = story.sink.habits();
    assert!(habits.groups && habits.refreshes);
}

#[tokio::test]
async fn a_turn_updates_the_message_and_is_told_in_the_thread() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[unnamed(later(State::Confirmed, 0.0))]).await.expect("told");
    story.tell(&[later(State::Confirmed, 10.0)]).await.expect("told");
    story.tell(&[later(State::Imminent, 20.0)]).await.expect("told");
    story.tell(&[later(State::Recovered, 200.0)]).await.expect("told");
    let course = course(&server);
    assert_eq!(course, ["post", "update", "reply", "update", "reply", "update", "reply"]);
    let messages = server.messages();
    let replies: Vec<_> = messages.iter().filter(|message| message.thread_ts.is_some()).collect();
    assert!(replies.iter().all(|reply| reply.thread_ts.as_ref() == Some(&messages[0].ts)));
    let body = |index: usize| {
        let body = replies[index].blocks[0]["text"]["text"].as_str().expect("text");
        body.replace('\u{a0}', " ")
    };
    let named = "🔎 `cache::remember` keeps 93 % of the growth";
    assert!(body(0).starts_with(named), "{}", body(0));
    let full = "`services_recommendations::cache::remember` at `src/cache.rs:42`";
    assert!(body(0).ends_with(full), "{}", body(0));
    assert!(body(1).starts_with("🚨 *recommendations is about to be killed"), "{}", body(1));
    assert!(body(1).contains("<!date^1795269770^"), "{}", body(1));
    assert!(body(2).starts_with("✅ *recommendations recovered after 4 min 21 s*"), "{}", body(2));
    assert!(body(2).ends_with("The growth stopped."), "{}", body(2));
}

#[tokio::test]
async fn figures_that_move_update_the_message_and_tell_the_thread_nothing() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[confirmed()]).await.expect("told");
    story.tell(&[later(State::Confirmed, 5.0)]).await.expect("told");
    assert_eq!(course(&server), ["post", "update"]);
}

#[tokio::test]
async fn a_restart_updates_the_message_that_was_posted_before_it() {
    let (server, mut before) = story(NOTHING).await;
    before.tell(&[confirmed()]).await.expect("told");
    let mut after = Story { sink: sink(&server, NOTHING), memory: before.memory };
    after.tell(&[later(State::Killed, 60.0)]).await.expect("told");
    assert_eq!(course(&server), ["post", "update", "reply"]);
    let messages = server.messages();
    assert_eq!(messages[1].ts, messages[0].ts);
    assert_eq!(messages[1].channel, messages[0].channel);
}

#[tokio::test]
async fn a_kill_and_a_near_kill_are_shown_in_the_channel_once_each() {
    let (server, mut story) = story(NOTHING).await;
    use State::{Confirmed, Imminent, Killed};
    let mut three = replicas(&[Confirmed, Confirmed, Confirmed]);
    let mut tell = async |states: &[(usize, State)], seconds: f64| {
        for (index, state) in states {
            let (id, target) = (three[*index].id.clone(), three[*index].target.clone());
            three[*index] = Incident { id, target, ..later(*state, seconds) };
        }
        story.tell(&three).await.expect("told");
    };
    tell(&[], 0.0).await;
    tell(&[(0, Imminent)], 300.0).await;
    tell(&[(1, Imminent)], 310.0).await;
    tell(&[(0, Killed)], 320.0).await;
    tell(&[(1, Killed), (2, Imminent)], 330.0).await;
    let replies = server.messages().iter().filter(|one| one.thread_ts.is_some()).count();
    assert_eq!(replies, 4);
    let seen = channel(&server).await;
    let emoji: Vec<_> = seen[1..].iter().map(|one| first_char(&one["text"])).collect();
    assert_eq!(emoji, [Some('🚨'), Some('💀')], "{seen:#?}");
}

#[tokio::test]
async fn what_is_shown_in_the_channel_has_two_lines_and_the_function_follows_in_the_thread() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[unnamed(confirmed())]).await.expect("told");
    story.tell(&[later(State::Imminent, 300.0)]).await.expect("told");
    assert_eq!(course(&server), ["post", "update", "reply", "reply"]);
    let messages = server.messages();
    let body = |index: usize| messages[index].blocks[0]["text"]["text"].as_str().expect("text");
    let seen = channel(&server).await;
    assert_eq!((seen.len(), &seen[1]["ts"]), (2, &Value::from(messages[2].ts.as_str())));
    assert_eq!(body(2).lines().count(), 2, "{}", body(2));
    assert!(body(2).starts_with("🚨 *recommendations is about to be killed"), "{}", body(2));
    assert!(body(3).starts_with("🔎 `cache::remember` keeps 93"), "{}", body(3));

    let (server, mut story) = self::story(NOTHING).await;
    story.tell(&replicas(&[State::Confirmed; 5])).await.expect("told");
    story.tell(&replicas(&[State::Killed; 5])).await.expect("told");
    let reply = server.messages().pop().expect("a reply");
    let body = reply.blocks[0]["text"]["text"].as_str().expect("text");
    assert_eq!((channel(&server).await.len(), body.lines().count()), (2, 2), "{body}");
    assert!(body.ends_with(" · … 2 more"), "{body}");
}

fn first_char(text: &Value) -> Option<char> {
    text.as_str()?.chars().next()
}

#[tokio::test]
async fn a_near_kill_right_after_the_report_calls_nobody_twice() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[confirmed()]).await.expect("told");
    story.tell(&[later(State::Imminent, 60.0)]).await.expect("told");
    assert_eq!(course(&server), ["post", "update", "reply"]);
    assert_eq!(channel(&server).await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_one_message() {
    let (server, mut story) = story(NOTHING).await;
    server.fail_next(1, Failure::AcceptThenReset);
    let error = story.step(&[confirmed()], None).await.expect_err("no answer");
    assert!(error.unsure, "{error}");
    // Meanwhile it went on.
    let now = [later(State::Imminent, 30.0)];
    assert_eq!(story.step(&now, LONG_AGO).await, Ok(true));
    story.tell(&now).await.expect("told");
    let course = course(&server);
    assert_eq!(course, ["post", "conversations.history", "update", "reply"]);
    let messages = server.messages();
    assert_eq!(messages[1].ts, messages[0].ts);
    assert!(messages[1].text.contains("is about to be killed"), "{}", messages[1].text);
    assert!(messages[2].text.contains("is about to be killed"), "{}", messages[2].text);
}

#[tokio::test]
async fn an_attempt_that_came_to_nothing_is_posted_after_the_look() {
    let (server, mut story) = story(NOTHING).await;
    server.fail_next(1, Failure::Reset);
    story.step(&[confirmed()], None).await.expect_err("no answer");
    story.step(&[confirmed()], LONG_AGO).await.expect("posted");
    assert_eq!(course(&server), ["post refused", "conversations.history", "post"]);
}

#[tokio::test]
async fn a_message_is_found_behind_many_others() {
    let (server, mut story) = story(NOTHING).await;
    server.fail_next(1, Failure::AcceptThenReset);
    story.step(&[confirmed()], None).await.expect_err("no answer");
    for number in 0..45 {
        let other = Incident { id: format!("other-{number}"), ..unnamed(confirmed()) };
        Story::new(sink(&server, NOTHING)).step(&[other], None).await.expect("posted");
    }
    let before = server.requests().len();
    story.step(&[confirmed()], LONG_AGO).await.expect("found");
    assert_eq!(
        course(&server)[before..],
        ["conversations.history", "conversations.history", "update"]
    );
    assert!(
        story.memory.as_ref().is_some_and(|memory| memory["root"]["ts"] == server.messages()[0].ts)
    );
}

#[tokio::test]
async fn a_look_that_fails_for_now_is_repeated_before_anything_is_posted() {
    let (server, mut story) = story(NOTHING).await;
    for failure in [Failure::Status(503), Failure::RateLimited(3), Failure::Reset, Failure::Garbage]
    {
        server.fail_next(1, failure);
        let error = story.step(&[confirmed()], LONG_AGO).await.expect_err("no answer");
        assert!(error.unsure && matches!(error.kind, ErrorKind::Retry { .. }), "{error:?}");
    }
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn looks_that_are_garbled_for_ever_do_not_keep_a_report_back() {
    let (server, mut story) = story(NOTHING).await;
    server.fail_next_of("conversations.history", 100, Failure::Garbage);
    let mut looks = 1;
    while let Err(error) = story.step(&[confirmed()], LONG_AGO).await {
        assert!(error.unsure && looks < 10, "{error}");
        looks += 1;
    }
    assert!((3..10).contains(&looks), "{looks}");
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn without_the_scope_to_look_a_report_may_be_told_twice_but_is_told() {
    let (server, mut story) = story(NOTHING).await;
    server.withhold_scope("channels:history");
    server.fail_next(1, Failure::AcceptThenReset);
    story.step(&[confirmed()], None).await.expect_err("no answer");
    story.step(&[confirmed()], LONG_AGO).await.expect("posted");
    assert_eq!(course(&server), ["post", "conversations.history refused", "post"]);
    // The thread's reply is assumed to be there, as the message holds it in any case.
    story.step(&[later(State::Imminent, 5.0)], None).await.expect("updated");
    assert_eq!(story.step(&[later(State::Imminent, 5.0)], LONG_AGO).await, Ok(false));
    let last = course(&server).pop();
    assert_eq!(last.as_deref(), Some("conversations.replies refused"), "and nothing after it");
}

#[tokio::test]
async fn a_reply_whose_answer_is_lost_is_not_sent_again() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[confirmed()]).await.expect("told");
    let near = [later(State::Imminent, 5.0)];
    story.step(&near, None).await.expect("updated");
    server.fail_next(1, Failure::AcceptThenReset);
    story.step(&near, None).await.expect_err("no answer");
    assert_eq!(story.step(&near, LONG_AGO).await, Ok(false));
    let killed = [later(State::Killed, 9.0)];
    story.tell(&killed).await.expect("told");
    let expected = ["post", "update", "reply", "conversations.replies", "update", "reply"];
    assert_eq!(course(&server), expected);
}

#[tokio::test]
async fn a_lost_reply_that_told_less_is_followed_by_one_that_tells_the_rest() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[confirmed()]).await.expect("told");
    let near = [later(State::Imminent, 5.0)];
    story.step(&near, None).await.expect("updated");
    server.fail_next(1, Failure::AcceptThenReset);
    story.step(&near, None).await.expect_err("no answer");
    let killed = [later(State::Killed, 9.0)];
    story.step(&killed, LONG_AGO).await.expect("updated");
    assert_eq!(story.step(&killed, LONG_AGO).await, Ok(false), "found, and the rest is told");
    let texts: Vec<_> =
        server.messages().into_iter().filter(|one| one.thread_ts.is_some()).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].text.starts_with("🚨") && texts[1].text.starts_with("💀"), "{texts:?}");
}

#[tokio::test]
async fn a_message_that_was_deleted_is_posted_anew_but_not_for_ever() {
    let (server, mut story) = story(NOTHING).await;
    story.tell(&[confirmed()]).await.expect("told");
    for round in 1..=5 {
        server.delete_messages();
        story.tell(&[later(State::Confirmed, f64::from(round))]).await.expect("told");
    }
    let posts = course(&server).iter().filter(|word| *word == "post").count();
    assert_eq!(posts, 4, "whoever deletes it again and again does not want it");
}

#[tokio::test]
async fn a_message_that_can_be_edited_no_more_goes_on_in_the_thread() {
    let (server, mut story) = story(PLOT).await;
    story.tell(&[confirmed()]).await.expect("told");
    server.fail_next_of("chat.update", 1, Failure::Code("edit_window_closed"));
    story.tell(&[later(State::Confirmed, 5.0)]).await.expect("told");
    let before = course(&server).len();
    story.tell(&[later(State::Confirmed, 6.0)]).await.expect("told");
    assert_eq!(course(&server).len(), before, "moved figures alone are not told any more");
    story.tell(&[later(State::Recovered, 7.0)]).await.expect("told");
    let seen = channel(&server).await;
    let last = seen.last().and_then(|one| one["text"].as_str()).expect("a reply");
    assert!(seen.len() == 2 && last.contains("recovered"), "{seen:?}");
}

#[tokio::test]
async fn an_image_that_is_still_processed_is_shown_as_soon_as_slack_takes_it() {
    let (server, mut story) = story(PLOT).await;
    server.process_files_after(3);
    story.tell(&[confirmed()]).await.expect("told");
    let course = course(&server);
    let refused = course.iter().filter(|word| *word == "update refused").count();
    assert_eq!((refused, course.last().map(String::as_str)), (3, Some("update")), "{course:?}");
    let messages = server.messages();
    assert!(messages.last().expect("one").blocks.iter().any(|block| block["type"] == "image"));
}

#[tokio::test]
async fn an_image_that_slack_never_takes_is_left_out() {
    let (server, mut story) = story(PLOT).await;
    server.process_files_after(1000);
    story.tell(&[confirmed()]).await.expect("told");
    story.tell(&[later(State::Confirmed, 5.0)]).await.expect("told");
    let messages = server.messages();
    let last = messages.last().expect("one");
    assert!(
        last.text.contains("3\u{a0}min\u{a0}5\u{a0}s"),
        "the words are up to date: {}",
        last.text
    );
    assert!(last.blocks.iter().all(|block| block["type"] != "image"));
    story.tell(&[later(State::Imminent, 300.0)]).await.expect("told");
    assert_eq!(server.files().len(), 1, "nor would it take another that stands in no channel");
    story.tell(&[later(State::Killed, 400.0)]).await.expect("told");
    assert!(server.files()[1].thread_ts.is_some(), "but the thread takes that of the end");
}

#[tokio::test]
async fn plots_are_a_minute_apart_and_the_old_one_is_deleted_once_the_new_one_is_shown() {
    let (server, mut story) = story(PLOT).await;
    let near = |seconds| [later(State::Imminent, seconds)];
    story.tell(&[confirmed()]).await.expect("told");
    story.tell(&near(10.0)).await.expect("told");
    assert_eq!(server.files().len(), 1, "too soon");
    story.tell(&near(65.0)).await.expect("told");
    let files = server.files();
    assert_eq!(files.len(), 2);
    assert!(files[0].deleted && !files[1].deleted);
    let last = course(&server);
    assert_eq!(last[last.len() - 2..], ["update", "files.delete"]);
    story.tell(&near(130.0)).await.expect("told");
    assert_eq!(server.files().len(), 2, "nothing is news and the forecast is as it was");
    story.tell(&[later(State::Killed, 140.0)]).await.expect("told");
    let root = &server.messages()[0];
    let files = server.files();
    assert_eq!(files.len(), 3, "the end is always drawn");
    assert_eq!(files[2].thread_ts.as_ref(), Some(&root.ts), "and stays in the thread");
    assert!(files[1].deleted && !files[2].deleted && files[1].channel.is_none(), "{files:?}");
}

#[tokio::test]
async fn a_forecast_that_moved_much_is_drawn_anew() {
    let (server, mut story) = story(PLOT).await;
    story.tell(&[confirmed()]).await.expect("told");
    let mut sooner = later(State::Confirmed, 70.0);
    sooner.revision = confirmed().revision;
    story.tell(&[sooner.clone()]).await.expect("told");
    assert_eq!(server.files().len(), 1);
    sooner.kill = sooner.kill.map(|mut kill| {
        kill.estimate = kill.estimate.plus(-60.0);
        kill
    });
    story.tell(&[sooner]).await.expect("told");
    assert_eq!(server.files().len(), 2);
}

#[tokio::test]
async fn without_the_scope_for_files_the_text_is_told_all_the_same() {
    let (server, mut story) = story(ALL).await;
    server.withhold_scope("files:write");
    story.tell(&[confirmed()]).await.expect("told");
    story.tell(&[later(State::Killed, 100.0)]).await.expect("told");
    let expected = ["post", "files.getUploadURLExternal refused", "update", "reply"];
    assert_eq!(course(&server), expected, "asked for once");
}

#[tokio::test]
async fn a_file_that_fails_is_tried_three_times_and_then_left_out() {
    for (method, failure) in [
        ("files.getUploadURLExternal", Failure::Status(500)),
        ("upload", Failure::Reset),
        ("files.completeUploadExternal", Failure::Garbage),
        ("files.completeUploadExternal", Failure::Code("invalid_arguments")),
    ] {
        let (server, mut story) = story(PLOT).await;
        server.fail_next_of(method, 100, failure);
        story.tell(&[confirmed()]).await.expect("the text is told");
        let tries = course(&server).iter().filter(|word| word.starts_with(method)).count();
        assert_eq!(tries, 3, "{method} {failure:?}");
        assert_eq!(story.tell(&[confirmed()]).await, Ok(1), "and not again");
    }
}

#[tokio::test]
async fn a_file_waits_when_slack_asks_to_slow_down() {
    let (server, mut story) = story(PLOT).await;
    story.step(&[confirmed()], None).await.expect("posted");
    server.fail_next_of("files.getUploadURLExternal", 1, Failure::RateLimited(9));
    let error = story.step(&[confirmed()], None).await.expect_err("slow down");
    let nine = std::time::Duration::from_secs(9);
    assert_eq!(error.kind, ErrorKind::Retry { after: Some(nine) });
    story.tell(&[confirmed()]).await.expect("told");
    assert_eq!(server.files().len(), 1);
}

#[tokio::test]
async fn profiles_are_sent_when_the_function_is_named_and_at_the_end_if_there_is_a_newer_one() {
    let (server, mut story) = story(Known { rows: false, profile: Some(10) }).await;
    story.tell(&[unnamed(confirmed())]).await.expect("told");
    assert!(server.files().is_empty(), "nobody is named yet");
    story.tell(&[confirmed()]).await.expect("told");
    assert_eq!(server.files().len(), 1);
    let mut end = later(State::Killed, 60.0);
    end.dumps.push("d3".into());
    story.tell(&[end]).await.expect("told");
    let files = server.files();
    assert_eq!(files.len(), 2);
    assert!(files[0].bytes.starts_with(b"d2") && files[1].bytes.starts_with(b"d3"));
}

#[tokio::test]
async fn a_profile_that_is_too_large_or_gone_is_left_out() {
    for length in [None, Some(0), Some((8 << 20) + 1)] {
        let (server, mut story) = story(Known { rows: false, profile: length }).await;
        story.tell(&[confirmed()]).await.expect("told");
        assert_eq!(course(&server), ["post"], "{length:?}");
    }
}

#[tokio::test]
async fn a_replica_that_joins_is_told_in_the_thread_and_64_are_told_in_one_message() {
    let (server, mut story) = story(NOTHING).await;
    let all = replicas(&[State::Confirmed; 64]);
    story.tell(&all[..1]).await.expect("told");
    story.tell(&all).await.expect("told");
    assert_eq!(course(&server), ["post", "update", "reply"]);
    let messages = server.messages();
    assert_eq!(messages[1].ts, messages[0].ts);
    assert!(messages[1].text.contains("64 of recommendations leak memory"), "{}", messages[1].text);
    let reply = messages[2].blocks[0]["text"]["text"].as_str().expect("text");
    assert_eq!(reply.lines().count(), 11, "{reply}");
    assert!(reply.ends_with("… 53 more"), "{reply}");
}

#[tokio::test]
async fn memory_that_cannot_be_read_costs_a_second_message_and_nothing_else() {
    let (server, mut story) = story(NOTHING).await;
    story.memory = Some(json!({"root": "nonsense"}));
    story.tell(&[confirmed()]).await.expect("told");
    assert_eq!(course(&server), ["post"]);
}
