//! What the broker calls, for any plugin.

use std::{marker::PhantomData, panic};

use crate::{
    Client, Plugin, Question, Request,
    guest::bindings::exports::dunlin::plugin::{acl, auth, filter, plugin},
    log,
};

/// Where a plugin's crate holds its instance: what the macros implement.
pub trait Holder: 'static {
    /// The plugin.
    type Plugin: Plugin;

    /// Works with the instance; `None` before it is configured.
    fn with<R>(work: impl FnOnce(&mut Option<Self::Plugin>) -> R) -> R;
}

/// The exports of an [`crate::Acl`].
pub struct Acl<H>(PhantomData<H>);

/// The exports of an [`crate::Auth`].
pub struct Auth<H>(PhantomData<H>);

/// The exports of a [`crate::Filter`].
pub struct Filter<H>(PhantomData<H>);

impl<H: Holder> plugin::Guest for Acl<H> {
    fn describe() -> String {
        describe::<H>()
    }

    fn configure(config: String) -> Result<(), String> {
        configure::<H>(&config)
    }
}

impl<H: Holder> plugin::Guest for Auth<H> {
    fn describe() -> String {
        describe::<H>()
    }

    fn configure(config: String) -> Result<(), String> {
        configure::<H>(&config)
    }
}

impl<H: Holder> plugin::Guest for Filter<H> {
    fn describe() -> String {
        describe::<H>()
    }

    fn configure(config: String) -> Result<(), String> {
        configure::<H>(&config)
    }
}

impl<H: Holder<Plugin: crate::Acl>> acl::Guest for Acl<H> {
    fn authorize(who: acl::Client, questions: Vec<acl::Question>) -> Vec<acl::Answer> {
        let client = Client::from(who);
        let questions: Vec<Question> = questions.into_iter().map(Question::from).collect();
        let answers = with::<H, _>(|plugin| crate::Acl::authorize_all(plugin, &client, &questions));
        answers.into_iter().map(acl::Answer::from).collect()
    }
}

impl<H: Holder<Plugin: crate::Auth>> auth::Guest for Auth<H> {
    fn authenticate(request: auth::Request) -> auth::Outcome {
        let request = Request::from(request);
        with::<H, _>(|plugin| crate::Auth::authenticate(plugin, &request)).into()
    }

    fn resume(request: auth::Request, state: Vec<u8>, data: Vec<u8>) -> auth::Outcome {
        let request = Request::from(request);
        with::<H, _>(|plugin| crate::Auth::resume(plugin, &request, &state, &data)).into()
    }
}

impl<H: Holder<Plugin: crate::Filter>> filter::Guest for Filter<H> {
    fn on_publish(who: filter::Client, message: filter::Message) -> filter::Verdict {
        let client = Client::from(who);
        let message = message.into();
        with::<H, _>(|plugin| crate::Filter::on_publish(plugin, &client, &message)).into()
    }
}

pub(super) fn describe<H: Holder>() -> String {
    log_panics();
    H::Plugin::describe().to_json()
}

pub(super) fn configure<H: Holder>(config: &str) -> Result<(), String> {
    log_panics();
    let config: H::Plugin = serde_json::from_str(config).map_err(|error| error.to_string())?;
    let plugin = config.configure()?;
    H::with(|instance| *instance = Some(plugin));
    Ok(())
}

pub(super) fn with<H: Holder, R>(work: impl FnOnce(&mut H::Plugin) -> R) -> R {
    H::with(|instance| match instance {
        Some(plugin) => work(plugin),
        None => panic!("called before configure"),
    })
}

/// A panic ends the instance; without this nobody would learn why.
fn log_panics() {
    panic::set_hook(Box::new(|panic| log::error(panic.to_string())));
}
