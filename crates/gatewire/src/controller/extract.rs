//! Extractors that controllers share with gateways, and the one that streams have more. All others are axum's.

use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::IntoResponse;
use garde::Validate;
use http::header::HeaderName;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{HttpError, Json};
use crate::Socket;
use crate::gateway::{Extension, MissingExtension, Path, Valid, validate};
use crate::pipeline::{Exception, WsException};

/// Takes an argument that is not the last one.
pub async fn part<T: FromRequestParts<()>>(parts: &mut Parts) -> Result<T, Exception> {
    match T::from_request_parts(parts, &()).await {
        Ok(argument) => Ok(argument),
        Err(rejection) => Err(rejected(rejection).await),
    }
}

/// Takes the last argument, which may read the body.
pub async fn last<T: FromRequest<(), M>, M>(request: Request) -> Result<T, Exception> {
    match T::from_request(request, &()).await {
        Ok(argument) => Ok(argument),
        Err(rejection) => Err(rejected(rejection).await),
    }
}

async fn rejected(rejection: impl IntoResponse) -> Exception {
    Exception::of_http(HttpError::of_rejection(rejection.into_response()).await)
}

/// The parameters of the route's path.
impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = axum::extract::rejection::PathRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// What a guard has kept with the client that stands for the request.
impl<T: Send + Sync + 'static, S: Send + Sync> FromRequestParts<S> for Extension<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let client = parts.extensions.get::<Socket>();
        let value = client.and_then(Socket::get).map(Self);
        value.ok_or_else(|| {
            HttpError::internal(MissingExtension {
                type_name: std::any::type_name::<T>(),
            })
        })
    }
}

/// The body, as JSON, that keeps the rules of its type.
impl<T, S> FromRequest<S> for Valid<T>
where
    T: DeserializeOwned + Validate,
    T::Context: Default,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let rejection = match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => {
                return match validate(&body, None) {
                    Ok(()) => Ok(Self(body)),
                    Err(rejection) => Err(WsException::from(rejection).into()),
                };
            }
            Err(rejection) => rejection.into_response(),
        };
        Err(HttpError::of_rejection(rejection).await)
    }
}

/// The id of the last event that the client got before it came back: the header `Last-Event-ID`, or `lastEventId` in the
/// query for clients that cannot send one. `None` on a first visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastEventId(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A browser sends it as UTF-8.
        let header = parts.headers.get(HeaderName::from_static("last-event-id"));
        if let Some(id) = header.and_then(|id| std::str::from_utf8(id.as_bytes()).ok()) {
            return Ok(Self(Some(id.to_owned())));
        }
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let id = pairs.find(|(name, _)| name == "lastEventId");
        Ok(Self(id.map(|(_, id)| id.into_owned())))
    }
}
