//! The storefront in a real browser, before the whole shop: a customer at a desk, one with a phone, one with a keyboard
//! alone. `UPDATE_PICTURES=1 cargo test -p services-trials --test storefront` takes the pictures of docs/shop/ anew.

#[path = "storefront/customer.rs"]
mod customer;
#[path = "storefront/keyboard.rs"]
mod keyboard;
#[path = "storefront/pictures.rs"]
mod pictures;
#[path = "storefront/soundness.rs"]
mod soundness;

use std::error::Error;

use services_trials::browser::{Browser, Screen};

use crate::customer::Customer;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const DESK: Screen = Screen { width: 1280, height: 800, phone: false };
const PHONE: Screen = Screen { width: 390, height: 844, phone: true };

#[test]
fn customers_at_a_desk_with_a_phone_and_without_a_mouse_order_and_read_their_confirmation()
-> Outcome {
    let mut open = services_trials::open(&[])?;
    let door = format!("http://{}/", open.shop.door());
    let mut browser = Browser::open()?;
    for (screen, name) in [(DESK, "Ada Lovelace"), (PHONE, "Grace Hopper")] {
        browser.visit(screen, &door)?;
        Customer { shop: &mut open.shop, browser: &mut browser, screen, name }.shops()?;
        no_complaints(&mut browser)?;
    }
    browser.visit(DESK, &door)?;
    keyboard::shops(&mut browser)?;
    no_complaints(&mut browser)?;
    what_is_wrong_is_seen(&mut browser)?;
    open.shop.close();
    Ok(())
}

fn no_complaints(browser: &mut Browser) -> Outcome {
    let complaints = browser.complaints()?;
    if std::env::var_os("DUMP").is_none() {
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    Ok(())
}

/// The checks above find what they look for.
fn what_is_wrong_is_seen(browser: &mut Browser) -> Outcome {
    browser.look("console.error('a mistake')")?;
    browser.look("document.body.setAttribute('style', 'color: red')")?;
    let complaints = browser.complaints()?;
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[1].contains("Content Security Policy"), "{complaints:#?}");
    let wide = "Object.assign(document.createElement('input'), { size: 400 })";
    browser.look(&format!("document.querySelector('main').append({wide})"))?;
    let flaws = soundness::flaws(browser, DESK)?.join("\n");
    for flaw in ["scrolls sideways", "sticks out", "has no label", "has no name"] {
        assert!(flaws.contains(flaw), "{flaw} in {flaws}");
    }
    Ok(())
}
