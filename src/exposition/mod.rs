//! `--metrics`: how a run stands, for Prometheus. Families are built from the last snapshot when somebody asks; what only a histogram over
//! the whole run can tell is added up once a second, so that nothing is counted on the path of a message.

mod address;
mod families;
mod family;
mod operations;
mod page;
mod server;
mod times;

pub use address::parse_address;
pub use page::metrics_page;

use crate::report::Verdict;
use families::families;
use family::Family;
use load_metrics::Snapshot;
use prometheus::TextEncoder;
use server::Server;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use times::TimesOfRun;

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("serve metrics on {address}: {source}; --metrics takes another port, or port 0 for one that is free")]
pub struct ExpositionError {
    address: SocketAddr,
    source: io::Error,
}

/// What tells one run from another.
#[derive(Clone, Debug)]
pub struct RunLabels {
    pub scenario: String,
    /// The name of its results folder.
    pub run: String,
    pub seed: u64,
    pub version: &'static str,
}

/// How the run stands, as far as it is known.
#[derive(Clone, Default)]
struct Standing {
    run: Option<Arc<RunLabels>>,
    /// As it would be if the run ended now.
    verdict: Option<Verdict>,
    snapshot: Option<Arc<Snapshot>>,
    /// How many workers are in each state; empty where the run has none.
    workers: BTreeMap<&'static str, u64>,
    times: Arc<TimesOfRun>,
}

/// What the run tells, and a scrape reads.
#[derive(Default)]
struct Shared(Mutex<Standing>);

impl Shared {
    /// Held for a few copies of pointers.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the metrics of a run, from a thread of its own, until it is dropped.
pub struct Exposition {
    shared: Arc<Shared>,
    server: Server,
}

impl Exposition {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(address: SocketAddr) -> Result<Self, ExpositionError> {
        let failed = |source| ExpositionError { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let (standing, families) = (Arc::clone(&shared), families());
        let server = Server::start(listener, move || render(&families, &standing.lock().clone())).map_err(failed)?;
        Ok(Self { shared, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.server.address(), server::PATH)
    }

    /// The run has a name.
    pub fn begin(&self, run: RunLabels) {
        self.shared.lock().run = Some(Arc::new(run));
    }

    /// A second is over; `verdict` is the one that the run would have if it ended now.
    pub fn second(&self, snapshot: &Arc<Snapshot>, verdict: Verdict) {
        let mut standing = self.shared.lock();
        let times = Arc::make_mut(&mut standing.times);
        snapshot.times.iter().for_each(|tagged| times.add(tagged));
        standing.snapshot = Some(Arc::clone(snapshot));
        standing.verdict = Some(verdict);
    }

    /// How many workers of the run are in each state.
    pub fn workers(&self, states: BTreeMap<&'static str, u64>) {
        self.shared.lock().workers = states;
    }

    /// The last word on the run.
    pub fn conclude(&self, verdict: Verdict) {
        self.shared.lock().verdict = Some(verdict);
    }
}

fn render(families: &[Family], standing: &Standing) -> String {
    let read: Vec<_> = families.iter().filter_map(|family| family.read(standing)).collect();
    TextEncoder::new().encode_to_string(&read).expect("a family that is read has samples, and memory takes them")
}
