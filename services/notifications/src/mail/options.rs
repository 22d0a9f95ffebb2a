//! Which mail server, and who writes.

use std::net::IpAddr;

use clap::Args;
use lettre::AsyncSmtpTransport;
use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Transport;

/// Mail; flattened into the command line.
#[derive(Clone, Debug, Args)]
pub struct MailOptions {
    /// The server that messages are also sent through: `smtps://user:password@host`, or
    /// `smtp://user:password@host:587?tls=required`; without TLS only on this machine, `smtp://127.0.0.1:25`. Without it
    /// messages are in the mailboxes alone.
    #[arg(long, env = "SHOP_SMTP_URL", hide_env_values = true, value_parser = smtp_url)]
    pub smtp_url: Option<SecretString>,
    /// Who mails come from.
    #[arg(long = "mail-from", env = "SHOP_MAIL_FROM", default_value = "Shop <shop@localhost>")]
    pub from: Mailbox,
}

impl MailOptions {
    /// What sends through the server; nothing without one.
    pub(super) fn transport(&self) -> anyhow::Result<Option<AsyncSmtpTransportBuilder>> {
        let Some(url) = &self.smtp_url else { return Ok(None) };
        Ok(Some(Transport::from_url(url.expose_secret())?))
    }
}

/// An address whose way is encrypted, or does not leave the machine.
fn smtp_url(text: &str) -> Result<SecretString, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value);
    let encrypted = match (url.scheme(), tls.as_deref()) {
        ("smtps", _) | ("smtp", Some("required")) => true,
        ("smtp", None | Some("opportunistic")) => false,
        _ => return Err("it is smtps://… or smtp://…?tls=required".to_owned()),
    };
    let host = url.host_str().ok_or("it names no server")?;
    // Of a scheme that the parser does not know, an address in numbers is a name to it.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if !encrypted && !here {
        let advice = "without TLS only to this machine; use smtps:// or ?tls=required";
        return Err(advice.to_owned());
    }
    AsyncSmtpTransport::<lettre::Tokio1Executor>::from_url(text)
        .map_err(|error| error.to_string())?;
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_messages_leave_the_machine_encrypted_or_not_at_all() {
        for good in [
            "smtps://shop:secret@mail.example.org",
            "smtp://shop:secret@mail.example.org:587?tls=required",
            "smtp://127.0.0.1:2525",
            "smtp://localhost",
            "smtp://[::1]:2525",
        ] {
            assert!(smtp_url(good).is_ok(), "{good}");
        }
        for bad in [
            "smtp://mail.example.org",
            "smtp://mail.example.org?tls=opportunistic",
            "smtp://127.0.0.1.example.org",
            "smtp://192.0.2.1:25",
            "smtp://mail.example.org?tls=no",
            "http://127.0.0.1",
            "mail.example.org",
            "smtp:",
            "",
        ] {
            assert!(smtp_url(bad).is_err(), "{bad}");
        }
    }
}
