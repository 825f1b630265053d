//! Plugins that say who a client is.

use std::{any::Any, sync::Arc, time::Instant};

use bytes::Bytes;
use dunlin_auth::{Authenticator, BoxFuture, ConnectRequest, Denial, Outcome};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{self, Duration},
};
use wasmtime::{
    Store,
    component::{Instance as Linked, InstancePre},
};

use crate::{
    Class,
    auth_words::{Asked, Judged, outcome},
    bindings::exports::dunlin::plugin::auth,
    fault::{Fault, FaultKind},
    instance::World,
    plugin_core::{CallError, Core, Unanswered},
    state::State,
};

/// Steps of one exchange. The plugin keeps nothing between them, so nothing else would bound them.
const MAX_STEPS: u8 = 8;

/// How much longer than the deadline a call is waited for: the guest is stopped at the deadline,
/// and somebody must notice.
const MARGIN: Duration = Duration::from_millis(250);

/// A plugin of the world `auth-plugin`.
///
/// Asked on threads that may block, as many at a time as it may have instances.
pub struct AuthPlugin {
    pub(crate) core: Arc<Core<AuthWorld>>,
    /// One for each call under way. A permit goes with the call, not with who waits for it.
    permits: Arc<Semaphore>,
}

pub(crate) struct AuthWorld;

impl World for AuthWorld {
    const CLASS: Class = Class::Auth;
    type Indices = auth::GuestIndices;
    type Guest = auth::Guest;

    fn indices(linked: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        auth::GuestIndices::new(linked)
    }

    fn guest(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Linked,
    ) -> wasmtime::Result<Self::Guest> {
        indices.load(store, instance)
    }
}

/// What an exchange remembers between two steps.
struct Held {
    state: Vec<u8>,
    steps: u8,
}

/// The client's answer to a step.
pub(crate) struct Reply {
    pub(crate) state: Vec<u8>,
    pub(crate) data: Bytes,
}

impl AuthPlugin {
    pub(crate) fn new(core: Core<AuthWorld>) -> Self {
        AuthPlugin {
            permits: Arc::new(Semaphore::new(core.limits.instances)),
            core: Arc::new(core),
        }
    }

    async fn ask(&self, request: &ConnectRequest, reply: Option<Reply>, steps: u8) -> Outcome {
        match self.answer(request.clone(), reply).await {
            Ok(Judged::Granted(grant)) => Outcome::Granted(grant),
            Ok(Judged::Denied(denial)) => Outcome::Denied(denial),
            Ok(Judged::Next) => Outcome::Next,
            Ok(Judged::Continue { .. }) if steps >= MAX_STEPS => {
                let what = format!("it asked back more than {MAX_STEPS} times");
                self.core.blame(&Fault::answer(what.clone()), None);
                Outcome::Denied(Denial::Unavailable(what.into()))
            }
            Ok(Judged::Continue { data, state }) => Outcome::Continue {
                data,
                state: Box::new(Held {
                    state,
                    steps: steps + 1,
                }),
            },
            Err(unanswered) => {
                let name = &self.core.shared.name;
                Outcome::Denied(Denial::Unavailable(
                    format!("plugin {name}: {unanswered}").into(),
                ))
            }
        }
    }

    async fn answer(
        &self,
        request: ConnectRequest,
        reply: Option<Reply>,
    ) -> Result<Judged, Unanswered> {
        if self.core.refuses() {
            return Err(Unanswered::Open);
        }
        let until = Instant::now() + self.core.limits.deadline;
        let permit = Arc::clone(&self.permits).acquire_owned();
        let Ok(Ok(permit)) = time::timeout_at(until.into(), permit).await else {
            return Err(self.core.busy("all its instances were busy"));
        };
        let core = Arc::clone(&self.core);
        let call = spawn_blocking(move || {
            let answer = match Instant::now() < until {
                true => {
                    let called = core.call(Some(until), |store, guest| {
                        ask_guest(store, guest, &request, reply.as_ref())
                    });
                    called.answer
                }
                false => Err(core.busy("no thread was free")),
            };
            drop(permit);
            answer
        });
        match time::timeout_at((until + MARGIN).into(), call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.core.busy("the broker shuts down")),
            // It is counted when it ends.
            Err(_) => Err(Unanswered::Fault(Fault::new(
                FaultKind::Deadline,
                "an import takes longer than the deadline",
            ))),
        }
    }
}

impl Authenticator for AuthPlugin {
    fn authenticate<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(self.ask(request, None, 0))
    }

    fn resume<'a>(
        &'a self,
        request: &'a ConnectRequest,
        state: Box<dyn Any + Send>,
        data: Bytes,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let held = match state.downcast::<Held>() {
                Ok(held) => *held,
                // Somebody else's exchange; ours to refuse, not to judge.
                Err(_) => return Outcome::Denied(Denial::BadMethod),
            };
            let reply = Reply {
                state: held.state,
                data,
            };
            self.ask(request, Some(reply), held.steps).await
        })
    }
}

/// One question to one instance.
pub(crate) fn ask_guest(
    store: &mut Store<State>,
    guest: &auth::Guest,
    request: &ConnectRequest,
    reply: Option<&Reply>,
) -> Result<Judged, CallError> {
    let asked = Asked::new(request);
    let answer = match reply {
        None => guest.call_authenticate(store, asked.request())?,
        Some(Reply { state, data }) => guest.call_resume(store, asked.request(), state, data)?,
    };
    outcome(answer, request.authentication.is_some()).map_err(CallError::Answer)
}
