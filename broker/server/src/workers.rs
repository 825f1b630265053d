//! One thread for each worker.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dunlin_connection::{Admission, ListenerContext, Worker, WorkerSettings, serve};
use dunlin_metrics::Registry;
use dunlin_net::Accepted;
use dunlin_router::Router;
use dunlin_time::Clock;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};

use crate::allocator;

/// Sockets on their way to one worker.
const ARRIVALS: usize = 1024;

/// Turns of connections between two looks at the sockets. Whoever is ready takes its turn first:
/// what comes meanwhile makes larger batches, and fewer system calls.
const TURNS: u32 = 1024;

/// A socket for a worker.
pub struct Arrival {
    /// The listener that accepted it.
    pub listener: Arc<ListenerContext>,
    /// The socket.
    pub accepted: Accepted,
    /// Its place among the counted connections.
    pub admission: Admission,
}

/// The threads that own connections.
pub struct Workers {
    senders: Vec<mpsc::Sender<Arrival>>,
    next: usize,
}

/// A running worker: ends when its [`Workers`] are dropped.
pub type Thread = JoinHandle<()>;

impl Workers {
    /// Starts one thread for each of the router's workers.
    ///
    /// # Errors
    /// The system gave no thread, or no runtime.
    pub async fn start(
        router: &Arc<Router>,
        clock: Clock,
        metrics: &Registry,
    ) -> io::Result<(Workers, Vec<Thread>)> {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for number in 0..router.settings().workers {
            let (sender, receiver) = mpsc::channel(ARRIVALS);
            let (ready, started) = oneshot::channel();
            let settings = WorkerSettings {
                number,
                clock,
                router: router.clone(),
                cells: metrics.cells(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || run(settings, receiver, ready))?;
            started
                .await
                .unwrap_or_else(|_| Err(io::Error::other("a worker ended as it began")))?;
            senders.push(sender);
            threads.push(thread);
        }
        Ok((Workers { senders, next: 0 }, threads))
    }

    /// Gives a socket to the next worker; waits while that has too many.
    pub async fn assign(&mut self, arrival: Arrival) {
        self.next = (self.next + 1) % self.senders.len();
        // A worker ends after the acceptors only: then the socket is closed.
        let _ = self.senders[self.next].send(arrival).await;
    }
}

impl Workers {
    /// Gives a socket to the worker of that number, counted around.
    ///
    /// # Errors
    /// It has too many just now, or ends.
    pub fn offer(&self, number: usize, arrival: Arrival) -> io::Result<()> {
        let sender = &self.senders[number % self.senders.len()];
        let sent = sender.try_send(arrival);
        sent.map_err(|error| io::Error::other(error.to_string()))
    }
}

impl Clone for Workers {
    fn clone(&self) -> Self {
        Workers {
            senders: self.senders.clone(),
            next: self.next,
        }
    }
}

fn run(
    settings: WorkerSettings,
    arrivals: mpsc::Receiver<Arrival>,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TURNS)
        .global_queue_interval(TURNS)
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let router = settings.router.clone();
    let worker = Worker::new(settings);
    runtime.block_on(async {
        tokio::task::spawn_local(tidy(worker.clone(), router));
        receive(worker, arrivals).await;
    });
}

/// Between two looks at what a worker keeps for later.
const TIDY_TICK: Duration = Duration::from_millis(250);

/// Keeps caches small, and memory that is free with the system while the process has too much.
async fn tidy(worker: Rc<Worker>, router: Arc<Router>) {
    loop {
        tokio::time::sleep(TIDY_TICK).await;
        worker.sweep();
        if router.is_short_of_memory() {
            allocator::give_back();
        }
    }
}

async fn receive(worker: Rc<Worker>, mut arrivals: mpsc::Receiver<Arrival>) {
    tokio::task::spawn_local(worker.clone().run());
    while let Some(arrival) = arrivals.recv().await {
        let Arrival {
            listener,
            accepted,
            admission,
        } = arrival;
        tokio::task::spawn_local(serve(worker.clone(), listener, accepted, admission));
    }
    while worker.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
