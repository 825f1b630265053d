//! Directives of one listener that are more than one key.

use std::net::IpAddr;

use super::arguments::switch;
use super::lines::Line;
use super::translate::Translation;
use crate::config::node::{Node, Origin, Step, Value};

/// A listener of which more directives may follow.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What is known of it, as a table of `listeners`.
    pub node: Node,
    /// Whether it is to be opened: always, but the default listener's is only
    /// when a directive is about it.
    pub used: bool,
    /// 0 for a unix socket.
    port: u16,
    /// An address, a name, or the path of a unix socket.
    host: String,
    domain: Option<Domain>,
    authorities: Vec<Node>,
    revoked: Option<Node>,
    /// `require_certificate true`, where it stands.
    certificate_required: Option<Node>,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Ipv4,
    Ipv6,
}

impl Draft {
    /// A listener on a port of every address. Mosquitto answers WebSocket on
    /// any path.
    pub fn new(port: u16, host: &str, origin: Origin) -> Draft {
        Draft {
            node: Node {
                value: Value::Table(Vec::new()),
                origin: origin.clone(),
            },
            used: false,
            port,
            host: host.to_owned(),
            domain: None,
            authorities: Vec::new(),
            revoked: None,
            certificate_required: None,
            origin,
        }
    }

    /// The same for this machine only, on each of `ports`, or else on 1883.
    pub fn local(&self, ports: &[u16]) -> Vec<Draft> {
        let (ports, origin) = match ports {
            [] => (&[1883][..], Origin::Default),
            ports => (ports, Origin::Argument("-p")),
        };
        let local = |port: &u16| Draft {
            port: *port,
            host: "localhost".into(),
            origin: origin.clone(),
            ..self.clone()
        };
        ports.iter().map(local).collect()
    }

    /// Sets a key of this listener.
    pub fn set(&mut self, key: &str, node: Node) {
        // The keys of the table of directives never stand in each other's way.
        self.node.put(&Step::path(key), node).ok();
    }

    /// The finished table.
    pub fn finish(mut self) -> Node {
        let origin = self.origin.clone();
        let node = |value| Node {
            value,
            origin: origin.clone(),
        };
        self.set("address", node(Value::Text(self.address())));
        if self.domain == Some(Domain::Ipv6) && self.port != 0 {
            self.set("ipv6_only", node(Value::Bool(true)));
        }
        let websockets = self.node.get("protocol").is_some_and(
            |node| matches!(&node.value, Value::Text(protocol) if protocol == "websockets"),
        );
        if websockets {
            self.set(
                "websocket.paths",
                node(Value::List(vec![node(Value::Text("*".into()))])),
            );
        }
        let authorities = std::mem::take(&mut self.authorities);
        let tls = self.node.get("tls");
        if tls.is_some_and(|tls| tls.get("certificate").is_some()) && !authorities.is_empty() {
            // OpenSSL completes the server's own chain from them.
            let authorities = node(Value::List(authorities.clone()));
            self.set("tls.intermediates", authorities);
        }
        // Mosquitto asks for certificates only when it requires them.
        if let Some(required) = self.certificate_required.take() {
            self.set("tls.client_ca", node(Value::List(authorities)));
            self.set("tls.require_client_certificate", required);
            if let Some(revoked) = self.revoked.take() {
                self.set("tls.crl", revoked);
            }
        }
        self.node
    }

    fn address(&self) -> String {
        let (host, port) = (self.host.as_str(), self.port);
        match host.parse::<IpAddr>() {
            _ if port == 0 => format!("unix:{host}"),
            Ok(IpAddr::V6(host)) => format!("[{host}]:{port}"),
            _ if host.is_empty() && self.domain == Some(Domain::Ipv4) => format!("0.0.0.0:{port}"),
            _ if host.is_empty() => format!("[::]:{port}"),
            _ => format!("{host}:{port}"),
        }
    }
}

/// `listener port [address | name | unix socket]`
pub fn listener(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let number = port_number(line.word())?;
    let host = line.words().nth(1).unwrap_or_default();
    if number == 0 && host.is_empty() {
        return Err("needs a port from 1 to 65535, or 0 and the path of a unix socket".into());
    }
    if number != 0 && host.starts_with('/') {
        return Err("needs port 0 before the path of a unix socket".into());
    }
    translation.begin(Draft {
        used: true,
        ..Draft::new(number, host, line.origin())
    })
}

/// `port number`, of the default listener.
pub fn port(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let number = port_number(line.word())?;
    if number == 0 {
        return Err("needs a port from 1 to 65535".into());
    }
    let draft = translation.default_listener();
    (draft.port, draft.used, draft.origin) = (number, true, line.origin());
    Ok(())
}

/// `bind_address address`, of the default listener.
pub fn bind_address(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if line.argument.is_empty() {
        return Err("needs an address or a host name".into());
    }
    let draft = translation.default_listener();
    (draft.host, draft.used, draft.origin) = (line.argument.clone(), true, line.origin());
    Ok(())
}

/// `protocol mqtt | websockets`
pub fn protocol(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let protocol = line.word();
    if protocol == "http_api" {
        let text = "the API over HTTP has an address of its own, 127.0.0.1:9883 unless \
                    DUNLIN__ADMIN__ADDRESS in the environment is another; remove this listener";
        return Err(text.into());
    }
    if !["mqtt", "websockets"].contains(&protocol) {
        return Err(format!("needs mqtt or websockets, not {protocol:?}"));
    }
    translation.set_listener("protocol", Value::Text(protocol.into()), line);
    Ok(())
}

/// `accept_protocol_versions 3, 4, 5`
pub fn versions(_: &mut Translation, line: &Line) -> Result<(), String> {
    let versions: Vec<_> = line.words().flat_map(|word| word.split(',')).collect();
    match ["3", "4", "5"].iter().all(|one| versions.contains(one)) {
        true => Ok(()),
        false => Err("clients of every version are let in; remove it".into()),
    }
}

/// `enable_proxy_protocol 1 | 2`: either is taken.
pub fn proxy_protocol(translation: &mut Translation, line: &Line) -> Result<(), String> {
    if !["1", "2"].contains(&line.word()) {
        return Err(format!("needs 1 or 2, not {:?}", line.word()));
    }
    translation.set_listener("proxy_protocol", Value::Bool(true), line);
    Ok(())
}

/// `socket_domain ipv4 | ipv6`
pub fn socket_domain(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let domain = match line.word() {
        "ipv4" => Domain::Ipv4,
        "ipv6" => Domain::Ipv6,
        other => return Err(format!("needs ipv4 or ipv6, not {other:?}")),
    };
    translation.listener().domain = Some(domain);
    Ok(())
}

/// `cafile file`, `capath directory`
pub fn authority(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let node = path(line)?;
    translation.listener().authorities.push(node);
    Ok(())
}

/// `crlfile file`
pub fn revoked(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let node = path(line)?;
    translation.listener().revoked = Some(node);
    Ok(())
}

/// `require_certificate true | false`
pub fn require_certificate(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let required = switch(line.word())?.then(|| Node {
        value: Value::Bool(true),
        origin: line.origin(),
    });
    translation.listener().certificate_required = required;
    Ok(())
}

/// `tls_keyform pem | engine`
pub fn keyform(_: &mut Translation, line: &Line) -> Result<(), String> {
    match line.word() {
        "pem" => Ok(()),
        _ => Err("needs pem; keys in an OpenSSL engine are not offered, use a keyfile".into()),
    }
}

/// `tls_version tlsv1.3 | tlsv1.2`
pub fn tls_version(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let version = match line.word() {
        "tlsv1.3" => "1.3",
        "tlsv1.2" => "1.2",
        "tlsv1.1" => return Err("TLS 1.1 is not offered, as it is broken; use tlsv1.2".into()),
        other => return Err(format!("needs tlsv1.3 or tlsv1.2, not {other:?}")),
    };
    translation.set_listener("tls.min_version", Value::Text(version.into()), line);
    Ok(())
}

/// `websockets_origin origin`, once for each.
pub fn websockets_origin(translation: &mut Translation, line: &Line) -> Result<(), String> {
    let draft = translation.listener();
    let count = draft
        .node
        .get("websocket")
        .and_then(|node| node.get("origins"));
    let count = match count.map(|node| &node.value) {
        Some(Value::List(entries)) => entries.len(),
        _ => 0,
    };
    translation.set_listener(
        &format!("websocket.origins.{count}"),
        Value::Text(line.argument.clone()),
        line,
    );
    Ok(())
}

fn path(line: &Line) -> Result<Node, String> {
    if line.argument.is_empty() {
        return Err("needs a path".into());
    }
    Ok(Node {
        value: Value::Text(line.argument.clone()),
        origin: line.origin(),
    })
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("needs a port from 1 to 65535, not {text:?}"))
}
