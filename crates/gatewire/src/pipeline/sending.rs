//! What a client may read when something that a handler did with sockets failed, so that `?` is all it takes.

use gatewire_hub::{AckError, BroadcastAckError, EmitError, TooManyRooms};

use super::WsException;

/// Its text; what could not be encoded is an error of the handler, and [internal](WsException::internal).
impl From<AckError> for WsException {
    fn from(error: AckError) -> Self {
        match error {
            AckError::Emit(error) => error.into(),
            error => Self::new(error.to_string()),
        }
    }
}

/// How many did not answer; nothing of the nodes of a cluster.
impl From<BroadcastAckError> for WsException {
    fn from(error: BroadcastAckError) -> Self {
        match error {
            BroadcastAckError::Timeout { missing, .. } => {
                Self::new(format!("{missing} receivers did not answer in time"))
            }
            BroadcastAckError::Disconnected { missing, .. } => {
                Self::new(format!("{missing} receivers disconnected before they answered"))
            }
            error => Self::internal(error),
        }
    }
}

/// An error of the handler: [internal](WsException::internal).
impl From<EmitError> for WsException {
    fn from(error: EmitError) -> Self {
        Self::internal(error)
    }
}

/// `Too many rooms`, and how many there may be as `limit`.
impl From<TooManyRooms> for WsException {
    fn from(error: TooManyRooms) -> Self {
        Self::new("Too many rooms").with("limit", error.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_what_is_theirs() {
        let timeout = BroadcastAckError::Timeout {
            responses: Vec::new(),
            missing: 2,
            silent: Vec::new(),
            silent_nodes: Default::default(),
        };
        let unencodable = || EmitError::Json {
            event: "e".to_owned(),
            reason: "secret".to_owned(),
        };
        for (exception, message) in [
            (AckError::Timeout.into(), "the client did not answer in time"),
            (AckError::Emit(unencodable()).into(), "Internal server error"),
            (timeout.into(), "2 receivers did not answer in time"),
            (
                BroadcastAckError::Emit(unencodable()).into(),
                "Internal server error",
            ),
            (unencodable().into(), "Internal server error"),
        ] {
            let exception: WsException = exception;
            assert_eq!(
                exception.to_json(None).get(),
                format!(r#"{{"status":"error","message":"{message}"}}"#)
            );
        }
        let exception = WsException::from(TooManyRooms { limit: 3 });
        assert_eq!(
            exception.to_json(None).get(),
            r#"{"status":"error","message":"Too many rooms","limit":3}"#
        );
    }
}
