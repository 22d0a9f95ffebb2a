//! Messages as one page that looks as Slack lays them out, on a phone and on a desktop, light and dark.
//!
//! Not measured from Slack to the pixel: what matters is what stands beside what, what wraps and what is cut.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::screens_markup::{html, plain};

/// What is shown under one heading.
pub(crate) struct Scene {
    /// Its name in links and files.
    pub id: &'static str,
    /// What it shows.
    pub heading: &'static str,
    /// Messages as Slack gives them back, oldest first.
    pub messages: Vec<Value>,
    /// The files that stand in the channel.
    pub files: Files,
}

/// Files by their id: the title and the bytes.
pub(crate) type Files = BTreeMap<String, (String, Vec<u8>)>;

/// A page with these scenes, in this theme (`light`, `dark`) and on this device (`phone`, `desktop`) unless the reader
/// chooses otherwise.
pub(crate) fn page(scenes: &[Scene], theme: &str, device: &str) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
    out.push_str("<title>Oomen in Slack</title>\n<style>\n");
    out.push_str(include_str!("screens.css"));
    out.push_str("</style>\n<body>\n<nav>\n");
    for (name, choice) in
        [("theme", "light"), ("theme", "dark"), ("device", "phone"), ("device", "desktop")]
    {
        let checked = if [theme, device].contains(&choice) { " checked" } else { "" };
        let input = format!("<input type=\"radio\" name=\"{name}\" id=\"{choice}\"{checked}>");
        writeln!(out, "<label>{input} {choice}</label>").expect("written");
    }
    out.push_str("</nav>\n");
    for scene in scenes {
        write!(out, "<section id=\"{}\">\n<h2>{}</h2>\n", scene.id, scene.heading)
            .expect("written");
        out.push_str("<div class=\"channel\">\n");
        for message in &scene.messages {
            out.push_str(&self::message(message, &scene.files));
        }
        out.push_str("</div>\n</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn message(message: &Value, files: &Files) -> String {
    let mut out =
        String::from("<article>\n<div class=\"avatar\">O</div>\n<div class=\"content\">\n");
    if message["subtype"] == "thread_broadcast" {
        out.push_str("<div class=\"small\">replied to a thread</div>\n");
    }
    out.push_str("<div class=\"who\"><b>Oomen</b> <span class=\"app\">APP</span></div>\n");
    let blocks: Vec<&Value> = message["blocks"].as_array().into_iter().flatten().collect();
    if blocks.is_empty() && !text(&message["text"]).is_empty() {
        writeln!(out, "<p>{}</p>", html(text(&message["text"]))).expect("written");
    }
    for block in blocks {
        out.push_str(&self::block(block, files));
    }
    for file in message["files"].as_array().into_iter().flatten() {
        out.push_str(&shared(text(&file["id"]), files));
    }
    let replies = message["reply_count"].as_u64().unwrap_or(0);
    if replies > 0 && message["oomen_thread"].is_null() {
        let plural = if replies == 1 { "reply" } else { "replies" };
        writeln!(out, "<div class=\"replies\">{replies} {plural}</div>").expect("written");
    }
    out.push_str("</div>\n</article>\n");
    out
}

fn block(block: &Value, files: &Files) -> String {
    match text(&block["type"]) {
        "header" => format!("<h3>{}</h3>\n", plain(text(&block["text"]["text"]))),
        "section" => section(block),
        "context" => {
            let elements = block["elements"].as_array().into_iter().flatten();
            let elements = elements.map(|element| format!("<span>{}</span>", object(element)));
            format!(
                "<div class=\"context small\">{}</div>\n",
                elements.collect::<Vec<_>>().join("\n")
            )
        }
        "actions" => {
            let elements = block["elements"].as_array().into_iter().flatten();
            let elements = elements.map(|button| {
                let label = plain(text(&button["text"]["text"]));
                format!("<a class=\"button\" href=\"{}\">{label}</a>", plain(text(&button["url"])))
            });
            format!("<div class=\"actions\">{}</div>\n", elements.collect::<Vec<_>>().join("\n"))
        }
        "image" => {
            let id = text(&block["slack_file"]["id"]);
            picture(id, text(&block["alt_text"]), files)
        }
        "divider" => "<hr>\n".into(),
        other => panic!("the page cannot show a block of type `{other}`"),
    }
}

fn section(block: &Value) -> String {
    let mut out = String::new();
    if block["text"].is_object() {
        writeln!(out, "<p>{}</p>", object(&block["text"])).expect("written");
    }
    let fields: Vec<&Value> = block["fields"].as_array().into_iter().flatten().collect();
    if !fields.is_empty() {
        out.push_str("<div class=\"fields\">\n");
        for field in fields {
            writeln!(out, "<p>{}</p>", object(field)).expect("written");
        }
        out.push_str("</div>\n");
    }
    out
}

fn object(object: &Value) -> String {
    match text(&object["type"]) {
        "mrkdwn" => html(text(&object["text"])),
        _ => plain(text(&object["text"])),
    }
}

fn picture(id: &str, alt: &str, files: &Files) -> String {
    let (title, bytes) = files.get(id).expect("the file that the message shows");
    format!(
        "<figure><figcaption>{}</figcaption><img alt=\"{}\" src=\"data:image/png;base64,{}\"></figure>\n",
        plain(title),
        plain(alt),
        base64(bytes)
    )
}

/// A file of the thread: pictures are shown, others are named.
fn shared(id: &str, files: &Files) -> String {
    let Some((title, bytes)) = files.get(id) else {
        return "<div class=\"file small\">This file was deleted.</div>\n".into();
    };
    if bytes.starts_with(b"\x89PNG") {
        return picture(id, title, files);
    }
    format!(
        "<div class=\"file\"><b>{}</b><br><span class=\"small\">Binary</span></div>\n",
        plain(title)
    )
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
