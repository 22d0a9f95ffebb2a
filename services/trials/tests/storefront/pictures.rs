//! Pictures of the shop for the documentation.

use std::fs;
use std::process::Command;

use services_trials::browser::Browser;

use crate::Outcome;

/// Bytes of one picture.
const MOST: u64 = 150_000;

/// Takes a picture of the window, only where it was asked for.
pub(crate) fn take(browser: &mut Browser, name: &str) -> Outcome {
    if std::env::var_os("UPDATE_PICTURES").is_none() {
        return Ok(());
    }
    browser.look("scrollTo({ top: 0, behavior: 'instant' })")?;
    browser.wait("document.querySelector('#toast').hidden && [...document.images].every((image) => image.complete || image.y > innerHeight)")?;
    let path = format!("{}/../../docs/shop/{name}.png", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/shop"))?;
    fs::write(&path, browser.picture()?)?;
    // Few colours are used: a palette of them makes the file a third. Without it the picture is only larger.
    let _ =
        Command::new("pngquant").args(["--force", "--strip", "--output", &path, &path]).status();
    let bytes = fs::metadata(&path)?.len();
    assert!(bytes <= MOST, "{path} has {bytes} bytes, {MOST} at most; is pngquant installed?");
    Ok(())
}
