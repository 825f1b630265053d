//! Connections over real sockets: what their turns must not forget. Packets are bytes of MQTT 3.1.1.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use dunlin_auth::Access;
use dunlin_connection::{
    AdmissionLimits, Admissions, ConnectionLimits, ListenerContext, Worker, WorkerSettings, serve,
};
use dunlin_metrics::{Counter, Registry};
use dunlin_net::{ListenAddress, Listener, ListenerSettings, Transport};
use dunlin_router::ports::{Change, Commit, Reply, Store, StoreError, Urgency};
use dunlin_router::{QueueLimits, Router, Settings};
use dunlin_session::{SessionState, Terms};
use dunlin_time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::timeout;

/// Says that a change is committed when it is told to.
#[derive(Default)]
struct Slow {
    recorded: AtomicU64,
    committed: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
    /// The kinds of all changes.
    changes: Mutex<Vec<String>>,
}

impl Slow {
    /// Commits everything.
    fn commit(&self) {
        let recorded = self.recorded.load(Ordering::SeqCst);
        self.committed.store(recorded, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Store for Slow {
    fn attach(&self, _: &str) -> Reply<Result<Option<SessionState>, StoreError>> {
        Reply::Now(Ok(None))
    }

    fn detach(&self, _: &str, _: SessionState) -> Reply<Result<(), StoreError>> {
        Reply::Now(Ok(()))
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn record(&self, changes: &[Change<'_>], _: Urgency) -> Commit {
        let kind = |change: &Change<'_>| {
            let text = format!("{change:?}");
            text.split(' ').next().unwrap_or_default().to_owned()
        };
        let mut all = self.changes.lock().unwrap();
        all.extend(changes.iter().map(kind));
        for change in changes {
            if let Change::Published { message, .. } = change {
                message.set_stored_as(NonZeroU64::MIN);
            }
        }
        Commit(self.recorded.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn recorded(&self) -> Commit {
        Commit(self.recorded.load(Ordering::SeqCst))
    }

    fn committed(&self) -> Commit {
        Commit(self.committed.load(Ordering::SeqCst))
    }

    fn wake_at(&self, commit: Commit, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        if self.committed() >= commit {
            return false;
        }
        waiting.push(waker.clone());
        true
    }
}

/// A worker on this thread, with a listener.
struct Broker {
    router: Arc<Router>,
    store: Arc<Slow>,
    metrics: Arc<Registry>,
    address: std::net::SocketAddr,
}

impl Broker {
    fn start() -> Self {
        let (metrics, clock) = (Arc::new(Registry::default()), Clock::start());
        let settings = Settings {
            queue: QueueLimits {
                messages: 100,
                ..Settings::default().queue
            },
            maximum_subscriptions: 3,
            ..Settings::default()
        };
        let store = Arc::new(Slow::default());
        let router = Router::new(settings, clock, store.clone(), metrics.clone());
        let worker = Worker::new(WorkerSettings {
            number: 0,
            clock,
            router: router.clone(),
            cells: metrics.cells(),
        });
        let settings = ListenerSettings::new(ListenAddress::Tcp(([127, 0, 0, 1], 0).into()));
        let terms = Terms {
            maximum_inflight: 1,
            ..Terms::default()
        };
        let context = Arc::new(ListenerContext {
            name: "test".into(),
            transport: Transport::load(&settings).unwrap(),
            terms: Arc::new(terms).into(),
            access: Arc::new(Access::open()).into(),
            limits: Arc::new(ConnectionLimits::default()).into(),
        });
        let listener = Listener::bind(&settings).unwrap();
        let ListenAddress::Tcp(address) = *listener.local_address() else {
            unreachable!("it is bound to TCP");
        };
        spawn_local(worker.clone().run());
        spawn_local(accept(listener, worker, context));
        Broker {
            router,
            store,
            metrics,
            address,
        }
    }

    /// A client in its session.
    async fn client(&self, connect: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(connect).await.unwrap();
        assert_eq!(read(&mut stream, 4).await, [0x20, 2, 0, 0]);
        stream
    }
}

async fn accept(mut listener: Listener, worker: Rc<Worker>, context: Arc<ListenerContext>) {
    let admissions = Admissions::new().listener();
    let limits = AdmissionLimits {
        connections: 100,
        connections_per_address: None,
    };
    loop {
        let accepted = listener.accept().await.unwrap();
        let admission = admissions.admit(limits, None, None).unwrap();
        spawn_local(serve(worker.clone(), context.clone(), accepted, admission));
    }
}

/// Long enough for what would come to come.
async fn nothing_comes(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
    assert!(read.is_err(), "{byte:x?}");
}

const PATIENCE: Duration = Duration::from_secs(10);

async fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    timeout(PATIENCE, stream.read_exact(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    buffer
}

/// A client with this one-letter id, Clean Session, and nothing else.
fn connect(id: u8) -> [u8; 15] {
    [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, id]
}

/// The same with the will "w" on topic "w".
fn connect_with_will(id: u8) -> [u8; 21] {
    [
        0x10, 19, 0, 4, b'M', b'Q', b'T', b'T', 4, 6, 0, 0, 0, 1, id, 0, 1, b'w', 0, 1, b'w',
    ]
}

/// To the topic "t" with QoS 1, and its SUBACK.
const SUBSCRIBE: [u8; 8] = [0x82, 6, 0, 1, 0, 1, b't', 1];
const SUBACK: [u8; 5] = [0x90, 3, 0, 1, 1];

#[tokio::test]
async fn what_waits_for_room_is_not_lost_when_its_client_leaves() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        let mut publisher = broker.client(&connect_with_will(b'p')).await;
        // One is sent and never acknowledged; the queue is crowded from the 51st on.
        let mut bytes = Vec::new();
        for id in 1..=80 {
            bytes.extend([0x32, 6, 0, 1, b't', 0, id, id]);
        }
        bytes.extend([0xE0, 0]);
        publisher.write_all(&bytes).await.unwrap();
        publisher.shutdown().await.unwrap();
        timeout(PATIENCE, async {
            while broker.router.session("p").is_some() {
                yield_now().await;
            }
        })
        .await
        .unwrap();
        let queued = broker.router.session("s").unwrap().queued();
        assert!((79..=80).contains(&queued), "{queued}");
        assert_eq!(broker.metrics.total(Counter::WillsPublished), 0);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_late_acknowledgement_leaves_the_connection_awake() {
    let run = async {
        let broker = Broker::start();
        let mut subscriber = broker.client(&connect(b's')).await;
        subscriber.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut subscriber, 5).await, SUBACK);
        // Retained: its acknowledgement waits for the store.
        let retained = [0x33, 6, 0, 1, b'r', 0, 7, b'x'];
        subscriber.write_all(&retained).await.unwrap();
        nothing_comes(&mut subscriber).await;
        broker.store.commit();
        assert_eq!(read(&mut subscriber, 4).await, [0x40, 2, 0, 7]);
        let mut publisher = broker.client(&connect(b'p')).await;
        publisher
            .write_all(&[0x30, 4, 0, 1, b't', b'y'])
            .await
            .unwrap();
        assert_eq!(read(&mut subscriber, 6).await, [0x30, 4, 0, 1, b't', b'y']);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_filter_subscribed_without_end_is_refused_in_the_end() {
    let run = async {
        let broker = Broker::start();
        let mut client = broker.client(&connect(b's')).await;
        client.write_all(&SUBSCRIBE).await.unwrap();
        assert_eq!(read(&mut client, 5).await, SUBACK);
        // Its window is full: no retained messages are looked for.
        client
            .write_all(&[0x32, 6, 0, 1, b't', 0, 7, b'x'])
            .await
            .unwrap();
        let both = read(&mut client, 4 + 8).await;
        assert_eq!(both, [0x40, 2, 0, 7, 0x32, 6, 0, 1, b't', 0, 1, b'x']);
        let mut again = vec![0x82, 2 + 4 * 5, 0, 2];
        again.extend([0, 1, b't', 1].repeat(5));
        client.write_all(&again).await.unwrap();
        assert_eq!(
            read(&mut client, 9).await,
            [0x90, 7, 0, 2, 1, 1, 1, 0x80, 0x80]
        );
    };
    LocalSet::new().run_until(run).await;
}
