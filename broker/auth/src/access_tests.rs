use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::*;
use dunlin_codec::{Properties, Qos};
use dunlin_topic::TopicName;

use crate::{Action, BoxFuture, Details, EnhancedAuthentication, GrantedRules, Permission};

/// Answers by user name, and notes who was asked.
struct Fixed(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Authenticator for Fixed {
    fn authenticate<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Outcome> {
        self.1.lock().unwrap().push(self.0);
        Box::pin(async move {
            match request.username.as_deref() {
                Some("good") => Outcome::Granted(Grant::to(Some(self.0.into()))),
                Some("bad") => Outcome::Denied(Denial::BadCredentials),
                _ => Outcome::Next,
            }
        })
    }
}

/// Asks for the sum of what the client has sent, once.
struct Challenge;

impl Authenticator for Challenge {
    fn authenticate<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Outcome> {
        let Some(authentication) = &request.authentication else {
            return Box::pin(async { Outcome::Next });
        };
        let state: Box<dyn Any + Send> = Box::new(authentication.data.len());
        Box::pin(async {
            Outcome::Continue {
                data: Bytes::from_static(b"length?"),
                state,
            }
        })
    }

    fn resume<'a>(
        &'a self,
        _: &'a ConnectRequest,
        state: Box<dyn Any + Send>,
        data: Bytes,
    ) -> BoxFuture<'a, Outcome> {
        let expected = *state.downcast::<usize>().expect("ours");
        Box::pin(async move {
            match data[..] {
                [length] if usize::from(length) == expected => Outcome::Granted(Grant::default()),
                [] => Outcome::Next,
                _ => Outcome::Denied(Denial::NotAuthorized),
            }
        })
    }
}

fn user(name: &str) -> ConnectRequest {
    ConnectRequest {
        username: Some(name.into()),
        ..Default::default()
    }
}

fn local(request: ConnectRequest) -> ConnectRequest {
    let peer = PeerIdentity {
        loopback: true,
        ..request.peer
    };
    ConnectRequest { peer, ..request }
}

async fn judge(access: &Access, request: &ConnectRequest) -> Result<Option<String>, Denial> {
    match access.authenticate(request).await {
        Verdict::Granted(grant) => Ok(grant.username),
        Verdict::Denied(denial) => Err(denial),
        Verdict::Continue(_) => panic!("nobody asked for more"),
    }
}

#[tokio::test]
async fn anonymous_clients_come_from_this_machine_until_configured_otherwise() {
    let nameless = ConnectRequest::default();
    for (rule, from_here, from_elsewhere) in [
        (
            AllowAnonymous::default(),
            Ok(None),
            Err(Denial::NotAuthorized),
        ),
        (AllowAnonymous::Yes, Ok(None), Ok(None)),
        (
            AllowAnonymous::No,
            Err(Denial::NotAuthorized),
            Err(Denial::NotAuthorized),
        ),
    ] {
        let access = Access::new(rule);
        assert_eq!(
            judge(&access, &local(nameless.clone())).await,
            from_here,
            "{rule:?}"
        );
        assert_eq!(judge(&access, &nameless).await, from_elsewhere, "{rule:?}");
    }
}

#[tokio::test]
async fn a_name_is_a_claim_when_nobody_verifies_names() {
    assert_eq!(
        judge(&Access::open(), &user("ann")).await,
        Ok(Some("ann".into()))
    );
    let closed = Access::new(AllowAnonymous::No);
    assert_eq!(
        judge(&closed, &user("ann")).await,
        Err(Denial::NotAuthorized)
    );
}

#[tokio::test]
async fn authenticators_are_asked_in_order_until_one_decides() {
    let asked = Arc::default();
    let fixed = |name| Arc::new(Fixed(name, Arc::clone(&asked)));
    let access = Access::open()
        .with_authenticator(fixed("first"))
        .with_authenticator(fixed("second"));
    let calls = || std::mem::take(&mut *asked.lock().unwrap());

    assert_eq!(
        judge(&access, &user("good")).await,
        Ok(Some("first".into()))
    );
    assert_eq!(calls(), ["first"]);
    assert_eq!(
        judge(&access, &user("bad")).await,
        Err(Denial::BadCredentials)
    );
    assert_eq!(calls(), ["first"]);
    // A name that nobody knows is not let in as a claim, whatever the anonymous rule.
    assert_eq!(
        judge(&access, &user("other")).await,
        Err(Denial::BadCredentials)
    );
    assert_eq!(calls(), ["first", "second"]);
    assert_eq!(judge(&access, &ConnectRequest::default()).await, Ok(None));
}

fn challenged(data: &'static [u8]) -> ConnectRequest {
    let authentication = EnhancedAuthentication {
        method: "LENGTH".into(),
        data: data.into(),
    };
    ConnectRequest {
        authentication: Some(authentication),
        ..Default::default()
    }
}

async fn exchange(answer: &'static [u8]) -> Result<Option<String>, Denial> {
    let access = Access::open().with_authenticator(Arc::new(Challenge));
    let request = challenged(b"12345");
    let Verdict::Continue(exchange) = access.authenticate(&request).await else {
        panic!("a challenge was to come");
    };
    assert_eq!(exchange.data, "length?");
    // A reload replaces the chain; the exchange goes on.
    drop(access);
    match exchange.resume(&request, answer.into()).await {
        Verdict::Granted(grant) => Ok(grant.username),
        Verdict::Denied(denial) => Err(denial),
        Verdict::Continue(_) => panic!("one round is enough"),
    }
}

#[tokio::test]
async fn an_exchange_goes_on_with_who_began_it() {
    assert_eq!(exchange(&[5]).await, Ok(None));
    assert_eq!(exchange(&[6]).await, Err(Denial::NotAuthorized));
    assert_eq!(exchange(&[]).await, Err(Denial::BadMethod));
}

#[tokio::test]
async fn an_unknown_method_is_refused_even_where_everyone_may_connect() {
    assert_eq!(
        judge(&Access::open(), &challenged(b"")).await,
        Err(Denial::BadMethod)
    );
}

#[tokio::test]
async fn resuming_is_refused_by_who_never_continues() {
    let fixed = Fixed("", Arc::default());
    let outcome = fixed
        .resume(&user("good"), Box::new(()), Bytes::new())
        .await;
    assert!(matches!(outcome, Outcome::Denied(Denial::BadMethod)));
}

#[tokio::test]
async fn a_certificate_gives_the_name_and_no_password_does() {
    let certificate = |common_name: Option<&str>, subject: &str| {
        let certificate = Certificate {
            common_name: common_name.map(Into::into),
            subject: subject.into(),
        };
        let mut request = user("good");
        request.peer.certificate = Some(certificate);
        request
    };
    let access = |part| {
        Access::open()
            .with_certificate_username(part)
            .with_authenticator(Arc::new(Fixed("asked", Arc::default())))
    };
    let denied = || Err(Denial::BadCredentials);
    for (part, request, expected) in [
        (
            CertificateUsername::CommonName,
            certificate(Some("pump"), "CN=pump,O=x"),
            Ok(Some("pump".into())),
        ),
        (
            CertificateUsername::Subject,
            certificate(None, "CN=pump,O=x"),
            Ok(Some("CN=pump,O=x".into())),
        ),
        (
            CertificateUsername::CommonName,
            certificate(None, "O=x"),
            denied(),
        ),
        (
            CertificateUsername::CommonName,
            certificate(Some(""), "CN="),
            denied(),
        ),
        (
            CertificateUsername::CommonName,
            certificate(Some("a\0b"), "CN=a\0b"),
            denied(),
        ),
        (
            CertificateUsername::Subject,
            certificate(None, ""),
            denied(),
        ),
        (CertificateUsername::CommonName, user("good"), denied()),
    ] {
        let shown = format!("{part:?} {:?}", request.peer.certificate);
        assert_eq!(judge(&access(part), &request).await, expected, "{shown}");
    }
}

/// Gives the same answers to everything, and counts.
#[derive(Default)]
pub(crate) struct Constant {
    pub(crate) answer: Option<Answer>,
    pub(crate) coverage: Option<Coverage>,
    pub(crate) epoch: AtomicU64,
    pub(crate) asked: AtomicU64,
}

impl Authorizer for Constant {
    fn authorize(&self, _: &Principal, _: &Question<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.answer.clone().expect("an answer")
    }

    fn subscribe(&self, _: &Principal, _: &Subscribing<'_>) -> Decision {
        self.answer.as_ref().expect("an answer").decision
    }

    fn coverage(&self, _: &Principal, _: TopicFilter<'_>) -> Coverage {
        self.coverage.expect("a coverage")
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

fn topic() -> TopicName<'static> {
    TopicName::new("a/b").expect("a valid name")
}

fn filter() -> TopicFilter<'static> {
    TopicFilter::new("a/#").expect("a valid filter")
}

#[test]
fn every_authorizer_has_to_allow() {
    use Decision::*;
    let who = Principal::new("c", None);
    for (decisions, expected) in [
        (&[][..], Allow),
        (&[Allow, Allow], Allow),
        (&[Allow, Deny], Deny),
        (&[Deny, Allow], Deny),
        (&[Unavailable, Deny], Deny),
        (&[Allow, Unavailable, Next, Allow], Unavailable),
        (&[Next, Allow], Allow),
        (&[Next, Next], Deny),
    ] {
        let access = decisions.iter().fold(Access::open(), |access, &decision| {
            access.with_authorizer(Arc::new(Constant {
                answer: Some(decision.into()),
                ..Default::default()
            }))
        });
        let question = Question::new(Action::Publish, topic());
        let answer = access.authorize(&who, &question);
        assert_eq!(answer.decision, expected, "{decisions:?}");
        let decision = access.subscribe(&who, &subscribing());
        assert_eq!(decision, expected, "{decisions:?}");
        assert_eq!(access.allows_every_topic(), decisions.is_empty());
    }
}

fn subscribing() -> Subscribing<'static> {
    Subscribing {
        filter: filter(),
        qos: Qos::AtMostOnce,
        properties: Properties::EMPTY,
    }
}

#[test]
fn an_answer_of_several_holds_as_long_as_each() {
    let timed = |millis, scope: Option<&str>| Holds::For {
        time: Duration::from_millis(millis),
        scope: scope.map(Into::into),
    };
    let who = Principal::new("c", None);
    for (holds, expected) in [
        (vec![timed(5, Some("a/#"))], timed(5, Some("a/#"))),
        (
            vec![timed(5, Some("a/#")), timed(3, Some("a/#"))],
            timed(3, None),
        ),
        (vec![Holds::UntilEpoch, timed(5, Some("#"))], timed(5, None)),
        (vec![timed(5, None), Holds::Once], Holds::Once),
        (
            vec![Holds::UntilEpoch, Holds::UntilEpoch],
            Holds::UntilEpoch,
        ),
    ] {
        let access = holds.iter().fold(Access::open(), |access, holds| {
            access.with_authorizer(Arc::new(Constant {
                answer: Some(Answer {
                    decision: Decision::Allow,
                    holds: holds.clone(),
                }),
                ..Default::default()
            }))
        });
        let question = Question::new(Action::Publish, topic());
        assert_eq!(access.authorize(&who, &question).holds, expected);
    }
}

#[test]
fn the_rules_of_a_grant_count_as_an_authorizer() {
    let rules = GrantedRules::new([(Permission::ReadWrite, "a/%c"), (Permission::Read, "b")]);
    let who = Principal::new("c", None).with_details(Details {
        rules: Some(rules.expect("valid filters")),
        ..Details::default()
    });
    let decide = |access: &Access, action, topic| {
        let topic = TopicName::new(topic).expect("a valid name");
        access
            .authorize(&who, &Question::new(action, topic))
            .decision
    };
    let open = Access::open();
    assert_eq!(decide(&open, Action::Publish, "a/c"), Decision::Allow);
    assert_eq!(decide(&open, Action::Publish, "a/d"), Decision::Deny);
    assert_eq!(decide(&open, Action::Publish, "b"), Decision::Deny);
    assert_eq!(decide(&open, Action::Receive, "b"), Decision::Allow);
    assert_eq!(open.subscribe(&who, &subscribing()), Decision::Allow);
    assert_eq!(open.coverage(&who, filter()), Coverage::Mixed);
    let elsewhere = TopicFilter::new("x/#").expect("a valid filter");
    assert_eq!(open.coverage(&who, elsewhere), Coverage::None);

    // An authorizer without an opinion does not refuse what the grant accepts.
    let indifferent = Access::open().with_authorizer(Arc::new(Constant {
        answer: Some(Decision::Next.into()),
        ..Default::default()
    }));
    let accepted = indifferent.subscribe(&who, &subscribing());
    assert_eq!(accepted, Decision::Allow);

    let denies = open.with_authorizer(Arc::new(Constant {
        answer: Some(Decision::Deny.into()),
        ..Default::default()
    }));
    assert_eq!(decide(&denies, Action::Publish, "a/c"), Decision::Deny);
    assert!(GrantedRules::new([(Permission::Read, "a/#/b")]).is_err());
}

#[test]
fn coverage_is_the_least_of_all() {
    use Coverage::*;
    let who = Principal::new("c", Option::None);
    for (coverages, expected) in [
        (&[][..], All),
        (&[All, All], All),
        (&[All, Mixed], Mixed),
        (&[Mixed, All], Mixed),
        (&[Mixed, None], None),
        (&[None, All], None),
    ] {
        let access = coverages.iter().fold(Access::open(), |access, &coverage| {
            access.with_authorizer(Arc::new(Constant {
                coverage: Some(coverage),
                ..Default::default()
            }))
        });
        assert_eq!(access.coverage(&who, filter()), expected, "{coverages:?}");
    }
}

#[test]
fn the_epoch_changes_with_each_authorizer_and_each_reload() {
    let rules = [(); 2].map(|()| Arc::new(Constant::default()));
    let access = |generation| {
        rules.iter().fold(
            Access::open().with_generation(generation),
            |access, rules| access.with_authorizer(Arc::<Constant>::clone(rules)),
        )
    };
    let first = access(1);
    let mut seen = vec![first.epoch()];
    for rules in &rules {
        rules.epoch.fetch_add(1, Ordering::Relaxed);
        seen.push(first.epoch());
    }
    seen.extend([access(2).epoch(), access(3).epoch()]);
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}

#[test]
fn details_are_wanted_where_somebody_asks_for_them() {
    assert!(!Access::open().wants_details());
    assert!(Access::open().with_details().wants_details());
}
