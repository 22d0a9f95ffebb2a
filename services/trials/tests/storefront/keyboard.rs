//! A customer with a keyboard alone: every control is reached, each stop is seen, nothing holds them.

use std::collections::BTreeSet;

use serde_json::json;
use services_trials::browser::Browser;

use crate::{DESK, Outcome, soundness};

/// Stops on the longest page, and some more.
const MOST: usize = 120;

/// From the first page to the confirmation.
pub(crate) fn shops(browser: &mut Browser) -> Outcome {
    browser.wait("document.querySelectorAll('.card').length === 24")?;
    tab_to(browser, "Skip to the content")?;
    browser.key("Enter")?;
    browser.wait("document.activeElement.id === 'main'")?;
    every_control_is_reached(browser)?;
    tab_to(browser, "Search the shop")?;
    writes(browser, "lamp")?;
    browser.key("Enter")?;
    comes_to(browser, "Results for “lamp”")?;
    let name = browser.look("document.querySelector('.card .name').textContent")?;
    let name = name.as_str().unwrap_or_default().to_owned();
    enter(browser, &name)?;
    comes_to(browser, &name)?;
    tab_to(browser, "One more: Quantity")?;
    browser.key(" ")?;
    enter(browser, "Add to cart")?;
    browser.wait("nameOf(document.querySelector('#nav-cart')) === 'Cart, 2 pieces'")?;
    browser.wait("document.querySelectorAll('.beside .card').length > 0")?;
    every_control_is_reached(browser)?;
    enter(browser, "Cart, 2 pieces")?;
    comes_to(browser, "Cart")?;
    every_control_is_reached(browser)?;
    enter(browser, "Sign in to check out")?;
    comes_to(browser, "Sign in")?;
    enter(browser, "Create an account")?;
    registers(browser)?;
    pays(browser)?;
    browser.wait("document.querySelector('.order')?.dataset.state === 'notified'")?;
    soundness::is_sound(browser, DESK)?;
    enter(browser, "Read the confirmation")?;
    comes_to(browser, "Mailbox")?;
    enter(browser, "Your order")?;
    Ok(browser.wait("document.querySelector('.letter').checkVisibility()")?)
}

/// What is missing is said at its field, which has the focus then.
fn registers(browser: &mut Browser) -> Outcome {
    comes_to(browser, "Create an account")?;
    every_control_is_reached(browser)?;
    for (field, value) in [("Name", "Alan Turing"), ("Email", "alan.turing@example.org")] {
        tab_to(browser, field)?;
        writes(browser, value)?;
    }
    browser.key("Enter")?;
    browser.wait("isAt('Password') && document.activeElement.ariaInvalid === 'true'")?;
    writes(browser, "a long enough password")?;
    browser.key("Enter")?;
    Ok(())
}

fn pays(browser: &mut Browser) -> Outcome {
    comes_to(browser, "Checkout")?;
    every_control_is_reached(browser)?;
    for (field, value) in [
        ("Street and number", "2 Wilmslow Road"),
        ("Postcode", "M14 5TP"),
        ("City", "Manchester"),
        ("Country", "Ireland"),
        ("Card number", "4242424242424242"),
        ("Valid to", "12/49"),
        ("Security code", "123"),
    ] {
        tab_to(browser, field)?;
        writes(browser, value)?;
    }
    enter(browser, "Pay ")
}

fn enter(browser: &mut Browser, name: &str) -> Outcome {
    tab_to(browser, name)?;
    Ok(browser.key("Enter")?)
}

fn writes(browser: &mut Browser, text: &str) -> Outcome {
    for letter in text.chars() {
        browser.key(letter.encode_utf8(&mut [0; 4]))?;
    }
    Ok(browser.wait(&format!("document.activeElement.value === {}", json!(text)))?)
}

fn comes_to(browser: &mut Browser, title: &str) -> Outcome {
    Ok(browser.wait(&format!("heading() === {}", json!(title)))?)
}

/// Goes on to the control of this name; every stop on the way shows that it has the focus, and is in sight.
fn tab_to(browser: &mut Browser, name: &str) -> Outcome {
    let here = format!("isAt({})", json!(name));
    for _ in 0..MOST {
        tab(browser)?;
        if browser.look(&here)? == true {
            return Ok(());
        }
    }
    Err(format!("Tab does not lead to {name:?}").into())
}

fn tab(browser: &mut Browser) -> Outcome {
    browser.key("Tab")?;
    let stop = browser.look("focused()")?;
    // Between the last stop and the first nothing has the focus.
    let seen = stop["page"] == true || (stop["marked"] == true && stop["inSight"] == true);
    assert!(seen, "the focus is not seen: {stop}");
    Ok(())
}

/// Tab leads to every control of the page and round again.
fn every_control_is_reached(browser: &mut Browser) -> Outcome {
    let count = "(window.stops = controls(document).filter((e) => e.tabIndex >= 0)).length";
    let count = browser.look(count)?.as_u64().unwrap_or_default();
    let mut reached = BTreeSet::new();
    // Once more for the way round, where nothing has the focus.
    for _ in 0..=count {
        tab(browser)?;
        reached.extend(browser.look("stops.indexOf(document.activeElement)")?.as_u64());
    }
    let missed: Vec<u64> = (0..count).filter(|stop| !reached.contains(stop)).collect();
    // A notice may have gone meanwhile.
    let there =
        format!("{missed:?}.map((stop) => stops[stop]).filter((stop) => stop.checkVisibility())");
    let names = browser.look(&format!("{there}.map(nameOf)"))?;
    assert!(names == json!([]) && count > 0, "Tab does not lead to {names}");
    Ok(())
}
