//! Where an application may have its say in the HTTP side of an engine: whether a handshake is let in, which headers go
//! out, and what was refused. None of them is called on the way of a message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use gatewire_hub::Id;
use gatewire_proto::engineio::HandshakeError;
use http::HeaderMap;
use http::request::Parts;

type Verdict = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type AllowRequest = Arc<dyn Fn(&Parts) -> Verdict + Send + Sync>;
type GenerateId = Arc<dyn Fn(&Parts) -> Option<Id> + Send + Sync>;
type ChangeHeaders = Arc<dyn Fn(&mut HeaderMap, &Parts) + Send + Sync>;
type OnRefusal = Arc<dyn Fn(&HandshakeError, &Parts) + Send + Sync>;

/// The hooks of one [`Engine`](crate::Engine); see [`Engine::with_hooks`](crate::Engine::with_hooks).
///
/// ```
/// use gatewire_server::Hooks;
///
/// let hooks = Hooks::new().allow_request(|request| {
///     let known = request.headers.contains_key("x-api-key");
///     async move { if known { Ok(()) } else { Err("an API key is needed".to_owned()) } }
/// });
/// ```
#[derive(Clone, Default)]
pub struct Hooks {
    allow_request: Option<AllowRequest>,
    generate_id: Option<GenerateId>,
    initial_headers: Option<ChangeHeaders>,
    headers: Option<ChangeHeaders>,
    connection_error: Option<OnRefusal>,
}

impl Hooks {
    /// No hooks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides whether a handshake is let in; requests of a session that is open are not asked about. An error is
    /// answered with code 4 and its text (403 on polling, 400 on WebSocket), or "Forbidden" if the text is empty.
    #[must_use]
    pub fn allow_request<F>(mut self, decide: impl Fn(&Parts) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.allow_request = Some(Arc::new(move |parts| Box::pin(decide(parts))));
        self
    }

    /// Makes the ids of sessions, which are secrets of their clients: whoever knows one can poll in its name. Without,
    /// they are 15 random bytes. `None`, and an id that another session has, refuses the handshake with code 3.
    ///
    /// ```
    /// use gatewire_hub::Id;
    /// use gatewire_server::Hooks;
    ///
    /// // A load balancer finds the node of a session by the first letters of its id.
    /// let node = "eu7";
    /// let hooks = Hooks::new().generate_id(move |_request| {
    ///     let random = Id::generate();
    ///     Id::parse(&format!("{node}{}", &random.as_str()[node.len()..]))
    /// });
    /// ```
    #[must_use]
    pub fn generate_id(mut self, generate: impl Fn(&Parts) -> Option<Id> + Send + Sync + 'static) -> Self {
        self.generate_id = Some(Arc::new(generate));
        self
    }

    /// Changes the headers of the first response of a session: the handshake, on either transport.
    #[must_use]
    pub fn initial_headers(
        mut self,
        change: impl Fn(&mut HeaderMap, &Parts) + Send + Sync + 'static,
    ) -> Self {
        self.initial_headers = Some(Arc::new(change));
        self
    }

    /// Changes the headers of every polling response with status 200 and of every WebSocket handshake.
    #[must_use]
    pub fn headers(mut self, change: impl Fn(&mut HeaderMap, &Parts) + Send + Sync + 'static) -> Self {
        self.headers = Some(Arc::new(change));
        self
    }

    /// Is told of every request that is refused, with the error that the client gets.
    #[must_use]
    pub fn connection_error(
        mut self,
        told: impl Fn(&HandshakeError, &Parts) + Send + Sync + 'static,
    ) -> Self {
        self.connection_error = Some(Arc::new(told));
        self
    }

    pub(crate) async fn decide(&self, parts: &Parts) -> Result<(), HandshakeError> {
        let Some(allow_request) = &self.allow_request else {
            return Ok(());
        };
        let verdict = allow_request(parts);
        verdict
            .await
            .map_err(|message| HandshakeError::Forbidden((!message.is_empty()).then_some(message)))
    }

    /// The id of a new session.
    pub(crate) fn session_id(&self, parts: &Parts) -> Option<Id> {
        match &self.generate_id {
            None => Some(Id::generate()),
            Some(generate) => generate(parts),
        }
    }

    /// Whether any answer but the first of a session is changed, for which its request is needed.
    pub(crate) fn change_answers(&self) -> bool {
        self.headers.is_some()
    }

    /// Adds what the hooks say to a response that goes out well. `is_first` is the one that opens the session.
    pub(crate) fn change_headers(&self, headers: &mut HeaderMap, parts: &Parts, is_first: bool) {
        let first = self.initial_headers.iter().filter(|_| is_first);
        for change in first.chain(&self.headers) {
            change(headers, parts);
        }
    }

    pub(crate) fn tell_refused(&self, error: &HandshakeError, parts: &Parts) {
        let cause = match error {
            HandshakeError::BadRequest(cause) => Some(tracing::field::display(cause)),
            _ => None,
        };
        tracing::debug!(code = error.code(), reason = error.message(), cause, uri = %parts.uri, "a request is refused");
        if let Some(told) = &self.connection_error {
            told(error, parts);
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("allow_request", &self.allow_request.is_some())
            .field("generate_id", &self.generate_id.is_some())
            .field("initial_headers", &self.initial_headers.is_some())
            .field("headers", &self.headers.is_some())
            .field("connection_error", &self.connection_error.is_some())
            .finish()
    }
}
