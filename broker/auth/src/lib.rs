//! Who may connect, publish and subscribe.
//!
//! [`Access`] is the door of one listener. It holds a chain of [`Authenticator`]s, which say
//! who a client is, and of [`Authorizer`]s, which say what it may publish and receive. Only the
//! first are asynchronous; the second answer on the hot path.
//!
//! ```text
//!   CONNECT, AUTH -> ConnectRequest -> Access::authenticate -> Verdict -> Principal
//!   PUBLISH                    -> DecisionMemo -> Access::authorize -> Decision
//!   SUBSCRIBE                  -> Access::subscribe, Access::coverage -> All, None or Mixed
//!   delivery, if Mixed         -> DecisionMemo -> Access::authorize -> Decision
//! ```
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use dunlin_auth::{Access, AclFile, Action, AllowAnonymous, Decision, Principal, Question};
//! use dunlin_topic::TopicName;
//!
//! let acl = AclFile::parse(Path::new("acl"), "topic read news/#\npattern home/%u/#\n")?;
//! let access = Access::new(AllowAnonymous::No).with_authorizer(Arc::new(acl));
//!
//! let alice = Principal::new("phone", Some("alice".into()));
//! let lamp = TopicName::new("home/alice/lamp")?;
//! let question = Question::new(Action::Publish, lamp);
//! assert_eq!(access.authorize(&alice, &question).decision, Decision::Allow);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Built in are a password file ([`PasswordFile`], [`Passwords`]) and an ACL file ([`AclFile`]),
//! both in our format and Mosquitto's. Plugins implement the same two traits elsewhere.
//!
//! It knows nothing of packets, reason codes or connections: the caller maps a [`Denial`] to
//! a reason code, treats a [`Decision::Unavailable`] as no, and swaps the [`Access`] at reload.
#![forbid(unsafe_code)]

mod access;
mod acl;
mod authenticate;
mod authorize;
mod connect;
mod file;
mod filter;
mod memo;
mod password;

pub use access::{Access, AllowAnonymous, CertificateUsername, Exchange, Verdict};
pub use acl::{AclFile, GrantedRules, Permission};
pub use authenticate::{Authenticator, BoxFuture, Denial, Grant, Outcome};
pub use authorize::{
    Action, Answer, Authorizer, Coverage, Decision, Details, Holds, Principal, Question,
    Subscribing,
};
pub use connect::{Certificate, ConnectRequest, EnhancedAuthentication, PeerIdentity};
pub use file::FileError;
pub use filter::{Filtered, PublishFilter, Publishing, Replacement};
pub use memo::{DecisionMemo, Remembered};
pub use password::{
    Edit, HashError, HashingPool, PasswordFile, PasswordHash, Passwords, delete_user,
    hash_password, set_password,
};
