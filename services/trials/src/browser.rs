//! Chromium as customers use it, led over its DevTools pipe: windows, presses, keys, and what it complains of.
//!
//! The protocol is described at <https://chromedevtools.github.io/devtools-protocol/>.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer, or what is waited for on a page, may take on two busy cores.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(25);
/// How long the browser may take to put its files in order.
const FAREWELL: Duration = Duration::from_secs(5);
/// Messages that wait to be read; the browser waits when there are more.
const WAITING: usize = 256;
/// Characters of a page that an error shows.
const EXCERPT: usize = 800;

const EYES: &str = include_str!("browser/eyes.js");

/// Why a page cannot be looked at, or is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// The browser, or the pipe to it.
    #[error("chromium (Debian package chromium): {0}")]
    Io(#[from] io::Error),
    /// It ended, or is stuck.
    #[error("chromium does not answer {0}")]
    Silent(String),
    /// It does not do as it is told.
    #[error("{method}: {error}")]
    Refused {
        /// The command.
        method: String,
        /// What it said.
        error: String,
    },
    /// What was waited for did not come.
    #[error("the page never came to {wanted}; it reads:\n{page}")]
    Never {
        /// The condition, or what was to be pressed.
        wanted: String,
        /// The beginning of the page's text.
        page: String,
    },
}

/// A window: CSS pixels, and whether it is a phone's, which is touched.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// CSS pixels from left to right.
    pub width: u32,
    /// CSS pixels from top to bottom.
    pub height: u32,
    /// A phone: touched, with two dots for a CSS pixel.
    pub phone: bool,
}

struct Window {
    context: String,
    session: String,
    screen: Screen,
}

/// A browser with one window at a time; each window is a new visitor's, without cookies.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    number: u64,
    window: Option<Window>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it without a window.
    ///
    /// # Errors
    /// When Chromium is not installed or does not start.
    pub fn open() -> Result<Self, BrowserError> {
        let profile = tempfile::tempdir()?;
        // It reads commands at descriptor 3 and writes answers at 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"])
            .args(["--disable-component-update", "--disable-sync", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, answers) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
        let (tell, from) = sync_channel(WAITING);
        std::thread::spawn(move || read(answers, &tell));
        let (number, window, complaints) = (0, None, Vec::new());
        let mut browser = Self { child, to, from, number, window, complaints, _profile: profile };
        browser.call("Browser.getVersion", json!({}))?;
        Ok(browser)
    }

    /// Opens an address in a new visitor's window and closes the window before it.
    ///
    /// # Errors
    /// When the browser does not do so.
    pub fn visit(&mut self, screen: Screen, url: &str) -> Result<(), BrowserError> {
        if let Some(Window { context, .. }) = self.window.take() {
            self.call("Target.disposeBrowserContext", json!({ "browserContextId": context }))?;
        }
        let context = self.text("Target.createBrowserContext", json!({}), "browserContextId")?;
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = self.text("Target.createTarget", blank, "targetId")?;
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.text("Target.attachToTarget", attach, "sessionId")?;
        self.window = Some(Window { context, session, screen });
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        let Screen { width, height, phone } = screen;
        let scale = if phone { 2 } else { 1 };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics)?;
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone }))?;
        self.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))?;
        self.call("Page.navigate", json!({ "url": url }))?;
        self.wait("document.readyState === 'complete'")
    }

    /// The size of letters that its user has chosen; 16 is usual.
    ///
    /// # Errors
    /// When the browser does not do so.
    pub fn letters(&mut self, pixels: u32) -> Result<(), BrowserError> {
        let sizes = json!({ "fontSizes": { "standard": pixels, "fixed": pixels } });
        self.call("Page.setFontSizes", sizes)?;
        // An emulated phone does not heed it; there text is scaled as phones' browsers do, from the root on.
        let root = "document.documentElement";
        if self.window.as_ref().is_some_and(|window| window.screen.phone) {
            self.look(&format!("{root}.style.fontSize = '{pixels}px'"))?;
        }
        self.wait(&format!("getComputedStyle({root}).fontSize === '{pixels}px'"))
    }

    /// What an expression in the page gives, at once or as a promise; the functions of `eyes.js` are at hand.
    ///
    /// # Errors
    /// When it throws.
    pub fn look(&mut self, expression: &str) -> Result<Value, BrowserError> {
        let whole = format!("(() => {{ {EYES}; return ({expression}); }})()");
        let asked = json!({ "expression": whole, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", asked)?;
        match answer.get("exceptionDetails") {
            Some(error) => Err(BrowserError::Refused {
                method: expression.to_owned(),
                error: error["exception"]["description"].to_string(),
            }),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// When it does not become so; the error shows what the page reads.
    pub fn wait(&mut self, expression: &str) -> Result<(), BrowserError> {
        self.until(expression, |browser| Ok((browser.look(expression)? == true).then_some(())))
    }

    fn until<T>(
        &mut self,
        wanted: &str,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, BrowserError>,
    ) -> Result<T, BrowserError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if Instant::now() > until {
                let page = self.look("document.body.innerText")?;
                let page = page.as_str().unwrap_or_default().chars().take(EXCERPT).collect();
                return Err(BrowserError::Never { wanted: wanted.to_owned(), page });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Presses the control of this name, with a finger on a phone, as soon as it is there and nothing covers it.
    ///
    /// # Errors
    /// When that does not come.
    pub fn press(&mut self, name: &str) -> Result<(), BrowserError> {
        let place = format!("place({})", json!(name));
        let (x, y) = self.until(&format!("a free \"{name}\""), |browser| {
            let at = browser.look(&place)?;
            Ok(at[0].as_f64().zip(at[1].as_f64()))
        })?;
        if self.window.as_ref().is_some_and(|window| window.screen.phone) {
            let finger = json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] });
            self.call("Input.dispatchTouchEvent", finger)?;
            let lifted = json!({ "type": "touchEnd", "touchPoints": [] });
            return self.call("Input.dispatchTouchEvent", lifted).map(drop);
        }
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", mouse)?;
        }
        Ok(())
    }

    /// Presses a field and writes into it, over what was there.
    ///
    /// # Errors
    /// When the field is not to be had, or does not have the text in the end.
    pub fn fill(&mut self, name: &str, text: &str) -> Result<(), BrowserError> {
        self.press(name)?;
        self.wait(&format!("isAt({})", json!(name)))?;
        self.look("document.activeElement.select()")?;
        self.call("Input.insertText", json!({ "text": text }))?;
        self.wait(&format!("find({}).value === {}", json!(name), json!(text)))
    }

    /// Presses a key: a letter, or `Tab`, `Enter` or a space.
    ///
    /// # Errors
    /// When the browser does not do so.
    pub fn key(&mut self, key: &str) -> Result<(), BrowserError> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            // What has no code of its own is known by its text.
            other => (0, other),
        };
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let named = if key == " " { "Space" } else { key };
        let mut event = json!({ "type": kind, "key": key, "code": named, "text": text,
            "windowsVirtualKeyCode": if key == " " { 32 } else { code } });
        self.call("Input.dispatchKeyEvent", event.clone())?;
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event).map(drop)
    }

    /// What is in the window, as a PNG.
    ///
    /// # Errors
    /// When the browser does not do so.
    pub fn picture(&mut self) -> Result<Vec<u8>, BrowserError> {
        let method = "Page.captureScreenshot";
        let data = self.text(method, json!({ "format": "png" }), "data")?;
        BASE64_STANDARD.decode(data).map_err(|error| BrowserError::Refused {
            method: method.to_owned(),
            error: error.to_string(),
        })
    }

    /// What the pages gave reason to complain of since this was asked before: exceptions, errors and warnings on the
    /// console, what their policy forbade, requests that failed.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn complaints(&mut self) -> Result<Vec<String>, BrowserError> {
        // What happened before an answer comes before it.
        self.look("0")?;
        Ok(std::mem::take(&mut self.complaints))
    }

    fn text(&mut self, method: &str, asked: Value, field: &str) -> Result<String, BrowserError> {
        let answer = self.call(method, asked)?;
        answer[field].as_str().map(str::to_owned).ok_or_else(|| BrowserError::Refused {
            method: method.to_owned(),
            error: format!("no {field}"),
        })
    }

    /// A command of the protocol, to the window if there is one, and its answer.
    ///
    /// # Errors
    /// When it is refused or not answered.
    pub fn call(&mut self, method: &str, asked: Value) -> Result<Value, BrowserError> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method });
        message["params"] = asked;
        if let Some(window) = &self.window {
            message["sessionId"] = json!(window.session);
        }
        let mut line = message.to_string().into_bytes();
        line.push(0);
        self.to.write_all(&line)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let silent = |_| BrowserError::Silent(method.to_owned());
            let mut answer = self.from.recv_timeout(left).map_err(silent)?;
            if answer["id"] != self.number {
                self.complaints.extend(complaint(&answer));
            } else if let Some(error) = answer.get("error") {
                let (method, error) = (method.to_owned(), error.to_string());
                return Err(BrowserError::Refused { method, error });
            } else {
                return Ok(answer["result"].take());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.window = None;
        // Whatever fails here, it is killed.
        let _ = self.call("Browser.close", json!({}));
        let until = Instant::now() + FAREWELL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on what the browser says, until one of both is gone.
fn read(answers: impl Read, tell: &SyncSender<Value>) {
    let mut answers = BufReader::new(answers);
    let mut message = Vec::new();
    while answers.read_until(0, &mut message).is_ok_and(|bytes| bytes > 0) {
        message.pop();
        let Ok(value) = serde_json::from_slice(&message) else { return };
        if tell.send(value).is_err() {
            return;
        }
        message.clear();
    }
}

/// What an event complains of, if anything.
fn complaint(event: &Value) -> Option<String> {
    let said = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(said["exceptionDetails"].to_string()),
        "Log.entryAdded" => Some(said["entry"].to_string()),
        "Runtime.consoleAPICalled" => Some(said["args"].to_string()),
        _ => None,
    }
}
