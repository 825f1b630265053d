//! One thread with its connections.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use dunlin_codec::ReasonCode;
use dunlin_metrics::{Cells, Counter};
use dunlin_router::{Dispatch, Router};
use dunlin_session::{Delivery, Failure};
use dunlin_time::{Clock, Now};

use crate::timer::Timers;

/// What a worker is told at start.
#[derive(Clone)]
pub struct WorkerSettings {
    /// Below the router's number of workers.
    pub number: u16,
    /// The process' clock.
    pub clock: Clock,
    /// Where messages go.
    pub router: Arc<Router>,
    /// This worker's counts.
    pub cells: Arc<Cells>,
}

/// One thread's share of the broker: what its connections use in turn. All of it is borrowed for
/// a turn at most, never across an await.
pub struct Worker {
    /// Its number.
    pub number: u16,
    pub(crate) clock: Clock,
    pub(crate) router: Arc<Router>,
    pub(crate) cells: Arc<Cells>,
    pub(crate) dispatch: RefCell<Dispatch>,
    pub(crate) timers: Timers,
    /// Every connection's reads go here first.
    pub(crate) input: RefCell<Box<[u8]>>,
    /// Every connection's output is gathered here.
    pub(crate) output: RefCell<Vec<u8>>,
    /// Deliveries on their way from an inbox to the output.
    pub(crate) batch: RefCell<VecDeque<Delivery>>,
    connections: Cell<usize>,
}

/// Bytes read at once: a turn handles what one read gave.
const READ: usize = 64 * 1024;

impl Worker {
    /// A worker for the current thread.
    pub fn new(settings: WorkerSettings) -> Rc<Self> {
        let WorkerSettings {
            number,
            clock,
            router,
            cells,
        } = settings;
        Rc::new(Worker {
            number,
            clock,
            dispatch: RefCell::new(router.dispatch(Some(number), cells.clone())),
            router,
            cells,
            timers: Timers::new(clock),
            input: RefCell::new(vec![0; READ].into()),
            output: RefCell::default(),
            batch: RefCell::default(),
            connections: Cell::new(0),
        })
    }

    /// The work of the thread beside its connections: mail from other workers, timers. Never ends.
    pub async fn run(self: Rc<Self>) {
        let worker = self.clone();
        tokio::task::spawn_local(async move { worker.timers.run().await });
        loop {
            poll_fn(|context| self.dispatch.borrow().poll_mail(context)).await;
        }
    }

    /// Drops cached lookups that are out of date, a part at a time; now and then.
    pub fn sweep(&self) {
        self.dispatch.borrow_mut().sweep();
    }

    /// Connections on this worker that have a session.
    pub fn connections(&self) -> usize {
        self.connections.get()
    }

    pub(crate) fn count_connection(&self, change: isize) {
        self.connections
            .set(self.connections.get().saturating_add_signed(change));
    }

    /// Packets may be long, and clients many: while the process is short of memory, a connection
    /// that keeps more than a little of an incomplete packet is closed.
    pub(crate) fn check_memory(&self, kept: usize) -> Result<(), Failure> {
        const KEPT_MAX: usize = 16 * 1024;
        if kept <= KEPT_MAX || !self.router.is_short_of_memory() {
            return Ok(());
        }
        self.cells.add(Counter::ConnectionsShortOfMemory, 1);
        Err(Failure::new(
            ReasonCode::ServerBusy,
            "the server is short of memory (limits.memory)",
        ))
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }
}
