//! A client proves again who it is (section 4.12.1).

use std::task::{Context, Poll};

use dunlin_auth::{
    ConnectRequest, DecisionMemo, Details, EnhancedAuthentication, Grant, PeerIdentity, Verdict,
};
use dunlin_codec::ReasonCode;
use dunlin_session::Failure;
use dunlin_time::Now;

use crate::connection::{Connection, End};
use crate::permission::details_wanted;

impl Connection {
    pub fn reauthenticate(&mut self, data: &[u8]) {
        let access = self.access.clone();
        let data = bytes::Bytes::copy_from_slice(data);
        let request = ConnectRequest {
            client_id: self.principal.client_id().to_owned(),
            username: self.principal.username().map(str::to_owned),
            password: None,
            peer: PeerIdentity {
                address: self.address,
                loopback: false,
                listener: self.listener.name.clone(),
                certificate: None,
            },
            authentication: self.session.authentication_method().map(|method| {
                EnhancedAuthentication {
                    method: method.to_owned(),
                    data: data.clone(),
                }
            }),
            user_properties: Vec::new(),
        };
        let rare = self.rare();
        let exchange = rare.exchange.take();
        rare.reauthentication = Some(Box::pin(async move {
            match exchange {
                Some(exchange) => exchange.resume(&request, data).await,
                None => access.authenticate(&request).await,
            }
        }));
    }

    /// Goes on with a re-authentication, if one is under way (section 4.12.1).
    pub fn reauthentication(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let Some(rare) = &mut self.rare else {
            return Ok(());
        };
        let Some(future) = &mut rare.reauthentication else {
            return Ok(());
        };
        let Poll::Ready(verdict) = future.as_mut().poll(context) else {
            return Ok(());
        };
        rare.reauthentication = None;
        match verdict {
            Verdict::Continue(exchange) => {
                self.session.challenge(&exchange.data, out);
                rare.exchange = Some(exchange);
            }
            Verdict::Granted(grant) => {
                rare.grant_ends = grant.expires.map(|expires| now.monotonic + expires);
                let data = grant.data.clone().unwrap_or_default();
                self.take_grant(grant);
                self.session.reauthenticated(&data, out);
            }
            Verdict::Denied(denial) => {
                return Err(End::Failed(Failure::new(
                    ReasonCode::NotAuthorized,
                    format!("re-authentication failed: {denial}"),
                )));
            }
        }
        Ok(())
    }

    /// A re-authentication has granted this from now on.
    fn take_grant(&mut self, grant: Grant) {
        let found = Details {
            attributes: grant.attributes,
            rules: grant.rules,
            address: self.address,
            listener: self.listener.name.clone(),
        };
        let had_rules = self.principal.rules().is_some();
        if had_rules || details_wanted(&self.access, &found) {
            let has_rules = found.rules.is_some();
            self.principal = self.principal.clone().with_details(found);
            self.memo = DecisionMemo::default();
            if had_rules || has_rules {
                // What subscriptions were checked against is no more.
                self.epoch = !self.access.epoch();
            }
        }
    }
}
