//! What holds on every page for everybody: nothing is cut off or beside the screen, everything has a name.

use serde_json::{Value, json};
use services_trials::browser::{Browser, BrowserError, Screen};

use crate::Outcome;

const FLAWS: &str = include_str!("flaws.js");

/// Roles that mean nothing to who cannot see, without a name (WAI-ARIA 1.2, "accessible name required").
const NAMED: [&str; 9] = [
    "button",
    "combobox",
    "heading",
    "image",
    "link",
    "searchbox",
    "spinbutton",
    "textbox",
    "DisclosureTriangle",
];

/// The page in the window has no flaw.
pub(crate) fn is_sound(browser: &mut Browser, screen: Screen) -> Outcome {
    browser.wait("Boolean(heading())")?;
    let (title, flaws) = (browser.look("heading()")?, flaws(browser, screen)?);
    assert!(flaws.is_empty(), "{title}: {flaws:#?}");
    Ok(())
}

/// What is wrong with the page in the window.
pub(crate) fn flaws(browser: &mut Browser, screen: Screen) -> Result<Vec<String>, BrowserError> {
    let found = browser.look(&format!("({FLAWS})({})", screen.width))?;
    let mut flaws: Vec<String> = found
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let tree = browser.call("Accessibility.getFullAXTree", json!({}))?;
    for node in tree["nodes"].as_array().into_iter().flatten() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let name = node["name"]["value"].as_str().unwrap_or_default();
        if node["ignored"] != true && NAMED.contains(&role) && name.is_empty() {
            flaws.push(format!("a {role} has no name"));
        }
    }
    Ok(flaws)
}
