//! Plugins that say what a client may do.

use std::{sync::atomic::Ordering, time::Duration};

use dunlin_auth::{
    Action, Answer, Authorizer, Coverage, Decision, Holds, Principal, Question, Subscribing,
};
use dunlin_topic::{TopicFilter, TopicName};
use wasmtime::{
    Store,
    component::{Instance as Linked, InstancePre},
};

use crate::{
    Class,
    bindings::exports::dunlin::plugin::acl::{
        self, Action as ContractAction, Answer as ContractAnswer, Effect,
    },
    client::{Described, contract_qos, user_properties},
    fault::{Fault, FaultKind},
    instance::World,
    plugin_core::{CallError, Core},
    state::State,
};

/// A plugin of the world `acl-plugin`.
///
/// Inline: asked on the thread of the caller, who is charged for the time.
pub struct AclPlugin {
    pub(crate) core: Core<AclWorld>,
}

pub(crate) struct AclWorld;

impl World for AclWorld {
    const CLASS: Class = Class::Acl;
    type Indices = acl::GuestIndices;
    type Guest = acl::Guest;

    fn indices(linked: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        acl::GuestIndices::new(linked)
    }

    fn guest(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Linked,
    ) -> wasmtime::Result<Self::Guest> {
        indices.load(store, instance)
    }
}

const UNAVAILABLE: Answer = Answer {
    decision: Decision::Unavailable,
    holds: Holds::Once,
};

impl AclPlugin {
    pub(crate) fn new(core: Core<AclWorld>) -> Self {
        AclPlugin { core }
    }

    fn ask(&self, who: &Principal, question: &acl::Question<'_>) -> Option<ContractAnswer> {
        if let Some(fault) = oversized(question, self.core.limits.memory_bytes) {
            self.core.blame(&fault, None);
            return None;
        }
        let described = Described::new(who);
        let called = self.core.call(None, |store, guest| {
            let questions = std::slice::from_ref(question);
            one(guest.call_authorize(store, described.client(), questions)?)
        });
        who.charge(called.took);
        // Faults are counted and logged where they come up.
        called.answer.ok()
    }
}

impl Authorizer for AclPlugin {
    fn authorize(&self, who: &Principal, question: &Question<'_>) -> Answer {
        let asked = acl::Question {
            action: match question.action {
                Action::Publish => ContractAction::Publish,
                Action::Receive => ContractAction::Receive,
            },
            topic: question.topic.as_str(),
            qos: contract_qos(question.qos),
            retain: question.retain,
            user_properties: &user_properties(question.properties),
        };
        match self.ask(who, &asked) {
            Some(answer) => judged(who, question.topic, answer),
            None => UNAVAILABLE,
        }
    }

    fn subscribe(&self, who: &Principal, subscribing: &Subscribing<'_>) -> Decision {
        let asked = acl::Question {
            action: ContractAction::Subscribe,
            topic: subscribing.filter.as_str(),
            qos: contract_qos(subscribing.qos),
            retain: false,
            user_properties: &user_properties(subscribing.properties),
        };
        match self.ask(who, &asked) {
            Some(answer) => decision(answer.effect),
            None => Decision::Unavailable,
        }
    }

    fn coverage(&self, _who: &Principal, _filter: TopicFilter<'_>) -> Coverage {
        Coverage::Mixed
    }

    fn epoch(&self) -> u64 {
        self.core.shared.epoch.load(Ordering::Relaxed)
    }
}

/// The answer to one question.
pub(crate) fn one(answers: Vec<ContractAnswer>) -> Result<ContractAnswer, CallError> {
    let [answer] = <[ContractAnswer; 1]>::try_from(answers)
        .map_err(|answers| CallError::Answer(format!("{} answers to 1 question", answers.len())))?;
    Ok(answer)
}

/// A client must not be able to make a plugin fail by the size of what it sends: what could use up
/// a good part of its memory is not shown to it.
fn oversized(question: &acl::Question<'_>, memory_bytes: usize) -> Option<Fault> {
    let properties = question.user_properties.iter();
    let bytes: usize = properties
        .map(|(name, value)| name.len() + value.len() + 16)
        .sum();
    (bytes > memory_bytes / 4).then(|| {
        let what = format!("user properties of {bytes} bytes are too much for its memory");
        Fault::new(FaultKind::Oversized, what)
    })
}

fn decision(effect: Effect) -> Decision {
    match effect {
        Effect::Allow => Decision::Allow,
        Effect::Deny => Decision::Deny,
        Effect::Next => Decision::Next,
    }
}

fn judged(who: &Principal, topic: TopicName<'_>, answer: ContractAnswer) -> Answer {
    let holds = match answer.ttl_ms {
        0 => Holds::Once,
        ms => Holds::For {
            time: Duration::from_millis(ms.into()),
            scope: answer
                .scope
                .filter(|scope| speaks_of(scope, who, topic))
                .map(Into::into),
        },
    };
    Answer {
        decision: decision(answer.effect),
        holds,
    }
}

/// Whether a scope may be used: it must match the topic, and no name of the client may have made
/// it wider than its plugin meant. A plugin that answers with `home/{username}/#` would otherwise
/// give `+` the homes of all.
fn speaks_of(scope: &str, who: &Principal, topic: TopicName<'_>) -> bool {
    let widens = |is_level: bool, name: &str| !is_level && scope.contains(name);
    let username = who.username().unwrap_or_default();
    TopicFilter::new(scope).is_ok_and(|filter| filter.matches(topic))
        && !widens(who.client_id_is_level(), who.client_id())
        && !widens(
            who.username_is_level() || who.username().is_none(),
            username,
        )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn holds(who: &Principal, topic: &str, ttl_ms: u32, scope: Option<&str>) -> Holds {
        let topic = TopicName::new(topic).expect("a valid name");
        let answer = ContractAnswer {
            effect: Effect::Allow,
            ttl_ms,
            scope: scope.map(Into::into),
        };
        let answer = judged(who, topic, answer);
        assert_eq!(answer.decision, Decision::Allow);
        answer.holds
    }

    fn for_a_second(scope: Option<&str>) -> Holds {
        Holds::For {
            time: Duration::from_secs(1),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn answers_hold_as_long_as_they_say() {
        let who = Principal::new("c", None);
        assert_eq!(holds(&who, "a/b", 0, Some("a/#")), Holds::Once);
        assert_eq!(holds(&who, "a/b", 1_000, None), for_a_second(None));
        let scoped = for_a_second(Some("a/#"));
        assert_eq!(holds(&who, "a/b", 1_000, Some("a/#")), scoped);
    }

    #[test]
    fn scopes_that_say_something_else_are_no_scopes() {
        let who = Principal::new("c", None);
        for scope in ["a#", "", "b/#", "a", "a/+/c", "$share/g/a/b"] {
            let held = holds(&who, "a/b", 1_000, Some(scope));
            assert_eq!(held, for_a_second(None), "{scope}");
        }
    }

    #[test]
    fn a_name_never_widens_a_scope() {
        for name in ["+", "#", "bob/#", "bob/+"] {
            let scope = format!("home/{name}");
            for who in [
                Principal::new(name, None),
                Principal::new(name, Some(Arc::from("bob"))),
                Principal::new("c", Some(Arc::from(name))),
            ] {
                let topic = "home/bob/lamp";
                let held = holds(&who, topic, 1_000, Some(&scope));
                assert_eq!(held, for_a_second(None), "{who:?}");
                // What does not hold the name is not its doing.
                let held = holds(&who, topic, 1_000, Some("home/bob/lamp"));
                assert_eq!(held, for_a_second(Some("home/bob/lamp")), "{who:?}");
            }
        }
        let bob = Principal::new("bob", Some(Arc::from("bob")));
        let held = holds(&bob, "home/bob/lamp", 1_000, Some("home/bob/#"));
        assert_eq!(held, for_a_second(Some("home/bob/#")));
    }
}
