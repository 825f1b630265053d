//! Who clients are: the bearers of a JSON Web Token in the password.

use dunlin_sdk::{
    Auth, Denial, Grant, Import, Manifest, Outcome, Plugin, Request, clock,
    crypto::{self, TokenError},
};
use serde::Deserialize;

/// What `config` in dunlin.toml says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bearer {
    /// The name of one of the `key_sets` there.
    key_set: String,
}

/// What is needed of a token.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

impl Plugin for Bearer {
    fn describe() -> Manifest {
        dunlin_sdk::manifest!().needs([Import::Crypto]).schema(
            r#"{
                "type": "object",
                "required": ["key_set"],
                "properties": { "key_set": { "type": "string" } },
                "additionalProperties": false
            }"#,
        )
    }
}

impl Auth for Bearer {
    fn authenticate(&mut self, request: &Request) -> Outcome {
        let Some(Ok(token)) = request.password.as_deref().map(str::from_utf8) else {
            return Outcome::Next; // no token: not for this plugin to judge
        };
        let claims = match crypto::verify_token(&self.key_set, token) {
            Ok(claims) => serde_json::from_str::<Claims>(&claims),
            Err(TokenError::Unavailable(lacking)) => {
                return Outcome::Denied(Denial::Unavailable(lacking));
            }
            Err(_) => return Outcome::Denied(Denial::BadCredentials),
        };
        let Ok(claims) = claims else {
            return Outcome::Denied(Denial::BadCredentials);
        };
        let left = claims.exp.saturating_sub(clock::wall().as_secs()).max(1);
        let grant = Grant::to(claims.sub)
            .expires_in(left.try_into().unwrap_or(u32::MAX))
            .rule("read-write", "devices/%u/#")
            .rule("read", "news");
        Outcome::Granted(grant)
    }
}

dunlin_sdk::auth!(Bearer);

#[cfg(test)]
mod tests {
    use dunlin_sdk::{cases, mock};

    use super::*;

    /// `dunlin plugin test` replays the same cases in the broker's own host.
    #[test]
    fn recorded_cases_hold() {
        cases::auth::<Bearer>(
            include_str!("../config.json"),
            include_str!("../cases.jsonl"),
        );
    }

    #[test]
    fn a_token_is_a_name_and_its_topics() {
        mock::keys("main", "a secret of the tests, 32 bytes or more");
        let end = clock::wall().as_secs() + 60;
        let token = mock::sign("main", &format!(r#"{{"sub": "pump", "exp": {end}}}"#));
        let mut plugin: Bearer = cases::configure(include_str!("../config.json")).unwrap();

        let Outcome::Granted(grant) = plugin.authenticate(&Request::new("c").login("x", token))
        else {
            panic!("it is refused");
        };
        assert_eq!(grant.username.as_deref(), Some("pump"));
        assert_eq!(grant.expires_in, Some(60));

        let refused = plugin.authenticate(&Request::new("c").login("x", "a.b.c"));
        assert_eq!(refused, Outcome::Denied(Denial::BadCredentials));
    }
}
