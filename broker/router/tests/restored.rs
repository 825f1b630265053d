//! Sessions of an earlier process, put back.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_log::{MemoryDisk, Options};
use dunlin_metrics::{Counter, Registry};
use dunlin_router::ports::{Reply, SessionTerms, Store};
use dunlin_router::{
    AttachRequest, Attached, Dispatch, RestoredSession, RestoredSubscription, Router, Settings,
    Subscriber, TargetOptions,
};
use dunlin_session::{Delivery, Identifiers, Message, MessageParts, Outbound, SessionState, Will};
use dunlin_store::Disk;
use dunlin_time::{Clock, Wall};

struct Broker {
    router: Arc<Router>,
    store: Arc<dyn Store>,
    metrics: Arc<Registry>,
    dispatch: RefCell<Dispatch>,
}

impl Broker {
    fn new() -> Self {
        let metrics = Arc::new(Registry::default());
        let files = Arc::new(MemoryDisk::default());
        let store = Disk::open(files, Options::default(), &mut |_| ()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let clock = Clock::start();
        let router = Router::new(Settings::default(), clock, store.clone(), metrics.clone());
        let dispatch = RefCell::new(router.dispatch(Some(0), metrics.cells()));
        Broker {
            router,
            store,
            metrics,
            dispatch,
        }
    }

    fn restore(&self, session: RestoredSession) {
        self.restore_with(session, &mut SessionState::default());
    }

    fn restore_with(&self, session: RestoredSession, open: &mut SessionState) {
        let now = self.router.now();
        let cells = self.metrics.cells();
        self.router.restore(session, open, now, &cells);
    }

    async fn attach(&self, client_id: &str) -> Attached {
        let request = AttachRequest {
            client_id: &client_id.into(),
            clean_start: false,
            terms: SessionTerms {
                expiry: 60,
                will: None,
            },
            worker: 0,
        };
        self.router.attach(request, &self.dispatch).await.unwrap()
    }

    /// A session of this client, which left so many seconds ago.
    fn session(&self, client_id: &str, seconds: u64) -> RestoredSession {
        RestoredSession {
            number: 7,
            client_id: client_id.into(),
            left: Wall(self.router.now().wall.0 - seconds * 1000),
            expiry: 60,
            will: None,
            subscriptions: Vec::new(),
            queue: Vec::new(),
        }
    }
}

fn subscription(filter: &str) -> RestoredSubscription {
    RestoredSubscription {
        filter: filter.into(),
        options: TargetOptions::new(Qos::AtLeastOnce, false, false, false),
        identifier: None,
    }
}

fn delivery(topic: &str, payload: &[u8]) -> Delivery {
    let parts = MessageParts {
        publisher: 1,
        qos: Qos::AtLeastOnce,
        retain: false,
        expires: None,
        topic,
        forwarded: &[],
        payload,
    };
    Delivery {
        message: Message::new(parts, &mut Vec::new()),
        identifiers: Identifiers::None,
        shared: None,
        qos: Qos::AtLeastOnce,
        retain: false,
        unchecked: false,
        stored: false,
    }
}

fn payloads(subscriber: &Subscriber) -> Vec<Vec<u8>> {
    let mut batch = VecDeque::new();
    subscriber.take(usize::MAX, usize::MAX, &mut batch, Waker::noop());
    let payload = |delivery: Delivery| delivery.message.payload().to_vec();
    batch.into_iter().map(payload).collect()
}

fn will(delay: u64) -> Will {
    Will {
        delay: Duration::from_secs(delay),
        expiry: None,
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: "wills/a".into(),
        forwarded: [].into(),
        payload: (*b"gone").into(),
    }
}

#[tokio::test]
async fn a_session_has_its_queue_and_its_subscriptions() {
    let broker = Broker::new();
    let mut session = broker.session("a", 1);
    session.subscriptions = vec![subscription("b/#"), subscription("a")];
    session.queue = vec![delivery("a", b"1"), delivery("a", b"2")];
    broker.restore(session);
    assert_eq!(broker.router.subscriptions(), 2);
    let attached = broker.attach("a").await;
    assert!(attached.state.is_some());
    let more = delivery("b/c", b"3").message;
    let origin = Default::default();
    broker.dispatch.borrow_mut().publish_message(&more, origin);
    assert_eq!(payloads(&attached.subscriber), [b"1", b"2", b"3"]);
}

#[tokio::test]
async fn mqtt_3_1_2_23_a_session_that_is_over_is_not_present() {
    let broker = Broker::new();
    broker.restore(broker.session("a", 61));
    assert!(broker.attach("a").await.state.is_none());
}

#[tokio::test]
async fn mqtt_3_1_3_9_a_will_whose_delay_has_passed_is_published_all_the_same() {
    let broker = Broker::new();
    let mut watcher = broker.session("watcher", 1);
    watcher.subscriptions = vec![subscription("wills/+")];
    broker.restore(watcher);
    for (client_id, delay) in [("late", 5), ("in time", 50)] {
        let session = RestoredSession {
            number: 8 + delay,
            will: Some(will(delay)),
            ..broker.session(client_id, 10)
        };
        broker.restore(session);
        assert!(broker.attach(client_id).await.state.is_some());
    }
    let watcher = broker.attach("watcher").await.subscriber;
    assert_eq!(payloads(&watcher), [b"gone"]);
}

#[tokio::test]
async fn mqtt_4_8_2_a_shared_message_still_knows_its_group() {
    let broker = Broker::new();
    let mut leaves = broker.session("leaves", 1);
    leaves.subscriptions = vec![subscription("$share/g/t/+")];
    let shared = |payload| Delivery {
        shared: Some(NonZeroU32::MAX),
        ..delivery("t/1", payload)
    };
    leaves.queue = vec![shared(b"waits")];
    let sent = (NonZeroU16::MIN, Some(shared(b"sent")));
    let mut open = SessionState {
        outbound: Outbound::restore([sent]),
        ..SessionState::default()
    };
    let stays = RestoredSession {
        number: 8,
        subscriptions: vec![subscription("$share/g/t/+")],
        ..broker.session("stays", 1)
    };
    broker.restore_with(leaves, &mut open);
    let kept = broker.store.detach("leaves", open);
    assert!(matches!(kept, Reply::Now(Ok(()))));
    broker.restore(stays);
    let stays = broker.attach("stays").await.subscriber;
    let clean = AttachRequest {
        client_id: &"leaves".into(),
        clean_start: true,
        terms: SessionTerms {
            expiry: 0,
            will: None,
        },
        worker: 0,
    };
    broker.router.attach(clean, &broker.dispatch).await.unwrap();
    assert_eq!(payloads(&stays), [&b"sent"[..], b"waits"]);
}

#[tokio::test]
async fn what_is_on_disk_is_not_dropped_to_save_memory() {
    let broker = Broker::new();
    let mut session = broker.session("a", 1);
    let stored = Delivery {
        stored: true,
        ..delivery("a", b"acknowledged")
    };
    session.queue = vec![delivery("a", b"QoS 0"), stored, delivery("a", b"more")];
    broker.restore(session);
    let cells = broker.metrics.cells();
    broker.router.shed_largest_queues(&cells);
    assert_eq!(cells.get(Counter::DroppedMemory), 2);
    let attached = broker.attach("a").await;
    assert_eq!(payloads(&attached.subscriber), [b"acknowledged"]);
    assert_eq!(attached.subscriber.queued_bytes(), 0);
}
