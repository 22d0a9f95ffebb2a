//! What a failed call means: whether to retry, in words that say how to mend it.
//!
//! Bodies of answers are left out: they may be large and are not ours. Error codes come from outside too.

use std::error::Error;
use std::io;

use slack_morphism::errors::SlackClientError;

use super::connector::PutOff;
use crate::message::{clean, truncated};
use crate::sink::{DeliveryError, ErrorKind};

/// Foreign text in an error is cut to this.
const MAX_DETAIL: usize = 300;
const SLOW_DOWN: &str = "Slack asks to slow down";

fn code(error: &SlackClientError) -> Option<&str> {
    match error {
        SlackClientError::ApiError(error) => Some(&error.code),
        _ => None,
    }
}

/// Slack no longer knows the message, or it is another's.
pub(super) fn is_about_a_lost_message(error: &SlackClientError) -> bool {
    let codes =
        ["message_not_found", "thread_not_found", "cannot_reply_to_message", "cant_update_message"];
    code(error).is_some_and(|code| codes.contains(&code))
}

/// The message is there, but cannot be edited any more.
pub(super) fn is_about_a_closed_message(error: &SlackClientError) -> bool {
    matches!(code(error), Some("edit_window_closed"))
}

/// Slack takes the message, but not its blocks.
pub(super) fn is_about_layout(error: &SlackClientError) -> bool {
    let codes = [
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_slack_file",
        "msg_blocks_too_long",
        "slack_file_not_found",
    ];
    code(error).is_some_and(|code| codes.contains(&code))
}

/// Slack takes no files of this app, or none at all.
pub(super) fn is_about_files(error: &SlackClientError) -> bool {
    let codes = [
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "file_uploads_disabled",
        "file_uploads_except_images_disabled",
        "storage_limit_reached",
        "unknown_method",
    ];
    code(error).is_some_and(|code| codes.contains(&code))
}

/// An answer came, and it cannot be understood.
pub(super) fn is_garbled(error: &SlackClientError) -> bool {
    matches!(error, SlackClientError::ProtocolError(_))
}

/// The call may work when it is repeated.
pub(super) fn may_pass(error: &SlackClientError) -> bool {
    matches!(explain(error).kind, ErrorKind::Retry { .. })
}

/// Whether to retry, whether Slack may have taken the message all the same, and what failed.
pub(super) fn explain(error: &SlackClientError) -> DeliveryError {
    match error {
        SlackClientError::RateLimitError(error) => {
            DeliveryError::retry_after(error.retry_after, SLOW_DOWN)
        }
        SlackClientError::ApiError(error) => {
            explain_code(&error.code, error.http_response_body.as_deref())
        }
        SlackClientError::HttpError(error) => {
            let status = error.status_code;
            let text = format!("Slack answered with HTTP status {}", status.as_u16());
            if status.is_server_error() || status.as_u16() == 408 {
                DeliveryError::unsure(text)
            } else {
                DeliveryError::permanent(text + "; check the API address and any proxy")
            }
        }
        SlackClientError::ProtocolError(_) => {
            DeliveryError::unsure("the answer is not one of Slack's; check the API address")
        }
        SlackClientError::HttpProtocolError(error) => unreachable(error.cause.as_deref()),
        SlackClientError::SystemError(error) => unreachable(error.cause.as_deref()),
        SlackClientError::EndOfStream(_) | SlackClientError::SocketModeProtocolError(_) => {
            DeliveryError::unsure("the connection to Slack ended")
        }
    }
}

fn explain_code(code: &str, body: Option<&str>) -> DeliveryError {
    let scope = needed_scope(body).unwrap_or("chat:write");
    let hint = match code {
        // By Slack's own words, something may have been done before these two were raised.
        "internal_error" | "fatal_error" => {
            return DeliveryError::unsure(format!("Slack answered `{code}`"));
        }
        "ratelimited"
        | "rate_limited"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => {
            return DeliveryError::retry(format!("Slack answered `{code}`"));
        }
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "give a valid bot token with the scope chat:write"
        }
        "missing_scope" | "no_permission" => {
            return DeliveryError::permanent(format!(
                "Slack answered `{code}`: add the scope {scope} to the Slack app and install it again"
            ));
        }
        "channel_not_found" => {
            "check the channel's name; into a private one the app must be invited"
        }
        "not_in_channel" => "invite the app into the channel",
        "is_archived" => "the channel is archived, choose another",
        _ => "see the error's entry in Slack's documentation",
    };
    DeliveryError::permanent(format!("Slack answered `{}`: {hint}", detail(code)))
}

/// The scope that an answer says is missing, if it is one of ours.
fn needed_scope(body: Option<&str>) -> Option<&'static str> {
    let body: serde_json::Value = serde_json::from_str(body?).ok()?;
    let needed = body["needed"].as_str()?;
    let ours = ["chat:write", "files:write", "channels:history", "groups:history"];
    ours.into_iter().find(|scope| needed.split(',').any(|one| one.trim() == *scope))
}

/// No answer came. That nothing was taken is only sure as long as there was no connection: its name was not found, it was
/// refused, or there was no TLS.
fn unreachable(cause: Option<&(dyn Error + Send + Sync + 'static)>) -> DeliveryError {
    let connecting = cause
        .and_then(|cause| cause.downcast_ref::<hyper_util::client::legacy::Error>())
        .is_some_and(hyper_util::client::legacy::Error::is_connect);
    if let Some(put_off) = cause.and_then(|cause| put_off(cause)) {
        // Of a 503 it is not said who gave it, nor what was done before.
        let unsure = put_off.status != 429;
        return DeliveryError { unsure, ..DeliveryError::retry_after(put_off.after, SLOW_DOWN) };
    }
    let mut causes = Vec::new();
    let mut next = cause.map(|cause| cause as &(dyn Error + 'static));
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let causes = detail(&causes.join(": "));
    if connecting {
        DeliveryError::retry(format!("Slack cannot be reached: {causes}"))
    } else {
        DeliveryError::unsure(format!("Slack gave no answer: {causes}"))
    }
}

/// The answer that the connection ended with, where one asked for time.
fn put_off(cause: &(dyn Error + 'static)) -> Option<PutOff> {
    let mut next = Some(cause);
    while let Some(cause) = next {
        // What an I/O error was made of is not among its sources.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(put_off) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(*put_off);
        }
        next = cause.source();
    }
    None
}

fn detail(text: &str) -> String {
    truncated(&clean(text), MAX_DETAIL)
}
