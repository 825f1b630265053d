//! The chain of rules that guards one listener.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use dunlin_topic::TopicFilter;
use tracing::debug;

use crate::{
    Answer, Authenticator, Authorizer, Certificate, ConnectRequest, Coverage, Decision, Denial,
    Grant, Holds, Outcome, PeerIdentity, Principal, PublishFilter, Question, Subscribing,
};

/// Everything that decides who may connect through a listener and what they may do.
///
/// Immutable: a reload builds a new one, with a higher [generation](Self::with_generation),
/// and swaps the `Arc` that holds it.
///
/// To connect, the authenticators are asked in order until one grants or denies. If none
/// does, the [anonymous rule](AllowAnonymous) judges clients without a user name, and also those with
/// one if there is no authenticator: such a name is a mere claim, as in Mosquitto.
///
/// To publish or receive, some authorizer has to allow it and none to deny it; rules that the
/// client's grant brought count as one. Without any, all is allowed.
///
/// What a client may publish is then shown to the filters in order.
pub struct Access {
    anonymous: AllowAnonymous,
    certificate_username: Option<CertificateUsername>,
    authenticators: Vec<Arc<dyn Authenticator>>,
    authorizers: Vec<Arc<dyn Authorizer>>,
    filters: Vec<Arc<dyn PublishFilter>>,
    wants_details: bool,
    generation: u32,
}

/// Which clients may connect without proving who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowAnonymous {
    /// Those that run on the broker's machine.
    #[default]
    LoopbackOnly,
    /// All.
    Yes,
    /// None.
    No,
}

/// The part of a client certificate that becomes the user name.
///
/// The certificate is then the proof: no authenticator is asked, a user name and password
/// in the CONNECT are ignored, and a client without certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUsername {
    /// The common name (Mosquitto's `use_identity_as_username`).
    CommonName,
    /// The whole subject (Mosquitto's `use_subject_as_username`).
    Subject,
}

/// What an [`Access`] has decided about a client that wants to connect.
pub enum Verdict {
    /// The client is in.
    Granted(Grant),
    /// The client is refused.
    Denied(Denial),
    /// The client has to say more.
    Continue(Exchange),
}

/// An enhanced authentication under way (MQTT 5, 4.12).
///
/// It stays with the authenticator that began it, also across a reload. The number of rounds
/// is the authenticator's to bound, their duration the caller's.
pub struct Exchange {
    /// The authentication data to send to the client in an AUTH 0x18.
    pub data: Bytes,
    state: Box<dyn Any + Send>,
    authenticator: Arc<dyn Authenticator>,
}

impl Access {
    /// No authenticators and no authorizers yet.
    pub fn new(anonymous: AllowAnonymous) -> Self {
        Self {
            anonymous,
            certificate_username: None,
            authenticators: Vec::new(),
            authorizers: Vec::new(),
            filters: Vec::new(),
            wants_details: false,
            generation: 0,
        }
    }

    /// Everyone may do everything.
    pub fn open() -> Self {
        Self::new(AllowAnonymous::Yes)
    }

    /// Takes user names from client certificates.
    #[must_use]
    pub fn with_certificate_username(mut self, part: CertificateUsername) -> Self {
        self.certificate_username = Some(part);
        self
    }

    /// Adds an authenticator, asked after those already there.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticators.push(authenticator);
        self
    }

    /// Adds an authorizer, asked after those already there.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizers.push(authorizer);
        self
    }

    /// Adds a filter, asked after those already there.
    #[must_use]
    pub fn with_filter(mut self, filter: Arc<dyn PublishFilter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// Clients are to have [`Details`](crate::Details): somebody asks for them.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.wants_details = true;
        self
    }

    /// Numbers the configuration that this comes from; each reload of a listener counts up.
    #[must_use]
    pub fn with_generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// Decides whether a client may connect, and as whom.
    pub async fn authenticate(&self, request: &ConnectRequest) -> Verdict {
        if let Some(part) = self.certificate_username {
            return certificate_verdict(part, request.peer.certificate.as_ref());
        }
        for authenticator in &self.authenticators {
            match authenticator.authenticate(request).await {
                Outcome::Next => {}
                outcome => return Verdict::of(outcome, authenticator),
            }
        }
        self.unclaimed(request)
    }

    /// Whether `who` may publish to, or receive from, a topic.
    ///
    /// Any denial wins over what is unavailable, and that over permission; never
    /// [`Decision::Next`].
    pub fn authorize(&self, who: &Principal, question: &Question<'_>) -> Answer {
        let granted = who.rules().map(|rules| rules.authorize(who, question));
        let mut total = granted.map(Answer::from);
        for rules in &self.authorizers {
            let answer = rules.authorize(who, question);
            let denied = answer.decision == Decision::Deny;
            total = Some(match total {
                Some(total) => both(total, answer),
                None => answer,
            });
            if denied {
                break;
            }
        }
        match total {
            Some(answer) if answer.decision == Decision::Next => Answer {
                decision: Decision::Deny,
                ..answer
            },
            Some(answer) => answer,
            None => Decision::Allow.into(),
        }
    }

    /// Whether `who` may subscribe.
    pub fn subscribe(&self, who: &Principal, subscribing: &Subscribing<'_>) -> Decision {
        let asked = self.authorizers.iter();
        let all = asked.map(|rules| rules.subscribe(who, subscribing));
        match all.max_by_key(|decision| rank(*decision)) {
            // Rules of a grant accept every subscription, as those of a file do.
            None => Decision::Allow,
            Some(Decision::Next) if who.rules().is_none() => Decision::Deny,
            Some(Decision::Next) => Decision::Allow,
            Some(decision) => decision,
        }
    }

    /// The filters that a message goes through, in order.
    pub fn filters(&self) -> &[Arc<dyn PublishFilter>] {
        &self.filters
    }

    /// Whether clients are to have [`Details`](crate::Details).
    pub fn wants_details(&self) -> bool {
        self.wants_details
    }

    /// How much of what matches `filter` may be delivered to `who`.
    pub fn coverage(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        let granted = who.rules().map(|rules| rules.coverage(who, filter));
        let mut total = granted.unwrap_or(Coverage::All);
        if total == Coverage::None {
            return total;
        }
        for rules in &self.authorizers {
            match rules.coverage(who, filter) {
                Coverage::All => {}
                Coverage::Mixed => total = Coverage::Mixed,
                Coverage::None => return Coverage::None,
            }
        }
        total
    }

    /// Changes when decisions and coverages given so far have to be asked again.
    ///
    /// Compare for equality. The upper half is the generation; the lower half rises with the
    /// epochs of the authorizers.
    pub fn epoch(&self) -> u64 {
        let authorizers: u64 = self.authorizers.iter().map(|rules| rules.epoch()).sum();
        (u64::from(self.generation) << 32).wrapping_add(authorizers)
    }

    /// Whether there are no rules on topics: every decision is [`Decision::Allow`].
    pub fn allows_every_topic(&self) -> bool {
        self.authorizers.is_empty()
    }

    /// Judges a client that no authenticator felt responsible for.
    fn unclaimed(&self, request: &ConnectRequest) -> Verdict {
        if request.authentication.is_some() {
            return Verdict::Denied(Denial::BadMethod);
        }
        if request.username.is_some() && !self.authenticators.is_empty() {
            return Verdict::Denied(Denial::BadCredentials);
        }
        if self.anonymous.admits(&request.peer) {
            return Verdict::Granted(Grant::to(request.username.clone()));
        }
        Verdict::Denied(Denial::NotAuthorized)
    }
}

impl AllowAnonymous {
    fn admits(self, peer: &PeerIdentity) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::LoopbackOnly => peer.loopback,
        }
    }
}

impl Exchange {
    /// Goes on with what the client answered.
    pub async fn resume(self, request: &ConnectRequest, data: Bytes) -> Verdict {
        let outcome = self.authenticator.resume(request, self.state, data).await;
        Verdict::of(outcome, &self.authenticator)
    }
}

impl Verdict {
    fn of(outcome: Outcome, authenticator: &Arc<dyn Authenticator>) -> Self {
        match outcome {
            Outcome::Granted(grant) => Self::Granted(grant),
            Outcome::Denied(denial) => Self::Denied(denial),
            Outcome::Continue { data, state } => Self::Continue(Exchange {
                data,
                state,
                authenticator: Arc::clone(authenticator),
            }),
            // Only possible in the middle of an exchange, which nobody else can take over.
            Outcome::Next => Self::Denied(Denial::BadMethod),
        }
    }
}

fn certificate_verdict(part: CertificateUsername, certificate: Option<&Certificate>) -> Verdict {
    let name = certificate.and_then(|certificate| match part {
        CertificateUsername::CommonName => certificate.common_name.as_deref(),
        CertificateUsername::Subject => Some(certificate.subject.as_str()),
    });
    match name {
        // A user name with U+0000 could not stand in any CONNECT [MQTT-1.5.4-2].
        Some(name) if !name.is_empty() && !name.contains('\0') => {
            Verdict::Granted(Grant::to(Some(name.to_owned())))
        }
        _ => {
            debug!(?part, "no client certificate, or no user name in it");
            Verdict::Denied(Denial::BadCredentials)
        }
    }
}

/// What outweighs what.
fn rank(decision: Decision) -> u8 {
    match decision {
        Decision::Next => 0,
        Decision::Allow => 1,
        Decision::Unavailable => 2,
        Decision::Deny => 3,
    }
}

/// Holds as long as both do, and for one topic: what one says of a scope, the other may not.
fn both(one: Answer, other: Answer) -> Answer {
    let holds = match (one.holds, other.holds) {
        (Holds::Once, _) | (_, Holds::Once) => Holds::Once,
        (Holds::UntilEpoch, Holds::UntilEpoch) => Holds::UntilEpoch,
        (Holds::For { time, .. }, Holds::UntilEpoch)
        | (Holds::UntilEpoch, Holds::For { time, .. }) => Holds::For { time, scope: None },
        (Holds::For { time: one, .. }, Holds::For { time: other, .. }) => Holds::For {
            time: one.min(other),
            scope: None,
        },
    };
    let decision = match rank(other.decision) > rank(one.decision) {
        true => other.decision,
        false => one.decision,
    };
    Answer { decision, holds }
}

#[cfg(test)]
#[path = "access_tests.rs"]
pub(crate) mod tests;
