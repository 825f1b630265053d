//! Sessions from connection to connection: take-over, waiting, expiry, and what ends with them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use dunlin_codec::{Qos, RetainHandling, SubscriptionOptions};
use dunlin_metrics::Registry;
use dunlin_router::ports::{Change, Commit, Reply, SessionTerms, Store, StoreError, Urgency};
use dunlin_router::{
    AttachError, AttachRequest, Attached, Control, Departure, Dispatch, Origin, Publication,
    Published, QueueLimits, Router, Settings, SubscribeRequest, Subscribed, Subscriber,
};
use dunlin_session::SessionState;
use dunlin_time::{Clock, Now, Wall};
use dunlin_topic::{Subscription, TopicName};

/// Keeps sessions in memory; fails on demand.
#[derive(Default)]
struct Kept {
    sessions: Mutex<HashMap<String, SessionState>>,
    fails: AtomicBool,
}

impl Store for Kept {
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>> {
        if self.fails.load(Ordering::Relaxed) {
            let what = "out of reach".to_owned();
            return Reply::Now(Err(StoreError { what }));
        }
        Reply::Now(Ok(self.sessions.lock().unwrap().remove(client_id)))
    }

    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>> {
        let mut sessions = self.sessions.lock().unwrap();
        sessions.insert(client_id.to_owned(), state);
        Reply::Now(Ok(()))
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn record(&self, _: &[Change<'_>], _: Urgency) -> Commit {
        Commit::default()
    }

    fn recorded(&self) -> Commit {
        Commit::default()
    }

    fn committed(&self) -> Commit {
        Commit::default()
    }

    fn wake_at(&self, _: Commit, _: &Waker) -> bool {
        false
    }
}

/// A router and the way into it of its first worker.
struct Broker {
    router: Arc<Router>,
    store: Arc<Kept>,
    dispatch: RefCell<Dispatch>,
}

impl Broker {
    fn new(settings: Settings) -> Self {
        let (store, metrics) = (Arc::new(Kept::default()), Arc::new(Registry::default()));
        let router = Router::new(settings, Clock::start(), store.clone(), metrics.clone());
        let dispatch = RefCell::new(router.dispatch(Some(0), metrics.cells()));
        Broker {
            router,
            store,
            dispatch,
        }
    }

    async fn attach(&self, client_id: &str, persistent: bool) -> Result<Attached, AttachError> {
        let request = AttachRequest {
            client_id: &client_id.into(),
            clean_start: false,
            terms: SessionTerms {
                expiry: u32::from(persistent),
                will: None,
            },
            worker: 0,
        };
        self.router.attach(request, &self.dispatch).await
    }

    async fn detach(&self, subscriber: &Arc<Subscriber>, session_expiry: u32) {
        let mut state = SessionState::default();
        state.received.push_back(std::num::NonZeroU16::MIN);
        let departure = Departure {
            state,
            session_expiry,
            will: None,
        };
        let now = self.router.now();
        let left = self
            .router
            .detach(subscriber, departure, now, &self.dispatch);
        left.await;
    }

    fn subscribe(&self, subscriber: &Arc<Subscriber>, text: &str) -> Subscribed {
        let request = SubscribeRequest {
            text,
            subscription: Subscription::new_bounded(text, 10).unwrap(),
            options: SubscriptionOptions {
                qos: Qos::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::SendAtSubscribe,
            },
            identifier: None,
            unchecked: false,
        };
        let dispatch = self.dispatch.borrow();
        self.router.subscribe(subscriber, request, dispatch.cells())
    }

    fn publish(&self, dispatch: &RefCell<Dispatch>, topic: &str, payload: &[u8]) -> Published {
        self.publish_as(dispatch, topic, payload, false)
    }

    fn publish_as(
        &self,
        dispatch: &RefCell<Dispatch>,
        topic: &str,
        payload: &[u8],
        retain: bool,
    ) -> Published {
        let publication = Publication {
            retain,
            ..publication(topic, payload)
        };
        dispatch.borrow_mut().publish(publication)
    }

    fn publish_expired(&self, topic: &str, payload: &[u8]) -> Published {
        let publication = Publication {
            expires: Some(Wall(1)),
            ..publication(topic, payload)
        };
        self.dispatch.borrow_mut().publish(publication)
    }
}

fn publication<'a>(topic: &'a str, payload: &'a [u8]) -> Publication<'a> {
    Publication {
        topic: TopicName::new(topic).unwrap(),
        publisher: 0,
        qos: Qos::AtLeastOnce,
        retain: false,
        expires: None,
        forwarded: &[],
        payload,
        origin: Origin::Anyone,
    }
}

fn queued(subscriber: &Subscriber) -> Vec<Vec<u8>> {
    let mut batch = VecDeque::new();
    subscriber.take(usize::MAX, usize::MAX, &mut batch, Waker::noop());
    let payload = |delivery: dunlin_session::Delivery| delivery.message.payload().to_vec();
    batch.into_iter().map(payload).collect()
}

fn later(now: Now, seconds: u64) -> Now {
    Now {
        monotonic: now.monotonic + std::time::Duration::from_secs(seconds),
        wall: now.wall + std::time::Duration::from_secs(seconds),
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_takers_gave_up_stays_with_its_connection() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", true).await.unwrap().subscriber;
    // The second waits for the same session while the first still does.
    let (one, other) = tokio::join!(broker.attach("a", true), broker.attach("a", true));
    assert_eq!(one.unwrap_err(), AttachError::Busy);
    assert_eq!(other.unwrap_err(), AttachError::Busy);
    broker.detach(&older, 60).await;
    let attached = broker.attach("a", true).await.unwrap();
    assert_eq!(attached.state.unwrap().received.len(), 1);
    assert!(Arc::ptr_eq(&attached.subscriber, &older));
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_several_takers_gets_the_session() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", true).await.unwrap().subscriber;
    let leave = async {
        // Both wait.
        tokio::task::yield_now().await;
        broker.detach(&older, 60).await;
    };
    let (one, other, ()) = tokio::join!(broker.attach("a", true), broker.attach("a", true), leave);
    assert_eq!(one.unwrap_err(), AttachError::Superseded);
    assert_eq!(other.unwrap().state.unwrap().received.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn mqtt_3_1_2_6_a_session_that_ends_with_its_connection_is_not_taken_over() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", false).await.unwrap().subscriber;
    broker.subscribe(&older, "t");
    broker.publish(&broker.dispatch, "t", b"1");
    let (taken, ()) = tokio::join!(broker.attach("a", true), broker.detach(&older, 0));
    let taken = taken.unwrap();
    assert!(taken.state.is_none());
    broker.publish(&broker.dispatch, "t", b"2");
    assert!(queued(&taken.subscriber).is_empty());
    assert_eq!(broker.router.subscriptions(), 0);
    assert_eq!(broker.router.sessions(), 1);
}

#[tokio::test]
async fn a_session_that_the_store_does_not_give_waits_on() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", true).await.unwrap().subscriber;
    broker.detach(&older, 60).await;
    broker.store.fails.store(true, Ordering::Relaxed);
    let refused = broker.attach("a", true).await;
    assert!(matches!(refused, Err(AttachError::Store(_))));
    broker.store.fails.store(false, Ordering::Relaxed);
    let attached = broker.attach("a", true).await.unwrap();
    assert_eq!(attached.state.unwrap().received.len(), 1);
}

#[tokio::test]
async fn a_session_expires_with_its_subscriptions() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", true).await.unwrap().subscriber;
    broker.subscribe(&older, "t");
    broker.detach(&older, 60).await;
    let now = broker.router.now();
    let run = async |now| broker.router.run_due(now, &broker.dispatch).await;
    run(later(now, 59)).await;
    assert_eq!(
        (broker.router.sessions(), broker.router.subscriptions()),
        (1, 1)
    );
    run(later(now, 62)).await;
    assert_eq!(
        (broker.router.sessions(), broker.router.subscriptions()),
        (0, 0)
    );
    assert!(broker.store.sessions.lock().unwrap().is_empty());
    assert!(broker.attach("a", true).await.unwrap().state.is_none());
}

#[tokio::test]
async fn a_taker_is_told_to_the_connection() {
    let broker = Broker::new(Settings::default());
    let older = broker.attach("a", true).await.unwrap().subscriber;
    let told = async {
        let control = older.next_control();
        assert!(
            matches!(&control, Some(Control::TakeOver(_))),
            "{control:?}"
        );
        older.put_back_control(control.unwrap());
        broker.detach(&older, 60).await;
    };
    let (taken, ()) = tokio::join!(broker.attach("a", true), told);
    assert!(taken.is_ok());
}

#[tokio::test]
async fn retained_messages_pass_through_a_queue_of_one() {
    let broker = Broker::new(Settings {
        queue: QueueLimits {
            messages: 1,
            ..Settings::default().queue
        },
        ..Settings::default()
    });
    for (topic, payload) in [("r/1", b"1"), ("r/2", b"2")] {
        broker.publish_as(&broker.dispatch, topic, payload, true);
    }
    let subscriber = broker.attach("a", false).await.unwrap().subscriber;
    let Subscribed::Retained(scan) = broker.subscribe(&subscriber, "r/+") else {
        panic!("retained messages are wanted");
    };
    let wall = broker.router.now().wall;
    let mut rest = broker.router.deliver_retained(scan, &subscriber, wall);
    let mut got = queued(&subscriber);
    // One a step, and one to see that there are no more.
    for _ in 0..2 {
        rest = rest.and_then(|scan| broker.router.deliver_retained(scan, &subscriber, wall));
        got.extend(queued(&subscriber));
    }
    assert_eq!(got, [b"1", b"2"]);
    assert!(rest.is_none());
}

#[tokio::test]
async fn mqtt_4_8_2_mail_to_a_member_that_leaves_goes_to_another() {
    let broker = Broker::new(Settings {
        workers: 2,
        ..Settings::default()
    });
    let leaves = broker.attach("leaves", false).await.unwrap().subscriber;
    let stays = broker.attach("stays", false).await.unwrap().subscriber;
    for member in [&leaves, &stays] {
        broker.subscribe(member, "$share/g/t");
    }
    let elsewhere = broker.router.dispatch(Some(1), Arc::default());
    let elsewhere = RefCell::new(elsewhere);
    for payload in [b"1", b"2"] {
        broker.publish(&elsewhere, "t", payload);
    }
    broker.detach(&leaves, 0).await;
    let mut got = queued(&stays);
    got.sort();
    assert_eq!(got, [b"1", b"2"]);
}

#[tokio::test]
async fn a_shared_message_goes_to_a_member_that_has_room() {
    let broker = Broker::new(Settings {
        queue: QueueLimits {
            messages: 1,
            ..Settings::default().queue
        },
        ..Settings::default()
    });
    let one = broker.attach("one", false).await.unwrap().subscriber;
    let other = broker.attach("other", false).await.unwrap().subscriber;
    for member in [&one, &other] {
        broker.subscribe(member, "$share/g/t");
    }
    for payload in [b"1", b"2"] {
        broker.publish(&broker.dispatch, "t", payload);
    }
    assert_eq!(queued(&other), [b"2"]);
    // It is the first's turn, whose queue is full.
    broker.publish(&broker.dispatch, "t", b"3");
    assert_eq!(queued(&other), [b"3"]);
    assert_eq!(queued(&one), [b"1"]);
}

#[tokio::test]
async fn members_with_a_connection_take_turns_whoever_is_away() {
    let broker = Broker::new(Settings::default());
    let mut members = Vec::new();
    for client_id in ["one", "two", "three", "four"] {
        let member = broker.attach(client_id, true).await.unwrap().subscriber;
        broker.subscribe(&member, "$share/g/t");
        members.push(member);
    }
    for away in [&members[1], &members[2]] {
        broker.detach(away, 60).await;
    }
    for _ in 0..40 {
        broker.publish(&broker.dispatch, "t", b"");
    }
    let queued = |member: &Arc<Subscriber>| member.queued();
    assert_eq!(
        members.iter().map(queued).collect::<Vec<_>>(),
        [20, 0, 0, 20]
    );
    // Without a connection they take turns too.
    for away in [&members[0], &members[3]] {
        broker.detach(away, 60).await;
    }
    for _ in 0..40 {
        broker.publish(&broker.dispatch, "t", b"");
    }
    assert_eq!(
        members.iter().map(queued).collect::<Vec<_>>(),
        [30, 10, 10, 30]
    );
}

#[tokio::test]
async fn what_has_expired_makes_room_in_a_full_queue() {
    let broker = Broker::new(Settings {
        workers: 2,
        queue: QueueLimits {
            messages: 3,
            ..Settings::default().queue
        },
        ..Settings::default()
    });
    let away = broker.attach("away", true).await.unwrap().subscriber;
    broker.subscribe(&away, "t");
    broker.detach(&away, 60).await;
    broker.publish(&broker.dispatch, "t", b"1");
    for _ in 0..2 {
        assert_eq!(broker.publish_expired("t", b"old").full, 0);
    }
    for payload in [b"2", b"3"] {
        assert_eq!(broker.publish(&broker.dispatch, "t", payload).full, 0);
    }
    assert_eq!(broker.publish(&broker.dispatch, "t", b"4").full, 1);
    assert_eq!(queued(&away), [b"1", b"2", b"3"]);
    // Also for those on other threads, once they know that it is full.
    for _ in 0..3 {
        broker.publish_expired("t", b"old");
    }
    let elsewhere = RefCell::new(broker.router.dispatch(Some(1), Arc::default()));
    for payload in [b"5", b"6"] {
        assert_eq!(broker.publish(&elsewhere, "t", payload).full, 0);
    }
    let mail = broker.dispatch.borrow();
    assert!(
        mail.poll_mail(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    elsewhere.borrow_mut().flush();
    assert!(
        mail.poll_mail(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    assert_eq!(queued(&away), [b"5", b"6"]);
}

#[tokio::test]
async fn who_falls_behind_is_waited_for_until_somebody_gives_up() {
    let broker = Broker::new(Settings {
        workers: 2,
        queue: QueueLimits {
            messages: 10,
            ..Settings::default().queue
        },
        ..Settings::default()
    });
    let limits = broker.router.settings().queue;
    let slow = broker.attach("slow", false).await.unwrap().subscriber;
    broker.subscribe(&slow, "t");
    let elsewhere = RefCell::new(broker.router.dispatch(Some(1), Arc::default()));
    let is_crowded = |dispatch| broker.publish(dispatch, "t", b"").crowded.is_some();
    assert!(!is_crowded(&elsewhere));
    assert_eq!(
        [(); 6].map(|()| is_crowded(&broker.dispatch)),
        [false, false, false, false, false, true]
    );
    // Also by those on other threads.
    assert!(is_crowded(&elsewhere));
    assert!(slow.wait_for_room(&limits, Waker::noop()));
    slow.give_up();
    assert!(!is_crowded(&broker.dispatch) && !is_crowded(&elsewhere));
    assert!(!slow.wait_for_room(&limits, Waker::noop()));
    // Who takes what there is has another chance.
    queued(&slow);
    assert_eq!(
        [(); 6].map(|()| is_crowded(&broker.dispatch)).last(),
        Some(&true)
    );
    // So has one whose queue was dropped to save memory; those who waited are told.
    let told = Arc::new(Told::default());
    assert!(slow.wait_for_room(&limits, &told.clone().into()));
    broker
        .router
        .shed_largest_queues(broker.dispatch.borrow().cells());
    assert!(told.0.load(Ordering::Relaxed));
    assert!(!slow.wait_for_room(&limits, Waker::noop()));
    // And one whose queue was full of what has expired.
    for _ in 0..10 {
        broker.publish_expired("t", b"old");
    }
    let told = Arc::new(Told::default());
    assert!(slow.wait_for_room(&limits, &told.clone().into()));
    assert_eq!(broker.publish(&broker.dispatch, "t", b"new").full, 0);
    assert!(told.0.load(Ordering::Relaxed));
}

#[derive(Default)]
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
