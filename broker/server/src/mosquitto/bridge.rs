//! Directives of one bridge that are more than one key.

use super::arguments::{count, switch};
use super::lines::{Line, words};
use super::translate::Translation;
use crate::config::node::{Node, Origin, Step, Value};

/// A bridge of which more directives may follow.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What is known of it, as a table of `bridges`.
    node: Node,
    /// What its `connection` line calls it, which need not be fit for a name here.
    called: String,
    /// Its `connection` line.
    pub origin: Origin,
    addresses: Vec<Node>,
    topics: Vec<Node>,
    authorities: Vec<Node>,
    /// Keys of its TLS, which is there when there is somebody to trust.
    tls: Node,
    system_authorities: bool,
    /// `cleansession`, unless `local_cleansession` says otherwise.
    clean: Option<Node>,
}

impl Draft {
    fn new(called: &str, line: &Line) -> Draft {
        let origin = line.origin();
        let empty = || Node {
            value: Value::Table(Vec::new()),
            origin: line.origin(),
        };
        let mut draft = Draft {
            node: empty(),
            called: called.into(),
            origin,
            addresses: Vec::new(),
            topics: Vec::new(),
            authorities: Vec::new(),
            tls: empty(),
            system_authorities: false,
            clean: None,
        };
        draft.set("name", draft.text(&name(called)));
        // What Mosquitto speaks where its file says nothing.
        draft.set("protocol_version", draft.text("3.1.1"));
        draft
    }

    /// Sets a key of this bridge.
    pub fn set(&mut self, key: &str, node: Node) {
        let (table, key) = match key.strip_prefix("tls.") {
            Some(key) => (&mut self.tls, key),
            None => (&mut self.node, key),
        };
        // The keys of the table of directives never stand in each other's way.
        table.put(&Step::path(key), node).ok();
    }

    fn text(&self, text: &str) -> Node {
        self.made(Value::Text(text.into()))
    }

    fn made(&self, value: Value) -> Node {
        Node {
            value,
            origin: self.origin.clone(),
        }
    }

    /// The finished table.
    ///
    /// # Errors
    /// Its TLS says everything but whom to trust.
    pub fn finish(mut self) -> Result<Node, String> {
        for (key, nodes) in [
            ("addresses", std::mem::take(&mut self.addresses)),
            ("topics", std::mem::take(&mut self.topics)),
        ] {
            if !nodes.is_empty() {
                self.set(key, self.made(Value::List(nodes)));
            }
        }
        if let Some(clean) = self.clean.take() {
            if self.node.get("local_clean_session").is_none() {
                self.set("local_clean_session", clean.clone());
            }
            self.set("clean_session", clean);
        }
        if self.node.get("remote_clientid").is_none() {
            // The id by which the other broker knows Mosquitto: another one would leave a session
            // behind there that queues on, for nobody.
            let machine = rustix::system::uname();
            let machine = machine.nodename().to_string_lossy();
            let id = self.text(&format!("{machine}.{}", self.called));
            self.set("remote_clientid", id);
        }
        let has_tls = self.system_authorities || !self.authorities.is_empty();
        let speaks_of_tls = matches!(&self.tls.value, Value::Table(keys) if !keys.is_empty());
        if speaks_of_tls && !has_tls {
            let text = "has TLS settings, and no bridge_cafile or bridge_capath that says whom to \
                        trust; add one, or remove them";
            return Err(text.into());
        }
        if has_tls {
            let authorities = std::mem::take(&mut self.authorities);
            self.set("tls.authorities", self.made(Value::List(authorities)));
            let tls = self.tls.clone();
            self.set("tls", tls);
        }
        Ok(self.node)
    }
}

/// `connection name` begins a bridge.
pub fn connection(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let called = line.word();
    if called.is_empty() {
        return Err("needs a name behind it".into());
    }
    let name = name(called);
    if name != called {
        translation.warn(line, format!("the bridge is called {name:?} here"));
    }
    translation.begin_bridge(Draft::new(called, line));
    Ok(())
}

/// A name stands in client ids and topics; Mosquitto takes any.
fn name(called: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    called.replace(|c| !fits(c), "_")
}

/// `address host[:port] [host[:port]] ...`, also spelled `addresses`.
pub fn addresses(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if line.word().is_empty() {
        return Err("needs a host, as example.org:1883".into());
    }
    let node = |text: &str| Node {
        // Here the port is 1883 with TLS too.
        value: Value::Text(match has_port(text) {
            true => text.into(),
            false => format!("{text}:1883"),
        }),
        origin: line.origin(),
    };
    translation
        .bridge()?
        .addresses
        .extend(line.words().map(node));
    Ok(())
}

fn has_port(address: &str) -> bool {
    address.contains(':') && !address.ends_with(']')
}

/// `topic pattern [[[out | in | both] qos] local_prefix remote_prefix]`
pub fn topic(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let rule = rule(line);
    // One that is wrong is a topic all the same: that there is none need not be said too.
    let entries = rule.clone().unwrap_or_default();
    let entries = entries.into_iter().map(|(key, value)| {
        let origin = line.origin();
        (key.to_owned(), Node { value, origin })
    });
    translation.bridge()?.topics.push(Node {
        value: Value::Table(entries.collect()),
        origin: line.origin(),
    });
    rule.map(drop)
}

/// The keys of one of a bridge's topics.
fn rule(line: &Line) -> Result<Vec<(&'static str, Value)>, String> {
    let (pattern, rest) = pattern(&line.argument)?;
    let words: Vec<_> = words(rest).collect();
    if line.argument.is_empty() || words.len() > 4 {
        let text = "needs a pattern, then a direction, a QoS and two prefixes, as sensors/# out 1";
        return Err(text.into());
    }
    let word = |at: usize| words.get(at).copied();
    let direction = word(0).unwrap_or("out").to_ascii_lowercase();
    if !["out", "in", "both"].contains(&direction.as_str()) {
        return Err(format!("needs out, in or both, not {direction:?}"));
    }
    let qos = word(1).unwrap_or("0");
    let qos = count(qos).ok().filter(|qos| (0..=2).contains(qos));
    let qos = qos.ok_or("needs a QoS from 0 to 2 behind the direction")?;
    let prefix = |at| match word(at) {
        None | Some("\"\"") => String::new(),
        Some(prefix) => prefix.to_owned(),
    };
    Ok(vec![
        ("filter", Value::Text(pattern.into())),
        ("direction", Value::Text(direction)),
        ("qos", Value::Integer(qos)),
        ("local_prefix", Value::Text(prefix(2))),
        ("remote_prefix", Value::Text(prefix(3))),
    ])
}

/// The pattern of a topic, and what stands behind it. It is a word, which may be `#`, or stands in
/// quotes; `""` is empty.
fn pattern(argument: &str) -> Result<(&str, &str), String> {
    match argument.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.split_once('"');
            end.ok_or_else(|| "needs another quotation mark behind the pattern".into())
        }
        None => Ok(argument.split_once([' ', '\t']).unwrap_or((argument, ""))),
    }
}

/// `bridge_protocol_version mqttv31 | mqttv311 | mqttv50`
pub fn version(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let version = match line.word() {
        "mqttv31" => "3.1",
        "mqttv311" => "3.1.1",
        "mqttv50" => "5",
        other => return Err(format!("needs mqttv31, mqttv311 or mqttv50, not {other:?}")),
    };
    translation.set_bridge("protocol_version", Value::Text(version.into()), line)
}

/// `start_type automatic | lazy | once`
pub fn start(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let start = line.word();
    if !["automatic", "lazy", "once"].contains(&start) {
        return Err(format!("needs automatic, lazy or once, not {start:?}"));
    }
    translation.set_bridge("start", Value::Text(start.into()), line)
}

/// `restart_timeout [base cap [stable]] | [constant]`, in seconds.
pub fn restart(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let base = at_least(translation, line, 1)?;
    let cap = line.words().nth(1).map_or(Ok(base), count)?;
    if cap < base {
        return Err("needs one time, or the shortest and the longest, in seconds".into());
    }
    if line.words().nth(2).is_some() {
        let text = "the third number is ignored: once connected, pauses are short again";
        translation.warn(line, text);
    }
    translation.set_bridge("restart_pause", seconds(base), line)?;
    translation.set_bridge("restart_pause_max", seconds(cap), line)
}

/// `keepalive_interval seconds`
pub fn keepalive(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let time = at_least(translation, line, 5)?;
    translation.set_bridge("keepalive", seconds(time), line)
}

/// `idle_timeout seconds`
pub fn idle_timeout(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let time = at_least(translation, line, 1)?;
    translation.set_bridge("idle_timeout", seconds(time), line)
}

/// `threshold count`
pub fn threshold(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let messages = at_least(translation, line, 1)?;
    translation.set_bridge("lazy_messages", Value::Integer(messages), line)
}

/// A number that Mosquitto raises where it is too low to be used.
fn at_least(translation: &mut Translation, line: &Line, least: i64) -> Result<i64, String> {
    let number = count(line.word())?;
    if number < least {
        translation.warn(line, format!("{number} is too low; {least} is used"));
    }
    Ok(number.max(least))
}

fn seconds(count: i64) -> Value {
    Value::Text(format!("{count}s"))
}

/// `cleansession true | false`
pub fn clean_session(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let clean = Node {
        value: Value::Bool(switch(line.word())?),
        origin: line.origin(),
    };
    translation.bridge()?.clean = Some(clean);
    Ok(())
}

/// `bridge_cafile file`, `bridge_capath directory`
pub fn authority(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if line.argument.is_empty() {
        return Err("needs a path".into());
    }
    let node = Node {
        value: Value::Text(line.argument.clone()),
        origin: line.origin(),
    };
    translation.bridge()?.authorities.push(node);
    Ok(())
}

/// `bridge_tls_use_os_certs true | false`
pub fn system_authorities(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let wanted = switch(line.word())?;
    translation.bridge()?.system_authorities = wanted;
    Ok(())
}

/// `bridge_alpn name`
pub fn alpn(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let name = Node {
        value: Value::Text(line.argument.clone()),
        origin: line.origin(),
    };
    translation.set_bridge("tls.alpn", Value::List(vec![name]), line)
}

/// `bridge_tls_version tlsv1.3 | tlsv1.2`
pub fn tls_version(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let version = match line.word() {
        "tlsv1.3" => "1.3",
        "tlsv1.2" => "1.2",
        "tlsv1.1" => return Err("TLS 1.1 is not offered, as it is broken; use tlsv1.2".into()),
        other => return Err(format!("needs tlsv1.3 or tlsv1.2, not {other:?}")),
    };
    translation.set_bridge("tls.min_version", Value::Text(version.into()), line)
}
