//! Whether the watchdog lives, and whether it watches.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::routes::Shared;
use crate::status::Status;

/// Answer of `/health/live`.
#[derive(Serialize)]
pub(crate) struct Live {
    live: bool,
}

/// `GET /health/live`: the process answers; nothing else is looked at.
pub(crate) async fn live() -> Json<Live> {
    Json(Live { live: true })
}

/// Answer of `/health/ready`.
#[derive(Serialize)]
pub(crate) struct Ready {
    ready: bool,
    reason: String,
    targets: usize,
    sampled: usize,
}

/// `GET /health/ready`: every target was sampled at least once, or there is none yet and one is looked for.
pub(crate) async fn ready(State(shared): State<Shared>) -> (StatusCode, Json<Ready>) {
    let ready = judge(&shared.source.status());
    let code = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(ready))
}

fn judge(status: &Status) -> Ready {
    let targets = status.targets.len();
    let sampled = status.targets.iter().filter(|target| target.sample.is_some()).count();
    let (ready, reason) = match (targets, status.discovering) {
        (0, true) => (true, "waits for a target to appear".to_owned()),
        (0, false) => (false, "there is no target and none is looked for".to_owned()),
        _ if sampled == targets => (true, "every target was sampled".to_owned()),
        _ => (false, format!("{} of {targets} targets were not sampled yet", targets - sampled)),
    };
    Ready { ready, reason, targets, sampled }
}

#[cfg(test)]
mod tests {
    use watchdog_core::sample::Sample;

    use super::*;
    use crate::status::TargetStatus;

    #[test]
    fn it_is_ready_when_all_targets_were_sampled_or_one_is_waited_for() {
        let unseen = TargetStatus::default();
        let seen = TargetStatus { sample: Some(Sample::default()), ..unseen.clone() };
        for (targets, discovering, ready) in [
            (vec![], false, false),
            (vec![], true, true),
            (vec![seen.clone()], false, true),
            (vec![seen, unseen.clone()], true, false),
            (vec![unseen], false, false),
        ] {
            let answer = judge(&Status { targets, discovering, ..Status::default() });
            assert_eq!(answer.ready, ready, "{}", answer.reason);
        }
    }
}
