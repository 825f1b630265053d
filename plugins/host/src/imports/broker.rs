//! Things that the broker does for a plugin.

use std::{sync::atomic::Ordering, time::Instant};

use dunlin_topic::TopicName;

use super::contract::{broker::Host, types::Qos as ContractQos};
use crate::{client::codec_qos, state::State};

impl Host for State {
    fn publish(
        &mut self,
        topic: String,
        payload: Vec<u8>,
        qos: ContractQos,
        retain: bool,
    ) -> wasmtime::Result<Result<(), String>> {
        self.serving()?;
        if !self.broker_has_time() {
            return Ok(Err("at most 100 calls a second".into()));
        }
        match TopicName::new(&topic) {
            Err(error) => return Ok(Err(error.to_string())),
            Ok(name) if name.is_system() => {
                return Ok(Err("topics that begin with $ are the broker's own".into()));
            }
            Ok(_) => {}
        }
        let qos = codec_qos(qos);
        Ok(self.effects.publish(topic, payload, qos, retain))
    }

    fn disconnect(&mut self, client_id: String) -> wasmtime::Result<()> {
        self.serving()?;
        if self.broker_has_time() {
            self.effects.disconnect(client_id);
        }
        Ok(())
    }

    fn invalidate(&mut self) -> wasmtime::Result<()> {
        self.serving()?;
        if self.broker_has_time() {
            self.shared.epoch.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl State {
    fn broker_has_time(&self) -> bool {
        self.shared.broker_limit.take(Instant::now())
    }
}
