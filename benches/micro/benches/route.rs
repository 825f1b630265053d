//! A publish through the router into the inboxes of its subscribers, and out of them again, in
//! nanoseconds for all of them: `cargo bench -p dunlin-micro --bench route`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dunlin_codec::{Qos, RetainHandling, SubscriptionOptions};
use dunlin_metrics::Registry;
use dunlin_micro::report;
use dunlin_router::ports::SessionTerms;
use dunlin_router::{
    AttachRequest, Dispatch, Origin, Publication, Router, Settings, SubscribeRequest, Subscriber,
};
use dunlin_store::Memory;
use dunlin_time::Clock;
use dunlin_topic::{Subscription, TopicName};

const TOPIC: &str = "site/7/device/42/temp";

fn main() {
    for filter in [TOPIC, "site/+/device/42/#"] {
        for subscribers in [0, 1, 10, 500] {
            for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
                let mut broker = Broker::new(filter, subscribers);
                let name = format!("{qos:?} to {subscribers} of {filter}");
                report(&name, || broker.publish(qos));
            }
        }
    }
}

struct Broker {
    dispatch: RefCell<Dispatch>,
    subscribers: Vec<Arc<Subscriber>>,
}

impl Broker {
    fn new(filter: &str, subscribers: usize) -> Self {
        let metrics = Arc::new(Registry::default());
        let store = Arc::new(Memory::default());
        let router = Router::new(Settings::default(), Clock::start(), store, metrics.clone());
        let dispatch = RefCell::new(router.dispatch(Some(0), metrics.cells()));
        let subscribe = |number| subscribe(&router, &dispatch, filter, number);
        Broker {
            subscribers: (0..subscribers).map(subscribe).collect(),
            dispatch,
        }
    }

    /// One message to all, taken out of their inboxes as a turn does.
    fn publish(&mut self, qos: Qos) {
        let publication = Publication {
            topic: TopicName::new(TOPIC).expect("a valid name"),
            publisher: 0,
            qos,
            retain: false,
            expires: None,
            forwarded: &[],
            payload: &[b'x'; 64],
            origin: Origin::Anyone,
        };
        black_box(self.dispatch.get_mut().publish(publication).matched);
        let mut batch = VecDeque::new();
        for subscriber in &self.subscribers {
            subscriber.take(128, 1 << 20, &mut batch, Waker::noop());
            black_box(&batch);
            batch.clear();
        }
    }
}

fn subscribe(
    router: &Router,
    dispatch: &RefCell<Dispatch>,
    filter: &str,
    number: usize,
) -> Arc<Subscriber> {
    let request = AttachRequest {
        client_id: &format!("client-{number}").into(),
        clean_start: true,
        terms: SessionTerms {
            expiry: 0,
            will: None,
        },
        worker: 0,
    };
    let attached = ready(router.attach(request, dispatch));
    let subscriber = attached.expect("a new session").subscriber;
    let request = SubscribeRequest {
        text: filter,
        subscription: Subscription::new(filter).expect("a valid filter"),
        options: SubscriptionOptions {
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::DoNotSend,
        },
        identifier: None,
        unchecked: false,
    };
    router.subscribe(&subscriber, request, dispatch.borrow().cells());
    subscriber
}

/// What a future gives that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a new session waits for nothing"),
    }
}
