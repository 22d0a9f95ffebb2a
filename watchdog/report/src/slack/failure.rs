//! What a failed call means: whether to retry, in words that say how to mend it.
//!
//! Bodies of answers are left out: they may be large and are not ours. Error codes come from outside too.

use std::error::Error;

use slack_morphism::errors::SlackClientError;

use crate::message::{clean, truncated};
use crate::sink::DeliveryError;

/// Foreign text in an error is cut to this.
const MAX_DETAIL: usize = 300;

fn code(error: &SlackClientError) -> Option<&str> {
    match error {
        SlackClientError::ApiError(error) => Some(&error.code),
        _ => None,
    }
}

/// Slack no longer knows the message, or lets nobody change it.
pub(super) fn is_about_a_lost_message(error: &SlackClientError) -> bool {
    matches!(code(error), Some("message_not_found" | "cant_update_message" | "edit_window_closed"))
}

/// Slack takes the message, but not its blocks.
pub(super) fn is_about_layout(error: &SlackClientError) -> bool {
    matches!(code(error), Some("invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long"))
}

/// Whether to retry, and what failed.
pub(super) fn explain(error: &SlackClientError) -> DeliveryError {
    match error {
        SlackClientError::RateLimitError(error) => {
            DeliveryError::retry_after(error.retry_after, "Slack asks to slow down")
        }
        SlackClientError::ApiError(error) => explain_code(&error.code),
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
        SlackClientError::HttpProtocolError(error) => {
            DeliveryError::unsure(unreachable(error.cause.as_deref()))
        }
        SlackClientError::SystemError(error) => {
            DeliveryError::unsure(unreachable(error.cause.as_deref()))
        }
        SlackClientError::EndOfStream(_) | SlackClientError::SocketModeProtocolError(_) => {
            DeliveryError::unsure("the connection to Slack ended")
        }
    }
}

fn explain_code(code: &str) -> DeliveryError {
    let hint = match code {
        "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => {
            return DeliveryError::retry(format!("Slack answered `{code}`"));
        }
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "give a valid bot token with the scope chat:write"
        }
        "missing_scope" | "no_permission" => {
            "add the scope chat:write to the Slack app and install it again"
        }
        "channel_not_found" => {
            "check the channel's name; into a private one the app must be invited"
        }
        "not_in_channel" => "invite the app into the channel",
        "is_archived" => "the channel is archived, choose another",
        _ => "see the error's entry in Slack's documentation of chat.postMessage",
    };
    DeliveryError::permanent(format!("Slack answered `{}`: {hint}", detail(code)))
}

fn unreachable(cause: Option<&(dyn Error + Send + Sync + 'static)>) -> String {
    let mut causes = Vec::new();
    let mut next = cause.map(|cause| cause as &(dyn Error + 'static));
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    format!("Slack cannot be reached: {}", detail(&causes.join(": ")))
}

fn detail(text: &str) -> String {
    truncated(&clean(text), MAX_DETAIL)
}
