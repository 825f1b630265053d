//! What only the whole configuration can tell: values that contradict each
//! other, and files that are not there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::address::ListenAddress;
use super::broker::{Admin, Config, LogDestination, Store};
use super::file::cannot_read;
use super::listener::{AllowAnonymous, Listener, Protocol, Tls};
use super::node::Origin;
use super::problem::Problem;

/// To list a directory, to open what is in it, and to make files.
const MAY_USE: Access = Access::EXEC_OK
    .union(Access::READ_OK)
    .union(Access::WRITE_OK);

/// Characters of the shortest `admin.token`.
const TOKEN_MIN: usize = 16;

/// Whether the files that a configuration names must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They must: it is to run here.
    Exist,
    /// They are on another machine.
    Elsewhere,
}

/// Checks a configuration whose single values are good. `origins` says where
/// keys were written.
pub fn check(
    config: &Config,
    origins: &BTreeMap<String, Origin>,
    files: Files,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let mut check = Check {
        origins,
        files,
        problems,
        warnings,
    };
    check.process(config);
    check.file(
        "access.password_file",
        config.access.password_file.as_deref(),
    );
    check.file("access.acl_file", config.access.acl_file.as_deref());
    for (index, listener) in config.listeners.iter().enumerate() {
        let path = format!("listeners[{index}]");
        check.address(config, index, &path);
        check.topics_and_time(config, listener, &path);
        check.websocket(listener, &path);
        if let Some(tls) = &listener.tls {
            check.tls(tls, &format!("{path}.tls"));
        }
        check.access(config, listener, &path);
    }
    check.plugins(config);
    check.bridges(config);
    check.webhooks(config);
}

pub(super) struct Check<'a> {
    origins: &'a BTreeMap<String, Origin>,
    files: Files,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn process(&mut self, config: &Config) {
        if config.listeners.is_empty() {
            self.problem(
                "listeners",
                "is empty, so nobody could connect; remove it for the default",
            );
        }
        self.whole_seconds("limits.keepalive", config.limits.keepalive);
        if let LogDestination::File(path) = &config.logging.destination {
            self.writable("logging.destination", path);
        }
        if let Some(path) = &config.pid_file {
            self.writable("pid_file", path);
        }
        if config.store == Store::Disk {
            self.directory("data_dir", &config.data_dir);
        }
        self.admin(&config.admin);
    }

    fn admin(&mut self, admin: &Admin) {
        let everywhere = admin
            .address
            .is_some_and(|address| !address.ip().is_loopback());
        match &admin.token {
            None if everywhere => self.problem(
                "admin.address",
                "is reached from other machines, so it needs an admin.token; set one, or listen \
                 on 127.0.0.1",
            ),
            Some(token) if token.reveal().len() < TOKEN_MIN => {
                let text = format!("is too short to be secret; {TOKEN_MIN} characters at least");
                self.problem("admin.token", &text);
            }
            _ => {}
        }
    }

    fn address(&mut self, config: &Config, index: usize, path: &str) {
        let listener = &config.listeners[index];
        let earlier = &config.listeners[..index];
        let key = format!("{path}.address");
        let unique = listener.address.port() != Some(0);
        if unique
            && earlier
                .iter()
                .any(|other| other.address == listener.address)
        {
            let text = format!(
                "another listener has {} already; choose another port",
                listener.address
            );
            self.problem(&key, &text);
        } else if earlier
            .iter()
            .any(|other| other.label() == listener.label())
            && unique
        {
            let text = format!("another listener is called {:?} already", listener.label());
            self.problem(&format!("{path}.name"), &text);
        }
        if let (ListenAddress::Socket(own), Some(admin)) =
            (&listener.address, &config.admin.address)
        {
            let everywhere = own.ip().is_unspecified();
            if own.port() == admin.port()
                && own.port() != 0
                && (everywhere || own.ip() == admin.ip())
            {
                let text =
                    format!("{own} is taken by admin.address; choose another port for either");
                self.problem(&key, &text);
            }
        }
        let ipv6 = matches!(&listener.address, ListenAddress::Socket(address) if address.is_ipv6());
        if listener.ipv6_only && !ipv6 {
            let text = "is for IPv6 addresses, as \"[::]:1883\"; remove it or change the address";
            self.problem(&format!("{path}.ipv6_only"), text);
        }
    }

    fn topics_and_time(&mut self, config: &Config, listener: &Listener, path: &str) {
        let mount = &listener.mount_point;
        if mount.contains(['+', '#', '\0']) {
            let text = "goes before topic names, so it has no \"+\" or \"#\"; remove them";
            self.problem(&format!("{path}.mount_point"), text);
        }
        if mount.len() >= usize::from(config.limits.topic_length) {
            let text = "is as long as limits.topic_length; shorten it or raise that";
            self.problem(&format!("{path}.mount_point"), text);
        }
        if let Some(keepalive) = *listener.max_keepalive {
            self.whole_seconds(&format!("{path}.max_keepalive"), keepalive);
        }
    }

    fn websocket(&mut self, listener: &Listener, path: &str) {
        let websocket = &listener.websocket;
        let key = format!("{path}.websocket.paths");
        if websocket.paths.is_empty() && listener.protocol == Protocol::WebSockets {
            self.problem(
                &key,
                "is empty, so nobody could connect; \"*\" answers every path",
            );
        }
        for request in websocket
            .paths
            .iter()
            .filter(|path| !path.starts_with('/') && *path != "*")
        {
            self.problem(&key, &format!("{request:?} does not begin with \"/\""));
        }
        let origin_like = |origin: &str| {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
        };
        for origin in websocket
            .origins
            .iter()
            .filter(|origin| !origin_like(origin))
        {
            let text = format!("{origin:?} is not scheme and host, as \"https://example.org\"");
            self.problem(&format!("{path}.websocket.origins"), &text);
        }
    }

    fn tls(&mut self, tls: &Tls, path: &str) {
        for (name, file) in [("certificate", &tls.certificate), ("key", &tls.key)] {
            let key = format!("{path}.{name}");
            if file.as_os_str().is_empty() {
                self.problem(
                    &key,
                    "is missing; TLS needs a certificate and its key, in PEM files",
                );
            } else {
                self.file(&key, Some(file));
            }
        }
        for (index, authority) in tls.intermediates.iter().enumerate() {
            self.file_or_directory(&format!("{path}.intermediates[{index}]"), authority);
        }
        for (index, authority) in tls.client_ca.iter().enumerate() {
            self.file_or_directory(&format!("{path}.client_ca[{index}]"), authority);
        }
        self.file(&format!("{path}.crl"), tls.crl.as_deref());
        if tls.client_ca.is_empty() {
            let wants = [
                ("require_client_certificate", tls.require_client_certificate),
                ("crl", tls.crl.is_some()),
            ];
            for (name, _) in wants.iter().filter(|(_, set)| *set) {
                let key = format!("{path}.{name}");
                let authorities = self.spelled(&key, "client_ca", "cafile or capath");
                let text =
                    format!("needs {authorities}, the authorities that sign client certificates");
                self.problem(&key, &text);
            }
        }
    }

    fn access(&mut self, config: &Config, listener: &Listener, path: &str) {
        let own = &listener.access;
        self.file(
            &format!("{path}.access.password_file"),
            own.password_file.as_deref(),
        );
        self.file(&format!("{path}.access.acl_file"), own.acl_file.as_deref());
        let required = listener
            .tls
            .as_ref()
            .is_some_and(|tls| tls.require_client_certificate);
        let names = [
            ("use_identity_as_username", own.use_identity_as_username),
            ("use_subject_as_username", own.use_subject_as_username),
        ];
        for (name, _) in names.iter().filter(|(_, set)| *set && !required) {
            let key = format!("{path}.access.{name}");
            let require = "tls.require_client_certificate";
            let require = self.spelled(&key, require, "require_certificate true");
            let text = format!("needs certificates from all clients; set {require}");
            self.problem(&key, &text);
        }
        if names.iter().all(|(_, set)| *set) {
            let text = "cannot stand beside use_identity_as_username; remove one of them";
            self.problem(&format!("{path}.access.use_subject_as_username"), text);
        }
        let access = config.access.on(own);
        let certificates = names.iter().any(|(_, set)| *set);
        if access.allow_anonymous == AllowAnonymous::No
            && config.plugins.is_empty()
            && access.password_file.is_none()
            && !certificates
        {
            let text = format!(
                "nobody can connect to listener {}: anonymous clients are refused and there are no \
                 users; set password_file or allow_anonymous",
                listener.label()
            );
            let warning = self.make(&format!("{path}.access"), &text);
            self.warnings.push(warning);
        }
    }

    pub(super) fn whole_seconds(&mut self, key: &str, duration: Duration) {
        if duration.subsec_nanos() != 0 {
            self.problem(key, "is told to clients in whole seconds; round it");
        }
    }

    pub(super) fn file(&mut self, key: &str, path: Option<&Path>) {
        let Some(path) = path.filter(|_| self.files == Files::Exist) else {
            return;
        };
        let result = fs::File::open(path).and_then(|file| file.metadata());
        let text = match result {
            Ok(found) if found.is_dir() => "is a directory; name a file in it".into(),
            Ok(_) => return,
            Err(error) => cannot_read(&error),
        };
        self.problem(key, &format!("{}: {text}", path.display()));
    }

    /// Where a directory of certificates is as good as a file.
    pub(super) fn file_or_directory(&mut self, key: &str, path: &Path) {
        if self.files == Files::Elsewhere || !path.is_dir() {
            self.file(key, Some(path));
        }
    }

    /// Whether the directory of a file that will be written exists.
    fn writable(&mut self, key: &str, path: &Path) {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let missing = directory.is_some_and(|directory| !directory.is_dir());
        if missing && self.files == Files::Exist {
            let text = format!(
                "{}: its directory does not exist; create it",
                path.display()
            );
            self.problem(key, &text);
        }
    }

    /// Whether a directory can be written to, or can be made. Nothing is made, and nothing locked:
    /// the broker that is asked about may be running there.
    fn directory(&mut self, key: &str, path: &Path) {
        if self.files == Files::Elsewhere {
            return;
        }
        let is_there = |path: &&Path| path.symlink_metadata().is_ok();
        // Above a relative path is where dunlin was started.
        let nearest = path.ancestors().find(is_there).unwrap_or(Path::new("."));
        let shown = nearest.display();
        let text = match accessat(CWD, nearest, MAY_USE, AtFlags::EACCESS) {
            _ if !nearest.is_dir() => {
                format!("{shown} is not a directory; move it away, or choose another data_dir")
            }
            Ok(()) => return,
            Err(Errno::ROFS) => {
                format!("{shown} is mounted read-only; mount it for writing, or choose another")
            }
            Err(error) => format!(
                "{shown} cannot be written to: {}; let dunlin's user own it, or choose another",
                std::io::Error::from(error)
            ),
        };
        self.problem(key, &text);
    }

    pub(super) fn problem(&mut self, key: &str, text: &str) {
        let problem = self.make(key, text);
        self.problems.push(problem);
    }

    /// What to write beside a key: a directive where the key is one.
    fn spelled<'t>(&self, key: &str, toml: &'t str, directive: &'t str) -> &'t str {
        match self.origin(key) {
            Origin::Directive { .. } => directive,
            _ => toml,
        }
    }

    fn make(&self, key: &str, text: &str) -> Problem {
        Problem {
            origin: self.origin(key),
            key: key.into(),
            text: text.into(),
        }
    }

    /// Where the key was written, or else the table around it.
    fn origin(&self, key: &str) -> Origin {
        let mut around = key;
        loop {
            if let Some(origin) = self.origins.get(around) {
                return origin.clone();
            }
            match around.rfind(['.', '[']) {
                Some(end) => around = &around[..end],
                None => return Origin::Default,
            }
        }
    }
}
