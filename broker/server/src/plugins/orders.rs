//! What plugins ask the broker to do: done on the main thread, after the call that asks.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use dunlin_codec::{Qos, ReasonCode};
use dunlin_plugins::Broker;
use dunlin_router::{Dispatch, Origin, Publication, Router};
use dunlin_topic::TopicName;
use tokio::sync::mpsc;

/// Orders that wait; more are refused.
const WAITING: usize = 1024;

/// Where plugins put what they want done.
#[derive(Clone)]
pub struct Orders(mpsc::Sender<Order>);

/// Something that a plugin wants done.
pub enum Order {
    /// A message in the broker's own name.
    Publish {
        /// A valid topic name, not below `$SYS`.
        topic: String,
        /// The application's bytes.
        payload: Vec<u8>,
        /// Its QoS.
        qos: Qos,
        /// Whether it becomes the topic's retained message.
        retain: bool,
    },
    /// The end of a client's connection.
    Disconnect(String),
}

/// A way for orders, and its other end.
pub fn orders() -> (Orders, mpsc::Receiver<Order>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Orders(sender), receiver)
}

impl Broker for Orders {
    fn publish(&self, topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Result<(), String> {
        match TopicName::new(topic) {
            Ok(name) if name.is_system() => {
                return Err("names that begin with $ are the broker's own".into());
            }
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
        let order = Order::Publish {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos,
            retain,
        };
        let full = |_| "the broker is busy".to_owned();
        self.0.try_send(order).map_err(full)
    }

    fn disconnect(&self, client_id: &str) {
        if self
            .0
            .try_send(Order::Disconnect(client_id.to_owned()))
            .is_err()
        {
            tracing::warn!(
                client_id,
                "the broker is busy: a plugin's disconnect is dropped"
            );
        }
    }
}

/// Does what plugins want done, until nobody can ask any more.
pub async fn obey(
    mut orders: mpsc::Receiver<Order>,
    router: Arc<Router>,
    dispatch: Rc<RefCell<Dispatch>>,
) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Publish {
                topic,
                payload,
                qos,
                retain,
            } => {
                let Ok(topic) = TopicName::new(&topic) else {
                    continue;
                };
                let mut dispatch = dispatch.borrow_mut();
                dispatch.publish(Publication {
                    topic,
                    publisher: 0,
                    qos,
                    retain,
                    expires: None,
                    forwarded: &[],
                    payload: &payload,
                    origin: Origin::Anyone,
                });
                dispatch.flush();
            }
            Order::Disconnect(client_id) => {
                if let Some(subscriber) = router.session(&client_id) {
                    let what = "disconnected by a plugin";
                    subscriber.disconnect(ReasonCode::AdministrativeAction, what);
                }
            }
        }
    }
}
