//! Requests to listed origins.

use std::time::{Duration, Instant};

use dunlin_plugin_services::{HttpError, Request as Outgoing, Response as Incoming};

use super::contract::http::{Error, Host, Request, Response};
use crate::state::State;

/// What of its deadline a plugin keeps to make something of the answer.
const KEPT: Duration = Duration::from_millis(50);

impl Host for State {
    fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.serving()?;
        let answer = self.answer(request);
        self.in_time()?;
        Ok(match answer {
            Ok(Incoming {
                status,
                headers,
                body,
            }) => Ok(Response {
                status,
                headers,
                body,
            }),
            Err(HttpError::NotGranted(what)) => Err(Error::NotGranted(what)),
            Err(HttpError::TimedOut) => Err(Error::TimedOut),
            Err(HttpError::Failed(why)) => Err(Error::Failed(why)),
        })
    }
}

impl State {
    fn answer(&mut self, request: Request) -> Result<Incoming, HttpError> {
        if let Some(recorded) = &mut self.recorded {
            let next = recorded.pop_front();
            return next.ok_or_else(|| HttpError::Failed("the case has no more answers".into()));
        }
        let Some(http) = &self.shared.http else {
            return Err(HttpError::NotGranted(request.url));
        };
        let left = self.left();
        let timeout = Duration::from_millis(request.timeout_ms.into());
        let deadline = Instant::now() + timeout.min(left - KEPT.min(left / 10));
        let outgoing = Outgoing {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        };
        http.send(&outgoing, deadline)
    }
}
