//! Slack's markup as HTML, as far as our messages use it.

use jiff::Timestamp;

/// `text` as HTML. What Slack wants escaped – `&`, `<` and `>` – is HTML's own, so it stays as it is.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<pre>{}</pre>", part.trim_matches('\n')));
        } else {
            // Slack swallows the line ends around a block of code.
            out.push_str(&line_breaks(&in_code(part.trim_matches('\n'))));
        }
    }
    out
}

fn line_breaks(text: &str) -> String {
    text.replace('\n', "<br>\n")
}

fn in_code(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<code>{part}</code>"));
        } else {
            out.push_str(&bold(&tokens(part)));
        }
    }
    out
}

fn bold(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('*').enumerate() {
        out.push_str(if index == 0 {
            ""
        } else if index % 2 == 1 {
            "<b>"
        } else {
            "</b>"
        });
        out.push_str(part);
    }
    out
}

/// Links and dates, which stand in angle brackets.
fn tokens(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let (token, after) = after.split_once('>').expect("a closed token");
        out.push_str(before);
        out.push_str(&one(token));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn one(token: &str) -> String {
    let (what, words) = token.split_once('|').unwrap_or((token, token));
    match what.strip_prefix("!date^") {
        Some(date) => {
            let (seconds, format) = date.split_once('^').expect("a format");
            let second: i64 = seconds.parse().expect("seconds");
            as_read(second, format)
        }
        None => format!("<a href=\"{}\">{words}</a>", what.replace('"', "%22")),
    }
}

/// The date as somebody in UTC reads it on the same day.
fn as_read(second: i64, format: &str) -> String {
    let time = Timestamp::from_second(second).expect("a time");
    format
        .replace("{date_short_pretty}", "today")
        .replace("{time_secs}", &time.strftime("%-I:%M:%S %p").to_string())
        .replace("{time}", &time.strftime("%-I:%M %p").to_string())
}

/// Plain text as HTML.
pub(crate) fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn markup_is_shown_as_slack_shows_it() {
    assert_eq!(html("*a* `b<x|y>` c"), "<b>a</b> <code>b<x|y></code> c");
    assert_eq!(html("see\n```\nx &lt;T&gt;\n```"), "see<pre>x &lt;T&gt;</pre>");
    assert_eq!(
        html("<https://a.example/?x=1&amp;y|z>\nn"),
        "<a href=\"https://a.example/?x=1&amp;y\">z</a><br>\nn"
    );
    assert_eq!(
        html("<!date^1795269800^{date_short_pretty} {time_secs}|never>"),
        "today 2:03:20 PM"
    );
}
