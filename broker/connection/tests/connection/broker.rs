//! A broker on this thread, with a store that commits when it is told to.

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
use dunlin_metrics::Registry;
use dunlin_net::{Accepted, ListenAddress, Listener, ListenerSettings, Transport};
use dunlin_router::ports::{Change, Commit, Reply, Store, StoreError, Urgency};
use dunlin_router::{QueueLimits, Router, Settings};
use dunlin_session::{SessionState, Terms};
use dunlin_store::Memory;
use dunlin_time::{Clock, Hands, Wall};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// Says that a change is committed when it is told to.
#[derive(Default)]
pub struct Slow {
    recorded: AtomicU64,
    committed: AtomicU64,
    open: Memory,
    waiting: Mutex<Vec<Waker>>,
}

impl Slow {
    /// Commits everything.
    pub fn commit(&self) {
        let recorded = self.recorded.load(Ordering::SeqCst);
        self.committed.store(recorded, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Store for Slow {
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>> {
        self.open.attach(client_id)
    }

    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>> {
        self.open.detach(client_id, state)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn record(&self, changes: &[Change<'_>], _: Urgency) -> Commit {
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
pub struct Broker {
    pub router: Arc<Router>,
    pub store: Arc<Slow>,
    pub metrics: Arc<Registry>,
    pub address: std::net::SocketAddr,
    worker: Rc<Worker>,
    context: Arc<ListenerContext>,
}

impl Broker {
    pub fn start() -> Self {
        Self::guarded_by(Access::open())
    }

    pub fn guarded_by(access: Access) -> Self {
        Self::new(access, Clock::start())
    }

    /// One whose time passes by hand.
    pub fn by_hand() -> (Self, &'static Hands) {
        // Never freed: a clock is one for a process, and a few bytes.
        let hands: &'static Hands = Box::leak(Box::new(Hands::at(Wall(0))));
        (Self::new(Access::open(), Clock::by_hand(hands)), hands)
    }

    fn new(access: Access, clock: Clock) -> Self {
        let metrics = Arc::new(Registry::default());
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
            access: Arc::new(access).into(),
            limits: Arc::new(ConnectionLimits::default()).into(),
        });
        let listener = Listener::bind(&settings).unwrap();
        let ListenAddress::Tcp(address) = *listener.local_address() else {
            unreachable!("it is bound to TCP");
        };
        spawn_local(worker.clone().run());
        spawn_local(accept(listener, worker.clone(), context.clone()));
        Broker {
            router,
            store,
            metrics,
            address,
            worker,
            context,
        }
    }

    /// The client's end of a connection by unix socket.
    pub fn unix(&self) -> UnixStream {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let accepted = Accepted::try_from(near).unwrap();
        serve_here(&self.worker, &self.context, accepted);
        UnixStream::from_std(far).unwrap()
    }

    /// A client in its session.
    pub async fn client(&self, connect: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(connect).await.unwrap();
        assert_eq!(read(&mut stream, 4).await, [0x20, 2, 0, 0]);
        stream
    }
}

async fn accept(mut listener: Listener, worker: Rc<Worker>, context: Arc<ListenerContext>) {
    loop {
        let accepted = listener.accept().await.unwrap();
        serve_here(&worker, &context, accepted);
    }
}

fn serve_here(worker: &Rc<Worker>, context: &Arc<ListenerContext>, accepted: Accepted) {
    let limits = AdmissionLimits {
        connections: 1,
        connections_per_address: None,
    };
    let admission = Admissions::new().listener().admit(limits, None, None);
    let (worker, context) = (worker.clone(), context.clone());
    spawn_local(serve(worker, context, accepted, admission.unwrap()));
}

/// Long enough for what would come to come.
pub async fn nothing_comes(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
    assert!(read.is_err(), "{byte:x?}");
}

pub const PATIENCE: Duration = Duration::from_secs(10);

pub async fn read(stream: &mut (impl AsyncRead + Unpin), bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    timeout(PATIENCE, stream.read_exact(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    buffer
}
