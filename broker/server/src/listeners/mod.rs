//! What listens, and what a reload changes of it.
//!
//! The start and each reload are two steps, so that what cannot be done changes nothing:
//! [`Listeners::stage`] reads every file and binds every new socket, [`Listeners::apply`] then
//! replaces, and accepts. A new listener on the port of one that ends can only be bound in between:
//! [`Listeners::make_room`].

mod door;

use std::sync::Arc;

use arc_swap::ArcSwap;
use dunlin_connection::ListenerContext;
use dunlin_net::ListenerSettings;
use tokio::task::JoinHandle;

use crate::acceptor::{AcceptLimits, Shared};
use crate::config::{Config, Listener};
use crate::plugins::Plugins;
use crate::wiring;
use door::{Bound, DoorPlan, Running};

/// All that listens.
pub struct Listeners {
    shared: Arc<Shared>,
    /// In the order of the configuration.
    running: Vec<Running>,
    plugins: Plugins,
    /// Counts configurations: decisions made under earlier rules are asked again.
    generation: u32,
}

/// A listener that is open, for people.
#[derive(Clone, Debug)]
pub struct OpenListener {
    /// Its name, or else its address.
    pub name: String,
    /// Where it listens, with the port that the system chose if it was asked to.
    pub address: String,
    /// `mqtt` or `websockets`.
    pub protocol: &'static str,
    /// Whether TLS is below.
    pub tls: bool,
    /// A path for WebSocket clients.
    pub path: Option<String>,
    /// Connections open now, on all addresses of the listener.
    pub connections: u32,
}

impl OpenListener {
    /// Tells the log of it.
    pub fn log(&self) {
        tracing::info!(
            address = self.address,
            protocol = self.protocol,
            tls = self.tls,
            "listening"
        );
    }
}

/// The listeners of another configuration, in its order, checked and ready.
pub struct Staged {
    next: Vec<Next>,
    limits: AcceptLimits,
}

enum Next {
    /// The one that runs with this index goes on.
    Stays(usize, Listener, Vec<DoorPlan>),
    /// Its sockets are bound.
    Bound(Bound),
    /// It can be bound when one that ends has given up its port.
    Waits(Listener, Vec<DoorPlan>),
}

impl Listeners {
    /// None yet, with plugins that a configuration's are loaded from.
    pub fn new(shared: Arc<Shared>, plugins: Plugins) -> Self {
        Listeners {
            shared,
            running: Vec::new(),
            plugins,
            generation: 0,
        }
    }

    /// The plugins that are loaded.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// How many configurations there were.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What is open, in the order of the configuration.
    pub fn open_now(&self) -> Vec<OpenListener> {
        self.running.iter().flat_map(Running::describe).collect()
    }

    /// Checks and binds what another configuration wants, with its plugins. Files are read again
    /// even where nothing changed. Nothing is replaced yet.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn stage(&self, config: &Config, plugins: &Plugins) -> Result<Staged, String> {
        let before: Vec<_> = self.running.iter().map(|one| &one.listener).collect();
        let goes_on = pair(&before, &config.listeners);
        let ends = |index: &usize| !goes_on.contains(&Some(*index));
        let ending: Vec<_> = (0..before.len()).filter(ends).collect();
        let stage = |(listener, goes_on): (&Listener, &Option<usize>)| {
            let plans = self.plans(config, plugins, listener)?;
            if let Some(index) = *goes_on {
                return Ok(Next::Stays(index, listener.clone(), plans));
            }
            let port = listener.address.port().unwrap_or(0);
            let is_taken = |index: &usize| port != 0 && self.running[*index].has_port(port);
            if ending.iter().any(is_taken) {
                return Ok(Next::Waits(listener.clone(), plans));
            }
            Bound::bind(listener, plans).map(Next::Bound)
        };
        let next = config.listeners.iter().zip(&goes_on).map(stage);
        Ok(Staged {
            next: next.collect::<Result<_, String>>()?,
            limits: AcceptLimits::of(config),
        })
    }

    /// Closes the sockets in whose place others wait to be bound. They are closed when these
    /// tasks have ended; then [`apply`](Listeners::apply).
    pub fn make_room(&mut self, staged: &Staged) -> Vec<JoinHandle<()>> {
        let in_the_way = |index: &usize| staged.is_in_the_way(*index, &self.running[*index]);
        let close: Vec<_> = (0..self.running.len()).filter(in_the_way).collect();
        let close = close.into_iter();
        close
            .flat_map(|index| self.running[index].close())
            .collect()
    }

    /// Goes over to what was staged.
    ///
    /// # Errors
    /// A listener could not be bound in another's place; then all is as before.
    pub fn apply(&mut self, staged: Staged, plugins: Plugins) -> Result<(), String> {
        let opened = self.put(staged)?;
        self.plugins = plugins;
        opened.iter().for_each(OpenListener::log);
        Ok(())
    }

    /// Stops accepting; connections stay.
    pub fn close_all(&mut self) {
        self.running.clear();
    }

    /// Returns what is new.
    fn put(&mut self, mut staged: Staged) -> Result<Vec<OpenListener>, String> {
        if let Err(error) = staged.bind_rest() {
            return Err(self.take_back(&staged, error));
        }
        let mut opened = Vec::new();
        let mut before: Vec<_> = self.running.drain(..).map(Some).collect();
        for next in staged.next {
            match next {
                Next::Stays(index, listener, plans) => {
                    if let Some(mut running) = before[index].take() {
                        running.replace(&listener, plans);
                        self.running.push(running);
                    }
                }
                Next::Bound(bound) => {
                    let running = Running::start(bound, &self.shared);
                    opened.extend(running.describe());
                    self.running.push(running);
                }
                Next::Waits(..) => {}
            }
        }
        for ended in before.into_iter().flatten() {
            tracing::info!(listener = ended.listener.label(), "listener closed");
        }
        self.shared.limits.store(Arc::new(staged.limits));
        self.generation += 1;
        Ok(opened)
    }

    /// Opens again what was closed for others. Says what went wrong.
    fn take_back(&mut self, staged: &Staged, mut error: String) -> String {
        for (index, running) in self.running.iter_mut().enumerate() {
            if staged.is_in_the_way(index, running)
                && let Err(lost) = running.reopen(&self.shared)
            {
                error += &format!("; the listener that was there is closed now: {lost}; restart");
            }
        }
        error
    }

    fn plans(
        &self,
        config: &Config,
        plugins: &Plugins,
        listener: &Listener,
    ) -> Result<Vec<DoorPlan>, String> {
        let plan = |settings: ListenerSettings| {
            let context = self.context(config, plugins, listener, &settings)?;
            Ok((settings, context))
        };
        let sockets = wiring::sockets(config, listener)?;
        sockets.into_iter().map(plan).collect()
    }

    fn context(
        &self,
        config: &Config,
        plugins: &Plugins,
        listener: &Listener,
        settings: &ListenerSettings,
    ) -> Result<Arc<ListenerContext>, String> {
        let transport = wiring::transport(listener, settings)?;
        let access = wiring::access(config, listener, &self.shared.pool, self.generation + 1)?;
        Ok(Arc::new(ListenerContext {
            name: listener.label().into(),
            transport,
            terms: ArcSwap::from_pointee(wiring::terms(config, listener)),
            access: ArcSwap::from_pointee(plugins.join(access, listener)),
            limits: ArcSwap::from_pointee(wiring::connection_limits(config, listener)),
        }))
    }
}

impl Staged {
    /// Whether a listener that runs ends, and has a port that another waits for.
    fn is_in_the_way(&self, index: usize, running: &Running) -> bool {
        let stays = |next: &Next| matches!(next, Next::Stays(its, ..) if *its == index);
        let waits = |next: &Next| match next {
            Next::Waits(listener, _) => listener
                .address
                .port()
                .is_some_and(|port| running.has_port(port)),
            _ => false,
        };
        !self.next.iter().any(stays) && self.next.iter().any(waits)
    }

    fn bind_rest(&mut self) -> Result<(), String> {
        // What was bound is closed again where another cannot be.
        let mut bound = Vec::new();
        for (index, next) in self.next.iter().enumerate() {
            if let Next::Waits(listener, plans) = next {
                bound.push((index, Bound::bind(listener, plans.clone())?));
            }
        }
        for (index, bound) in bound {
            self.next[index] = Next::Bound(bound);
        }
        Ok(())
    }
}

/// For each new listener the index of the one whose socket it goes on with: that with the same
/// address. Where the system chooses the ports several may have the same; a name tells them apart,
/// and otherwise their order.
fn pair(before: &[&Listener], next: &[Listener]) -> Vec<Option<usize>> {
    let mut free: Vec<_> = (0..before.len()).collect();
    let mut goes_on = |listener: &Listener| {
        let same = |index: &usize| {
            let other = before[*index];
            (&other.address, other.ipv6_only) == (&listener.address, listener.ipv6_only)
        };
        let is_called_so = |index: &usize| before[*index].name != listener.name;
        let candidates = free.iter().copied().filter(same);
        let index = candidates.min_by_key(is_called_so)?;
        free.retain(|other| *other != index);
        Some(index)
    };
    next.iter().map(&mut goes_on).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16, name: &str) -> Listener {
        let mut listener = Listener::default();
        listener.address = listener.address.with_port(port);
        listener.name = name.to_owned();
        listener
    }

    fn pairs(before: &[Listener], next: &[Listener]) -> Vec<Option<usize>> {
        pair(&before.iter().collect::<Vec<_>>(), next)
    }

    #[test]
    fn a_listener_is_known_by_its_address() {
        let before = [at(1, ""), at(2, "two"), at(4, "")];
        let next = [at(4, "new name"), at(2, ""), at(3, "")];
        assert_eq!(pairs(&before, &next), [Some(2), Some(1), None]);
        let only_ipv6 = Listener {
            ipv6_only: true,
            ..at(1, "")
        };
        assert_eq!(pairs(&before, &[only_ipv6]), [None]);
    }

    #[test]
    fn listeners_whose_ports_the_system_chose_are_known_by_name_and_order() {
        let before = [at(0, "a"), at(0, "b"), at(0, ""), at(0, "")];
        let next = [at(0, "b"), at(0, "a"), at(0, ""), at(0, "")];
        assert_eq!(pairs(&before, &next), [Some(1), Some(0), Some(2), Some(3)]);
        assert_eq!(pairs(&before, &next[..1]), [Some(1)]);
        assert_eq!(pairs(&before[..1], &next[2..]), [Some(0), None]);
    }
}
