//! What an answer that is no success means.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;
use watchdog_core::units::WallTime;

use crate::sink::DeliveryError;

/// A receiver that wants to be left alone for longer is as good as gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// As long as a name may be.
const MAX_HOST: usize = 253;

/// Whether to try again, and what failed. `reason` is the beginning of the answer's text, fit for a message; `hint` says how
/// what stays is mended.
pub(super) fn meaning(
    shown: &str,
    status: StatusCode,
    pause: Option<Duration>,
    reason: &str,
    hint: fn(StatusCode) -> &'static str,
) -> DeliveryError {
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let text = format!("{shown} answered {}{said}", status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            DeliveryError::retry_after(pause, text)
        }
        // Neither was looked at: the one came too slowly, the other too early.
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => DeliveryError::retry(text),
        status if status.is_server_error() => DeliveryError::unsure(text),
        status => DeliveryError::permanent(format!("{text}; {}", hint(status))),
    }
}

/// How most receivers' refusals are mended.
pub(super) fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "are the credentials right, and do they allow this?"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
            "is the address right?"
        }
        _ => "see the receiver's log",
    }
}

/// A redirect is not followed: the credentials are for the configured address alone.
pub(super) fn redirected(shown: &str, status: StatusCode, to: Option<&str>) -> DeliveryError {
    let (status, to) = (status.as_u16(), to.unwrap_or("an unknown host"));
    DeliveryError::permanent(format!(
        "{shown} answered {status}, a redirect to {to}, which is not followed: give the address that it leads to"
    ))
}

/// The host that a redirect leads to. Not the rest of the address: it may hold what was sent.
pub(super) fn leads_to(asked: &Url, headers: &HeaderMap) -> Option<String> {
    let location = asked.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    Some(location.host_str()?.chars().take(MAX_HOST).collect())
}

/// `Retry-After` in seconds or as a date; none of what cannot be read.
pub(super) fn pause(headers: &HeaderMap, now: WallTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds as f64,
        Err(_) => {
            let date = rfc2822::parse(value).ok()?.timestamp();
            date.as_second() as f64 - now.0
        }
    };
    let pause = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_PAUSE);
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_static(value));
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        pause(&headers, WallTime(784_111_777.0))
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_is_bounded() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(paused("7"), seconds(7));
        assert_eq!(paused(" 7 "), seconds(7));
        assert_eq!(paused("0"), seconds(0));
        assert_eq!(paused("Sun, 06 Nov 1994 08:50:07 GMT"), seconds(30));
        assert_eq!(paused("Sun, 06 Nov 1994 08:49:07 GMT"), seconds(0), "it has passed");
        assert_eq!(paused("18446744073709551615"), seconds(86_400));
        assert_eq!(paused("Wed, 01 Jan 2994 00:00:00 GMT"), seconds(86_400));
        for nonsense in ["", "-1", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(paused(nonsense), None, "{nonsense}");
        }
    }
}
