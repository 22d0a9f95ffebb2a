//! A call that did not give what was asked for, and how a service passes that on.

use axum::http::StatusCode;

use crate::error::ApiError;
use crate::peers::Peer;

/// Why a call to another service gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It refused, and says why; a status from 400 to 499.
    #[error("{} refused: {message} ({code})", peer.name())]
    Refused {
        /// Which service.
        peer: Peer,
        /// With which status.
        status: StatusCode,
        /// Its code, for programs.
        code: String,
        /// Its reason, for people.
        message: String,
    },
    /// It failed; a status from 500, or a redirect.
    #[error("{} failed with {status}", peer.name())]
    Failed {
        /// Which service.
        peer: Peer,
        /// With which status.
        status: StatusCode,
    },
    /// It was not reached, or the connection broke.
    #[error("{} cannot be reached: {reason}", peer.name())]
    Unreachable {
        /// Which service.
        peer: Peer,
        /// What the network said.
        reason: String,
    },
    /// Time ran out.
    #[error("{} did not answer in time", peer.name())]
    Late {
        /// Which service.
        peer: Peer,
    },
    /// It failed so often just now that it was not asked.
    #[error("{} fails at present and was not asked", peer.name())]
    Broken {
        /// Which service.
        peer: Peer,
    },
    /// Its answer is not what was agreed.
    #[error("{} answered something else than agreed: {reason}", peer.name())]
    Garbled {
        /// Which service.
        peer: Peer,
        /// What is wrong with it.
        reason: String,
    },
}

impl CallError {
    /// The status of a refusal.
    pub fn refused(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether another attempt may go better.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Late { .. } => true,
            Self::Failed { status, .. } => matches!(status.as_u16(), 502..=504),
            Self::Refused { .. } | Self::Broken { .. } | Self::Garbled { .. } => false,
        }
    }

    /// Whether it says that the service is broken.
    pub(super) fn counts(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Broken { .. })
    }

    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Broken { .. } => "broken",
            _ => "failed",
        }
    }
}

impl From<CallError> for ApiError {
    /// A refusal is passed on as it is; anything else is ours to log and the client's to try again.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { status, code, message, .. } => {
                Self::new(status, message).code(code)
            }
            CallError::Late { peer } => {
                tracing::warn!(peer = peer.name(), "a call was not answered in time");
                let message = format!("{} did not answer in time", peer.name());
                Self::new(StatusCode::GATEWAY_TIMEOUT, message)
            }
            CallError::Failed { peer, .. }
            | CallError::Unreachable { peer, .. }
            | CallError::Broken { peer }
            | CallError::Garbled { peer, .. } => {
                tracing::warn!(peer = peer.name(), %error, "a call failed");
                Self::unavailable(format!("{} is not available now", peer.name())).retry_after(3)
            }
        }
    }
}
