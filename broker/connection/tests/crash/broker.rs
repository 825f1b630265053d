//! A broker between two crashes: the shipping router, connections and store, on a faulty disk and a
//! clock that is moved by hand.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dunlin_auth::Access;
use dunlin_connection::{
    AdmissionLimits, Admissions, ConnectionLimits, ListenerAdmissions, ListenerContext, Worker,
    WorkerSettings, serve,
};
use dunlin_log::{CommitError, Durability, FaultyDisk, OpenError, Options};
use dunlin_metrics::Registry;
use dunlin_net::{Accepted, ListenAddress, ListenerSettings, Transport};
use dunlin_router::{Dispatch, Router, Settings};
use dunlin_session::Terms;
use dunlin_store::Disk;
use dunlin_time::{Clock, Hands, Now, Wall};
use tokio::io::DuplexStream;
use tokio::task::{spawn_local, yield_now};

/// Bytes that one direction of a connection holds.
const PIPE_BYTES: usize = 64 * 1024;
/// Small, so that clients often wait for room in it.
const INFLIGHT: u16 = 4;

pub struct Broker {
    pub router: Arc<Router>,
    hands: &'static Hands,
    store: Arc<Disk>,
    worker: Rc<Worker>,
    listener: Arc<ListenerContext>,
    admissions: Arc<ListenerAdmissions>,
    /// The housekeeper's.
    dispatch: RefCell<Dispatch>,
}

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    pub durability: Durability,
    pub segment_bytes: u64,
}

impl Broker {
    /// Starts on what the disk holds; inside of a local set, whose tasks it needs.
    pub fn start(files: &FaultyDisk, keeping: Keeping, wall: Wall) -> Result<Self, OpenError> {
        let options = Options {
            durability: keeping.durability,
            segment_bytes: keeping.segment_bytes,
            low_space_bytes: 0,
            seed: 1,
            ..Options::default()
        };
        let store = Arc::new(Disk::open(Arc::new(files.clone()), options, &mut |_| ())?);
        // Never freed: a clock is one for a process, and a few bytes.
        let hands: &'static Hands = Box::leak(Box::new(Hands::at(wall)));
        let clock = Clock::by_hand(hands);
        let metrics = Arc::new(Registry::default());
        let router = Router::new(Settings::default(), clock, store.clone(), metrics.clone());
        store.restore(&router, clock.now(), &metrics.cells());
        let worker = Worker::new(WorkerSettings {
            number: 0,
            clock,
            router: router.clone(),
            cells: metrics.cells(),
        });
        spawn_local(worker.clone().run());
        Ok(Broker {
            hands,
            store,
            worker,
            listener: listener(),
            admissions: Admissions::new().listener(),
            dispatch: RefCell::new(router.dispatch(None, metrics.cells())),
            router,
        })
    }

    pub fn now(&self) -> Now {
        self.hands.now()
    }

    /// A client's end of a new connection.
    pub fn accept(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let limits = AdmissionLimits {
            connections: 1000,
            connections_per_address: None,
        };
        let admission = self.admissions.admit(limits, None, None);
        let admission = admission.expect("fewer connections than the limit");
        let (worker, listener) = (self.worker.clone(), self.listener.clone());
        let accepted = Accepted::from_stream(near);
        spawn_local(serve(worker, listener, accepted, admission));
        far
    }

    /// Lets its tasks run a little.
    pub async fn run(&self, turns: u64) {
        let full = self.store.full().is_some();
        self.router.set_short_of_storage(full);
        for _ in 0..turns {
            yield_now().await;
        }
    }

    /// Time passes, and what is due happens.
    pub async fn pass(&self, duration: Duration) {
        self.hands.advance(duration);
        tokio::time::advance(duration).await;
        self.router.run_due(self.now(), &self.dispatch).await;
        self.dispatch.borrow_mut().flush();
        self.router.sweep_retained(self.now(), None);
    }

    /// Writes and syncs one batch; false if there is none, or no room.
    pub fn commit(&self) -> Result<bool, CommitError> {
        self.store.commit()
    }

    /// One step of compaction; false if there is nothing to do, or the disk failed.
    pub fn compact(&self) -> bool {
        self.store.compact().unwrap_or(false)
    }

    /// Whether all that was recorded is committed.
    pub fn is_settled(&self) -> bool {
        self.router.committed() >= self.router.recorded()
    }
}

fn listener() -> Arc<ListenerContext> {
    let address = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
    let transport = Transport::load(&ListenerSettings::new(address));
    let terms = Terms {
        maximum_inflight: INFLIGHT,
        ..Terms::default()
    };
    let limits = ConnectionLimits {
        log_connections: false,
        ..ConnectionLimits::default()
    };
    Arc::new(ListenerContext {
        name: "test".into(),
        transport: transport.expect("no layers"),
        terms: Arc::new(terms).into(),
        access: Arc::new(Access::open()).into(),
        limits: Arc::new(limits).into(),
    })
}
