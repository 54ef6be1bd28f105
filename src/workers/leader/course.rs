//! The run from its start to the last word of its last worker.

use super::barrier::{self, Start};
use super::folders::{SliceFolder, TakeError};
use super::inbox::Delivery;
use super::live::Live;
use super::local::folder_name;
use super::outcome::Conducted;
use super::outputs::Outputs;
use super::records::Records;
use super::site::{Preparation, RunEnd, Site};
use super::table::{Change, Ending, Row, Stage, Table};
use super::{LeadError, LeadOptions, OnLost, default_run};
use crate::merge::{Service, WORKERS_FOLDER, WholeRun, bounds};
use crate::preflight;
use crate::report::{Manifest, Mode, ReportError, ResultsWriter, ShardClock, ShardTotals, decode_record};
use crate::results_folder::{RunsOn, manifest};
use crate::roster::Roster;
use crate::run::hosting::Hosting;
use crate::run::jobs::run_id::with_run_id;
use crate::run::prediction::Prediction;
use crate::run::ui::Ui;
use crate::scenario::plan::{EndWhen, Plan};
use crate::slice::Slice;
use crate::stop::StopRequests;
use crate::verdict::{End, so_far};
use crate::workers::TICK;
use crate::workers::message::{Order, SentFile, WorkerEvent};
use crate::workload::events::back_since;
use bytes::Bytes;
use host::clock;
use load_metrics::Snapshot;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Who was told to abort has ended by then.
const ABORT_LIMIT: Duration = Duration::from_secs(15);

/// Leads the run from its workers' first word to their last.
///
/// # Errors
/// When it did not begin.
pub(super) async fn conduct(
    options: &LeadOptions,
    roster: &Roster,
    writer: &mut ResultsWriter,
    outputs: Outputs<'_>,
    stop: &mut StopRequests,
) -> Result<Conducted, LeadError> {
    let dir = writer.dir().to_owned();
    let mut table = Table::new(options.slices, clock::mono());
    let (default, jobs_id) = default_run();
    let run = options.run.clone().unwrap_or(default);
    let plan = &with_run_id(options.plan.clone(), &jobs_id).map_err(LeadError::failed)?;
    let prediction = Prediction::start(plan, roster, &dir, true);
    // What is predicted is in the folder, from where it is compared with the whole run.
    let predicted = async { Ok(prediction.made().await) };
    let preparation = tokio::select! {
        found = async { tokio::try_join!(Preparation::find(options, run, roster, &dir, outputs.ui), predicted) } => found?.0,
        () = stop.next() => return Err(LeadError::Interrupted),
    };
    let mut site = Site::bring_up(preparation, options, roster, &jobs_id, &dir, outputs.ui).await?;
    let start = match barrier::pass(&mut site, &mut table, options.wait, outputs, stop).await {
        Ok(start) => start,
        Err(error) => {
            site.take_down(RunEnd::NotBegun).await;
            return Err(error);
        }
    };
    let mut endpoint = site.endpoint.take();
    let hosting =
        endpoint.as_mut().map(|endpoint| endpoint.host(plan, roster, start.origin)).transpose().map_err(LeadError::Failed);
    let led = Led { options, plan, roster, jobs_id: &jobs_id };
    let (conducted, end_of_run) = match hosting.and_then(|hosting| Course::begin(led, hosting, &table, &dir, start)) {
        Ok(mut course) => {
            let mut end = course.run(&mut site, &mut table, writer, outputs, stop).await;
            if let Err(error) = &end {
                outputs.ui.tell("the workers drain");
                site.give_up(Order::Drain, error).await;
            }
            let flushed = course.folders.iter_mut().try_for_each(SliceFolder::flush);
            end = end.and_then(|end| flushed.map(|()| end).map_err(LeadError::failed));
            let end_of_run = match &end {
                Err(_) => RunEnd::Failed,
                Ok(_) if table.rows().iter().all(|row| matches!(row.stage, Stage::Ended(_))) => RunEnd::Complete,
                Ok(_) => RunEnd::Over,
            };
            let folders = course.folders.iter().map(|folder| folder.dir().to_owned()).collect();
            (Ok(Conducted { end, findings: table.findings(), clocks: clocks(&table), folders }), end_of_run)
        }
        Err(error) => {
            site.give_up(Order::Abort, &error).await;
            (Err(error), RunEnd::NotBegun)
        }
    };
    site.endpoint = endpoint;
    site.take_down(end_of_run).await;
    conducted
}

fn clocks(table: &Table) -> BTreeMap<u32, ShardClock> {
    let reading = |row: &Row| ShardClock {
        offset_ms: row.clock.offset_us as f64 / 1e3,
        uncertainty_ms: row.clock.uncertainty_us as f64 / 1e3,
    };
    (0..).zip(table.rows().iter().map(reading)).collect()
}

/// What is led.
#[derive(Clone, Copy)]
struct Led<'a> {
    options: &'a LeadOptions,
    /// With the ids that its jobs have in this run.
    plan: &'a Plan,
    roster: &'a Roster,
    jobs_id: &'a str,
}

struct Course<'a> {
    options: &'a LeadOptions,
    plan: &'a Plan,
    /// Of an endpoint of the run's own.
    hosting: Option<Hosting<'a>>,
    folders: Vec<SliceFolder>,
    live: Live,
    records: Records,
    /// How the run stood after its last second.
    last: Option<Arc<Snapshot>>,
    /// Last words whose files are not all here.
    endings: BTreeMap<u32, Ending>,
    /// Since when the server has been away.
    away_since: Option<Instant>,
    /// When the workers were told to abort.
    aborted: Option<Instant>,
    /// Why the run is ended early, where nobody asked for it.
    early: Option<String>,
    /// Why it cannot go on.
    failed: Option<String>,
}

impl<'a> Course<'a> {
    fn begin(led: Led<'a>, hosting: Option<Hosting<'a>>, table: &Table, dir: &Path, start: Start) -> Result<Self, LeadError> {
        let Led { options, plan, roster, jobs_id } = led;
        let scenario = options.plan.to_toml();
        let mut folders = Vec::new();
        for (row, index) in table.rows().iter().zip(0..) {
            let slice: Slice = format!("{index}/{}", options.slices).parse().map_err(LeadError::Failed)?;
            let shard = ShardTotals {
                slice,
                start_at: start.at.rfc3339(),
                run_id: Some(jobs_id.to_owned()),
                limit_reached: false,
                uncreated: Vec::new(),
                failed: None,
            };
            let host = row.facts.clone().unwrap_or_else(preflight::facts);
            let on = RunsOn { mode: Mode::Run, host, shards: row.threads, shard: Some(shard) };
            // What was told has no process, whatever becomes of the worker's.
            let manifest = Manifest { pid: 0, ..manifest(&options.plan, &on) };
            let folder = SliceFolder::create(&dir.join(WORKERS_FOLDER).join(folder_name(index)), &manifest, &scenario);
            folders.push(folder.map_err(LeadError::failed)?);
        }
        let threads: Vec<usize> = table.rows().iter().map(|row| row.threads).collect();
        let service = hosting.as_ref().map(|_| Service::open(dir));
        let whole = WholeRun::new(plan, roster, start.origin, (&threads, preflight::facts().cores), service);
        Ok(Self {
            options,
            plan,
            hosting,
            folders,
            live: Live::new(whole, options.slices as usize),
            records: Records::default(),
            last: None,
            endings: BTreeMap::new(),
            away_since: None,
            aborted: None,
            early: None,
            failed: None,
        })
    }

    /// Until nothing more will come; how the run came to its end, where its workers do not tell.
    async fn run(
        &mut self,
        site: &mut Site,
        table: &mut Table,
        writer: &mut ResultsWriter,
        outputs: Outputs<'_>,
        stop: &mut StopRequests,
    ) -> Result<Option<End>, LeadError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_asked = false;
        while !table.is_over() {
            tokio::select! {
                // What waits to be taken in comes before anybody is judged by what was heard of them.
                biased;
                () = stop.next() => {
                    if std::mem::replace(&mut was_asked, true) {
                        site.heartbeat.order(Order::Abort);
                        self.aborted.get_or_insert_with(Instant::now);
                    } else {
                        outputs.ui.tell("interrupted: the workers drain; once more to stop now");
                        self.order_drain(site);
                    }
                }
                hosted = hosted(self.hosting.as_mut(), outputs.ui) => {
                    if let Err(why) = hosted {
                        self.fail(site, why, outputs);
                    }
                }
                delivery = site.inbox.next() => {
                    self.take(&delivery, table, outputs).map_err(LeadError::failed)?;
                    delivery.done().await;
                }
                _ = tick.tick() => self.look(site, table, outputs)?,
            }
            while let Some(snapshot) = self.live.poll(table).map_err(LeadError::failed)? {
                self.show(&snapshot, table, writer, outputs).map_err(LeadError::failed)?;
                self.pass_on(snapshot, site, outputs);
            }
            if self.aborted.is_some_and(|aborted| aborted.elapsed() >= ABORT_LIMIT) {
                table.give_up();
            }
        }
        // The end of the last one came without a second.
        outputs.workers(&self.live.workers(table));
        Ok(match (self.failed.take(), was_asked, self.early.take()) {
            (Some(why), ..) => Some(End::Failed(why)),
            (None, true, _) => Some(End::Interrupted),
            (None, false, early) => early.map(End::Early),
        })
    }

    /// What only the whole shows: that everybody is back from an event, and what each worker waits for.
    fn pass_on(&mut self, snapshot: Arc<Snapshot>, site: &Site, outputs: Outputs<'_>) {
        let before = self.last.as_ref().map_or(&[][..], |last| &last.events);
        back_since(before, &snapshot.events).for_each(|words| outputs.ui.tell(&words));
        if self.live.is_connected {
            site.heartbeat.connected();
            self.hosting.iter_mut().for_each(Hosting::connected);
        }
        if let EndWhen::ExecutionsDone { expect: Some(expect) } = self.plan.end.when
            && snapshot.executions.terminal() >= expect
        {
            site.heartbeat.met();
        }
        self.last = Some(snapshot);
    }

    fn order_drain(&mut self, site: &Site) {
        site.heartbeat.order(Order::Drain);
        self.hosting.iter_mut().for_each(Hosting::drain);
    }

    /// The run cannot go on: its workers end at once.
    fn fail(&mut self, site: &Site, why: String, outputs: Outputs<'_>) {
        outputs.ui.tell(&format!("the run cannot {why}"));
        site.heartbeat.order(Order::Abort);
        self.aborted.get_or_insert_with(Instant::now);
        self.hosting = None;
        self.failed = Some(why);
    }

    fn show(
        &self,
        snapshot: &Arc<Snapshot>,
        table: &Table,
        writer: &mut ResultsWriter,
        outputs: Outputs<'_>,
    ) -> Result<(), ReportError> {
        writer.second(snapshot)?;
        outputs.workers(&self.live.workers(table));
        outputs.ui.second(snapshot);
        if let Some(exposition) = outputs.exposition {
            exposition.second(snapshot, so_far(snapshot, writer.findings()));
        }
        Ok(())
    }

    /// Takes in what a worker tells. What is not as a worker tells it is the end of its slice, and of nothing else.
    fn take(&mut self, delivery: &Delivery, table: &mut Table, outputs: Outputs<'_>) -> Result<(), ReportError> {
        let slice = delivery.slice;
        let Some(row) = table.rows().get(slice as usize).filter(|row| row.is_heeded()) else { return Ok(()) };
        let has_ended = row.is_over();
        let taken = match &delivery.event {
            Ok((event, body)) => self.take_word(slice, (event, body), table, outputs),
            Err(why) => Err(TakeError::Unfit(format!("what it sends cannot be used: {why}"))),
        };
        match taken {
            Ok(()) => Ok(()),
            Err(TakeError::Disk(error)) => Err(error),
            Err(TakeError::Unfit(_)) if has_ended => Ok(()),
            Err(TakeError::Unfit(why)) => {
                let slices = table.rows().len();
                outputs.ui.announce(&format!("fleetsim: the worker of slice {slice}/{slices} has no results: {why}"));
                self.records.forget(slice);
                self.folders[slice as usize].discard();
                table.failed(slice, why);
                Ok(())
            }
        }
    }

    fn take_word(
        &mut self,
        slice: u32,
        (event, body): (&WorkerEvent, &Bytes),
        table: &mut Table,
        outputs: Outputs<'_>,
    ) -> Result<(), TakeError> {
        let now = clock::mono();
        match event {
            WorkerEvent::Second { second, part } => {
                if table.wants(slice, *second, now).map_err(TakeError::Unfit)?
                    && let Some(record) = self.records.take(slice, *second, *part, body).map_err(TakeError::Unfit)?
                {
                    self.take_second(slice, *second, record, table, outputs)?;
                }
            }
            WorkerEvent::Closing => table.closing(slice, now),
            WorkerEvent::File { name, part } => {
                table.sending(slice, now);
                self.folders[slice as usize].take(name, *part, body)?;
                self.complete(slice, table)?;
            }
            WorkerEvent::Ended { verdict, exit_code, files } => {
                table.sending(slice, now);
                self.endings.insert(slice, Ending { verdict: *verdict, exit_code: *exit_code, files: files.clone() });
                self.complete(slice, table)?;
            }
            WorkerEvent::Failed { why } => return Err(TakeError::Unfit(why.clone())),
            // Sent again, though it was taken in.
            WorkerEvent::Registered { .. } | WorkerEvent::Ready { .. } => {}
        }
        Ok(())
    }

    fn take_second(
        &mut self,
        slice: u32,
        second: u64,
        record: Vec<u8>,
        table: &mut Table,
        outputs: Outputs<'_>,
    ) -> Result<(), TakeError> {
        let place = slice as usize;
        let unfit = |why: String| TakeError::Unfit(format!("its second {second} cannot be used: {why}"));
        let decoded = decode_record(&record, &bounds(self.plan, table.rows()[place].threads)).map_err(unfit)?;
        if decoded.second != second {
            return Err(unfit(format!("it is second {}", decoded.second)));
        }
        table.second(slice, second, clock::mono()).into_iter().for_each(|change| tell(&change, table, outputs));
        self.folders[place].append(second, record)?;
        self.live.take(place, decoded);
        Ok(())
    }

    /// A worker has ended when its last word is here and all of its files are.
    fn complete(&mut self, slice: u32, table: &mut Table) -> Result<(), TakeError> {
        let Some(ending) = self.endings.get(&slice) else { return Ok(()) };
        let files: &[SentFile] = &ending.files;
        // Who never had a folder has nothing to send.
        if files.is_empty() || self.folders[slice as usize].complete(files)? {
            table.ended(slice, ending.clone(), clock::mono());
            self.endings.remove(&slice);
        }
        Ok(())
    }

    /// What time has changed, and processes that have ended.
    fn look(&mut self, site: &mut Site, table: &mut Table, outputs: Outputs<'_>) -> Result<(), LeadError> {
        let (now, is_up) = (clock::mono(), site.is_up());
        site.check_server()?;
        match (is_up, self.away_since) {
            (true, Some(since)) => {
                outputs.ui.tell(&format!("the NATS server is back after {:.1} s", since.elapsed().as_secs_f64()));
                self.away_since = None;
            }
            (false, None) => {
                outputs.ui.tell("the NATS server is away: the workers continue, and report later");
                self.away_since = Some(Instant::now());
            }
            (false, Some(since)) if since.elapsed() >= self.options.away => {
                return Err(LeadError::Failed(format!(
                    "reach the NATS server for {} s: the workers go on by themselves and keep their folders, for `fleetsim merge`",
                    self.options.away.as_secs()
                )));
            }
            _ => {}
        }
        if let Some(local) = &mut site.local {
            local.workers.poll().into_iter().for_each(|(slice, _status)| table.process_ended(slice, now));
        }
        for change in table.poll(is_up, now) {
            tell(&change, table, outputs);
            if let Change::Lost { slice, .. } = change
                && self.options.on_lost == OnLost::Drain
            {
                self.drain(site, format!("slice {slice}/{} was lost", table.rows().len()), outputs);
            }
        }
        let left = table.left().next();
        if let Some((slice, verdict)) = left.filter(|_| self.options.on_lost == OnLost::Drain && self.early.is_none()) {
            self.drain(site, format!("slice {slice}/{} ended as {}", table.rows().len(), verdict.as_str()), outputs);
        }
        Ok(())
    }

    /// Ends the run for a reason, unless somebody has asked for its end.
    fn drain(&mut self, site: &Site, why: String, outputs: Outputs<'_>) {
        if site.heartbeat.ordered() == Order::GoOn {
            outputs.ui.tell(&format!("{why}: the other workers drain"));
            self.order_drain(site);
            self.early = Some(why);
        }
    }
}

/// Never returns where there is no endpoint of the run's own.
async fn hosted(hosting: Option<&mut Hosting<'_>>, ui: &Ui) -> Result<(), String> {
    match hosting {
        Some(hosting) => hosting.next(ui).await,
        None => std::future::pending().await,
    }
}

fn tell(change: &Change, table: &Table, outputs: Outputs<'_>) {
    let slices = table.rows().len();
    let after =
        |second: &Option<u64>| second.map_or_else(|| "from the start on".to_owned(), |second| format!("after second {second}"));
    outputs.ui.tell(&match change {
        Change::Silent { slice, second } => format!("slice {slice}/{slices} is silent {}", after(second)),
        Change::Back { slice } => format!("slice {slice}/{slices} reports again"),
        Change::Lost { slice, second } => format!("slice {slice}/{slices} is lost {}", after(second)),
    });
}
