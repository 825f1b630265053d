//! From directives to the tree that a TOML file would have been.

use std::collections::BTreeMap;

use super::arguments::{NO_VALUE, switch, value};
use super::bridge;
use super::directives::{self, Argument, Scope, Treatment};
use super::global;
use super::lines::Line;
use super::listener;
use crate::config::load;
use crate::config::node::{Node, Origin, Step, Value};
use crate::config::problem::nearest;
use crate::config::{LogLevel, Problem};

/// What Mosquitto does where its file says nothing and Dunlin's default is
/// another.
const DEFAULTS: &[(&str, Value)] = &[
    ("limits.packet_size", Value::Integer(268_435_460)),
    ("limits.inflight_messages", Value::Integer(20)),
    ("limits.receive_maximum", Value::Integer(20)),
    ("limits.queued_messages", Value::Integer(1000)),
    ("limits.topic_aliases", Value::Integer(10)),
    // It counts slashes, of which there may be 200.
    ("limits.topic_levels", Value::Integer(201)),
    ("limits.topic_length", Value::Integer(65_535)),
];

/// The same, where it is no limit.
const UNLIMITED: &[&str] = &["limits.queued_bytes", "sessions.session_expiry_max"];

/// The most listeners of one file.
const LISTENERS_MAX: usize = 1000;

/// Translates the lines of a mosquitto.conf. Without any listener in it, the
/// broker is open to this machine only: on `ports`, or 1883 when there are none.
pub fn translate(lines: &[Line], ports: &[u16]) -> load::Draft {
    let mut translation = Translation::new();
    for line in lines {
        match directives::find(&line.name) {
            Some(directive) => translation.directive(line, directive),
            None => translation.unknown(line),
        }
    }
    let persistence = ["persistence", "retained_persistence"];
    let persistence = lines
        .iter()
        .rfind(|line| persistence.contains(&line.name.as_str()));
    global::finish_persistence(&mut translation, persistence);
    translation.finish(ports)
}

/// A configuration in the making.
#[derive(Debug)]
pub struct Translation {
    root: Node,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    default_listener: listener::Draft,
    listeners: Vec<listener::Draft>,
    bridges: Vec<bridge::Draft>,
    per_listener: bool,
    /// The first line that `per_listener_settings` would change the meaning of.
    security: Option<Line>,
    /// `retain_available`, of all listeners.
    pub retain_available: Option<Node>,
    /// Where each directive that may stand only once in its scope was.
    once: BTreeMap<(usize, String), u32>,
    /// The most talkative `log_type` so far.
    pub log_level: Option<LogLevel>,
}

impl Translation {
    fn new() -> Self {
        Translation {
            root: Node::empty(),
            problems: Vec::new(),
            warnings: Vec::new(),
            default_listener: listener::Draft::new(1883, "", Origin::Default),
            listeners: Vec::new(),
            bridges: Vec::new(),
            per_listener: false,
            security: None,
            retain_available: None,
            once: BTreeMap::new(),
            log_level: None,
        }
    }

    /// The text of a key that was set before.
    pub fn text(&self, path: &str) -> Option<String> {
        let node = path
            .split('.')
            .try_fold(&self.root, |node, key| node.get(key))?;
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Sets a key of the whole configuration.
    pub fn set(&mut self, path: &str, value: Value, line: &Line) {
        self.put(
            path,
            Node {
                value,
                origin: line.origin(),
            },
        );
    }

    /// Sets a key of the whole configuration to text.
    pub fn set_text(&mut self, path: &str, text: &str, line: &Line) {
        self.set(path, Value::Text(text.into()), line);
    }

    /// Sets a key of the listener above.
    pub fn set_listener(&mut self, key: &str, value: Value, line: &Line) {
        self.listener().set(
            key,
            Node {
                value,
                origin: line.origin(),
            },
        );
    }

    /// The listener above, or the default one, which is then opened.
    pub fn listener(&mut self) -> &mut listener::Draft {
        let draft = self
            .listeners
            .last_mut()
            .unwrap_or(&mut self.default_listener);
        draft.used = true;
        draft
    }

    /// The default listener, wherever the line stands.
    pub fn default_listener(&mut self) -> &mut listener::Draft {
        &mut self.default_listener
    }

    /// Begins a listener.
    ///
    /// # Errors
    /// There are too many.
    pub fn begin(&mut self, draft: listener::Draft) -> Result<(), String> {
        if self.listeners.len() >= LISTENERS_MAX {
            return Err(format!("there are more than {LISTENERS_MAX} listeners"));
        }
        self.listeners.push(draft);
        Ok(())
    }

    /// Begins a bridge.
    pub fn begin_bridge(&mut self, draft: bridge::Draft) {
        self.bridges.push(draft);
    }

    /// The bridge above.
    ///
    /// # Errors
    /// There is none.
    pub fn bridge(&mut self) -> Result<&mut bridge::Draft, String> {
        let last = self.bridges.last_mut();
        last.ok_or("is about a bridge, and no connection line begins one before it".into())
    }

    /// Sets a key of the bridge above.
    ///
    /// # Errors
    /// There is none.
    pub fn set_bridge(&mut self, key: &str, value: Value, line: &Line) -> Result<(), String> {
        let node = Node {
            value,
            origin: line.origin(),
        };
        self.bridge()?.set(key, node);
        Ok(())
    }

    /// Notes what the operator should know about a line.
    pub fn warn(&mut self, line: &Line, text: impl Into<String>) {
        self.warnings.push(line.problem(text));
    }

    fn unknown(&mut self, line: &Line) {
        let names: Vec<&str> = directives::DIRECTIVES.iter().map(|row| row.name).collect();
        let advice = match nearest(&line.name, &names) {
            Some(near) => format!("did you mean {}?", near.replace('*', "NAME")),
            None => "see mosquitto.conf(5) for those there are".into(),
        };
        self.problems
            .push(line.problem(format!("is not a directive of Mosquitto; {advice}")));
    }

    fn directive(&mut self, line: &Line, directive: &directives::Directive) {
        if directive.scope == Scope::Security && self.security.is_none() {
            self.security = Some(line.clone());
        }
        if let Err(text) = self.apply(line, directive) {
            self.problems.push(line.problem(text));
        }
    }

    fn apply(&mut self, line: &Line, directive: &directives::Directive) -> Result<(), String> {
        if directive.scope == Scope::Bridge {
            self.bridge()?;
        }
        match directive.treatment {
            Treatment::Key(key, argument) => self.key(line, directive.scope, key, argument),
            Treatment::Special(apply) => apply(self, line),
            Treatment::Ignored(_) if line.argument.is_empty() => Err(NO_VALUE.into()),
            Treatment::Ignored(why) => {
                self.warn(line, format!("is ignored: {why}"));
                Ok(())
            }
            Treatment::Off(why) if switch(line.word())? => Err(why.into()),
            Treatment::Off(_) => Ok(()),
            Treatment::Refused(why) => Err(why.into()),
        }
    }

    fn key(
        &mut self,
        line: &Line,
        scope: Scope,
        key: &str,
        argument: Argument,
    ) -> Result<(), String> {
        let node = Node {
            value: value(line, argument)?,
            origin: line.origin(),
        };
        let own = scope == Scope::Listener || (scope == Scope::Security && self.per_listener);
        if matches!(argument, Argument::Text | Argument::Path | Argument::Id) {
            let place = match scope {
                Scope::Bridge => LISTENERS_MAX + 1 + self.bridges.len(),
                _ if own => self.listeners.len(),
                _ => usize::MAX,
            };
            self.only_once(line, place)?;
        }
        match scope {
            Scope::Listener => self.listener().set(key, node),
            Scope::Security if own => {
                let draft = self
                    .listeners
                    .last_mut()
                    .unwrap_or(&mut self.default_listener);
                draft.set(&format!("access.{key}"), node);
                draft.used |= key == "password_file" || key == "allow_zero_length_clientid";
            }
            Scope::Security => self.put(&format!("access.{key}"), node),
            Scope::Bridge => self.bridge()?.set(key, node),
            Scope::Global => self.put(key, node),
        }
        Ok(())
    }

    /// Notes a directive that may stand only once in its scope: a listener's index, behind those a
    /// bridge's, or `usize::MAX` for the whole broker.
    ///
    /// # Errors
    /// It stands there already.
    pub fn only_once(&mut self, line: &Line, scope: usize) -> Result<(), String> {
        match self.once.insert((scope, line.name.clone()), line.number) {
            Some(first) => Err(format!(
                "stands already in line {first}; remove one of them"
            )),
            None => Ok(()),
        }
    }

    fn put(&mut self, path: &str, node: Node) {
        // The keys of the table of directives never stand in each other's way.
        self.root.put(&Step::path(path), node).ok();
    }

    /// Sets a key of the whole configuration that no line has set.
    pub fn default(&mut self, path: &str, value: Value) {
        if path
            .split('.')
            .try_fold(&self.root, |node, key| node.get(key))
            .is_none()
        {
            self.put(path, Node::default(value));
        }
    }

    fn finish(mut self, ports: &[u16]) -> load::Draft {
        for (path, value) in DEFAULTS {
            self.default(path, value.clone());
        }
        for path in UNLIMITED {
            self.default(path, Value::Text("unlimited".into()));
        }
        let implicit = self.listeners.is_empty() && !self.default_listener.used;
        self.default("access.allow_anonymous", Value::Bool(implicit));
        for (index, mut draft) in self.all_listeners(ports).into_iter().enumerate() {
            if let Some(node) = &self.retain_available {
                draft.set("retain_available", node.clone());
            }
            self.put(&format!("listeners.{index}"), draft.finish());
        }
        for (index, draft) in std::mem::take(&mut self.bridges).into_iter().enumerate() {
            let origin = draft.origin.clone();
            match draft.finish() {
                Ok(node) => self.put(&format!("bridges.{index}"), node),
                Err(text) => self.problems.push(Problem {
                    origin,
                    key: String::new(),
                    text,
                }),
            }
        }
        load::Draft {
            root: self.root,
            problems: self.problems,
            warnings: self.warnings,
            files: Vec::new(),
            implicit,
        }
    }

    /// The listeners to open, the default one among them when it is used.
    fn all_listeners(&mut self, ports: &[u16]) -> Vec<listener::Draft> {
        let mut listeners = std::mem::take(&mut self.listeners);
        let default = &self.default_listener;
        if default.used {
            listeners.push(default.clone());
        } else if listeners.is_empty() {
            return default.local(ports);
        } else if let Some(access) = default.node.get("access") {
            let text =
                "is about the default listener, which is not opened; move it below a listener";
            let problem = Problem {
                origin: access.origin.clone(),
                key: String::new(),
                text: text.into(),
            };
            self.warnings.push(problem);
        }
        listeners
    }
}

/// `per_listener_settings true | false`, before all that it changes.
pub fn per_listener_settings(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let per_listener = switch(line.word())?;
    if let (true, Some(before)) = (
        per_listener != translation.per_listener,
        &translation.security,
    ) {
        let text = format!(
            "must stand before {} in line {}; move it up",
            before.name, before.number
        );
        return Err(text);
    }
    translation.per_listener = per_listener;
    Ok(())
}
