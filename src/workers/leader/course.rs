//! The run from its start to the last word of its last worker.

use super::barrier::{self, Start};
use super::folders::{SliceFolder, Untaken};
use super::inbox::Delivery;
use super::live::Live;
use super::local::folder_name;
use super::outcome::Conducted;
use super::records::Records;
use super::site::{Fate, Ground, Site};
use super::table::{Change, Ending, Row, Stage, Table};
use super::{LeadError, LeadOptions, OnLost};
use crate::exposition::Exposition;
use crate::merge::{WholeRun, bounds};
use crate::preflight;
use crate::report::{Manifest, Mode, ReportError, ResultsWriter, ShardClock, ShardTotals, decode_record};
use crate::roster::Roster;
use crate::run::StopRequests;
use crate::run::folder::{RunsOn, manifest};
use crate::run::jobs::run_id::with_run_id;
use crate::run::ui::Ui;
use crate::run::verdict::{End, so_far};
use crate::scenario::plan::Plan;
use crate::slice::Slice;
use crate::tui::app::WorkerRow;
use crate::workers::TICK;
use crate::workers::message::{Order, SentFile, Told};
use bytes::Bytes;
use host::clock;
use load_metrics::Snapshot;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Below the results folder: those of the slices.
const WORKERS: &str = "workers";
/// Who was told to abort has ended by then.
const ABORT_LIMIT: Duration = Duration::from_secs(15);

/// Whoever shows the run.
#[derive(Clone, Copy)]
pub(super) struct Faces<'a> {
    pub ui: &'a Ui,
    pub exposition: Option<&'a Exposition>,
}

impl Faces<'_> {
    /// How the workers stand.
    pub(super) fn workers(&self, rows: &[WorkerRow]) {
        self.ui.workers(rows);
        if let Some(exposition) = self.exposition {
            let mut states = BTreeMap::new();
            rows.iter().for_each(|row| *states.entry(row.state).or_default() += 1);
            exposition.workers(states);
        }
    }
}

/// Leads the run from its workers' first word to their last.
///
/// # Errors
/// When it did not begin.
pub(super) async fn conduct(
    options: &LeadOptions,
    roster: &Roster,
    writer: &mut ResultsWriter,
    faces: Faces<'_>,
    stop: &mut StopRequests,
) -> Result<Conducted, LeadError> {
    let dir = writer.dir().to_owned();
    let mut table = Table::new(options.slices, clock::mono());
    let ground = tokio::select! {
        ground = Ground::find(options, &dir, faces.ui) => ground?,
        () = stop.next() => return Err(LeadError::Interrupted),
    };
    let mut site = Site::bring_up(ground, options, roster, &dir, faces.ui).await?;
    let start = match barrier::pass(&mut site, &mut table, options.wait, faces, stop).await {
        Ok(start) => start,
        Err(error) => {
            site.take_down(Fate::NotBegun).await;
            return Err(error);
        }
    };
    let began = Course::begin(options, roster, &site, &table, &dir, start);
    let mut course = match began {
        Ok(course) => course,
        Err(error) => {
            site.give_up(Order::Abort, &error).await;
            site.take_down(Fate::NotBegun).await;
            return Err(error);
        }
    };
    let mut end = course.run(&mut site, &mut table, writer, faces, stop).await;
    if let Err(error) = &end {
        faces.ui.tell("the workers drain");
        site.give_up(Order::Drain, error).await;
    }
    let flushed = course.folders.iter_mut().try_for_each(SliceFolder::flush);
    end = end.and_then(|end| flushed.map(|()| end).map_err(LeadError::failed));
    let fate = match &end {
        Err(_) => Fate::Failed,
        Ok(_) if table.rows().iter().all(|row| matches!(row.stage, Stage::Ended(_))) => Fate::Complete,
        Ok(_) => Fate::Over,
    };
    let folders = course.folders.iter().map(|folder| folder.dir().to_owned()).collect();
    let conducted = Conducted { end, findings: table.findings(), clocks: clocks(&table), folders };
    site.take_down(fate).await;
    Ok(conducted)
}

fn clocks(table: &Table) -> BTreeMap<u32, ShardClock> {
    let reading = |row: &Row| ShardClock {
        offset_ms: row.clock.offset_us as f64 / 1e3,
        uncertainty_ms: row.clock.uncertainty_us as f64 / 1e3,
    };
    (0..).zip(table.rows().iter().map(reading)).collect()
}

struct Course<'a> {
    options: &'a LeadOptions,
    plan: Plan,
    folders: Vec<SliceFolder>,
    live: Live,
    records: Records,
    /// Last words whose files are not all here.
    endings: BTreeMap<u32, Ending>,
    /// Since when the server has been away.
    away_since: Option<Instant>,
    /// When the workers were told to abort.
    aborted: Option<Instant>,
    /// Why the run is ended early, where nobody asked for it.
    early: Option<String>,
}

impl<'a> Course<'a> {
    fn begin(
        options: &'a LeadOptions,
        roster: &Roster,
        site: &Site,
        table: &Table,
        dir: &Path,
        start: Start,
    ) -> Result<Self, LeadError> {
        let scenario = site.plan.to_toml();
        let mut folders = Vec::new();
        for (row, index) in table.rows().iter().zip(0..) {
            let slice: Slice = format!("{index}/{}", options.slices).parse().map_err(LeadError::Failed)?;
            let shard = ShardTotals {
                slice,
                start_at: start.at.rfc3339(),
                run_id: Some(site.jobs_id.clone()),
                limit_reached: false,
                uncreated: Vec::new(),
            };
            let host = row.facts.clone().unwrap_or_else(preflight::facts);
            let on = RunsOn { mode: Mode::Run, host, shards: row.threads, shard: Some(shard) };
            // What was told has no process, whatever becomes of the worker's.
            let manifest = Manifest { pid: 0, ..manifest(&site.plan, &on) };
            let folder = SliceFolder::create(&dir.join(WORKERS).join(folder_name(index)), &manifest, &scenario);
            folders.push(folder.map_err(LeadError::failed)?);
        }
        let plan = with_run_id(site.plan.clone(), &site.jobs_id).map_err(LeadError::failed)?;
        let threads: Vec<usize> = table.rows().iter().map(|row| row.threads).collect();
        let whole = WholeRun::new(&plan, roster, start.origin, &threads, preflight::facts().cores);
        Ok(Self {
            options,
            plan,
            folders,
            live: Live::new(whole, options.slices as usize),
            records: Records::default(),
            endings: BTreeMap::new(),
            away_since: None,
            aborted: None,
            early: None,
        })
    }

    /// Until nothing more will come; how the run came to its end, where its workers do not tell.
    async fn run(
        &mut self,
        site: &mut Site,
        table: &mut Table,
        writer: &mut ResultsWriter,
        faces: Faces<'_>,
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
                        site.pulse.order(Order::Abort);
                        self.aborted.get_or_insert_with(Instant::now);
                    } else {
                        faces.ui.tell("interrupted: the workers drain; once more to stop now");
                        site.pulse.order(Order::Drain);
                    }
                }
                delivery = site.inbox.next() => {
                    self.take(&delivery, table, faces).map_err(LeadError::failed)?;
                    delivery.done().await;
                }
                _ = tick.tick() => self.look(site, table, faces)?,
            }
            while let Some(snapshot) = self.live.poll(table) {
                self.show(&snapshot, table, writer, faces).map_err(LeadError::failed)?;
                if self.live.is_connected {
                    site.pulse.connected();
                }
            }
            if self.aborted.is_some_and(|aborted| aborted.elapsed() >= ABORT_LIMIT) {
                table.give_up();
            }
        }
        Ok(match (was_asked, self.early.take()) {
            (true, _) => Some(End::Interrupted),
            (false, early) => early.map(End::Early),
        })
    }

    fn show(
        &self,
        snapshot: &Arc<Snapshot>,
        table: &Table,
        writer: &mut ResultsWriter,
        faces: Faces<'_>,
    ) -> Result<(), ReportError> {
        writer.second(snapshot)?;
        faces.workers(&self.live.workers(table));
        faces.ui.second(snapshot);
        if let Some(exposition) = faces.exposition {
            exposition.second(snapshot, so_far(snapshot, writer.findings()));
        }
        Ok(())
    }

    /// Takes in what a worker tells. What is not as a worker tells it is the end of its slice, and of nothing else.
    fn take(&mut self, delivery: &Delivery, table: &mut Table, faces: Faces<'_>) -> Result<(), ReportError> {
        let slice = delivery.slice;
        let Some(row) = table.rows().get(slice as usize).filter(|row| row.is_heeded()) else { return Ok(()) };
        let has_ended = row.is_over();
        let taken = match &delivery.told {
            Ok((told, body)) => self.take_word(slice, (told, body), table, faces),
            Err(why) => Err(Untaken::Unfit(format!("what it sends cannot be used: {why}"))),
        };
        match taken {
            Ok(()) => Ok(()),
            Err(Untaken::Disk(error)) => Err(error),
            Err(Untaken::Unfit(_)) if has_ended => Ok(()),
            Err(Untaken::Unfit(why)) => {
                let slices = table.rows().len();
                faces.ui.announce(&format!("fleetsim: the worker of slice {slice}/{slices} has no results: {why}"));
                self.records.forget(slice);
                self.folders[slice as usize].discard();
                table.failed(slice, why);
                Ok(())
            }
        }
    }

    fn take_word(&mut self, slice: u32, (told, body): (&Told, &Bytes), table: &mut Table, faces: Faces<'_>) -> Result<(), Untaken> {
        let now = clock::mono();
        match told {
            Told::Second { second, part } => {
                if table.wants(slice, *second, now).map_err(Untaken::Unfit)?
                    && let Some(record) = self.records.take(slice, *second, *part, body).map_err(Untaken::Unfit)?
                {
                    self.take_second(slice, *second, record, table, faces)?;
                }
            }
            Told::Closing => table.closing(slice, now),
            Told::File { name, part } => {
                table.sending(slice, now);
                self.folders[slice as usize].take(name, *part, body)?;
                self.complete(slice, table)?;
            }
            Told::Ended { verdict, exit_code, files } => {
                table.sending(slice, now);
                self.endings.insert(slice, Ending { verdict: *verdict, exit_code: *exit_code, files: files.clone() });
                self.complete(slice, table)?;
            }
            Told::Failed { why } => return Err(Untaken::Unfit(why.clone())),
            // Told again, though it was taken in.
            Told::Registered { .. } | Told::Ready { .. } => {}
        }
        Ok(())
    }

    fn take_second(
        &mut self,
        slice: u32,
        second: u64,
        record: Vec<u8>,
        table: &mut Table,
        faces: Faces<'_>,
    ) -> Result<(), Untaken> {
        let place = slice as usize;
        let unfit = |why: String| Untaken::Unfit(format!("its second {second} cannot be used: {why}"));
        let decoded = decode_record(&record, &bounds(&self.plan, table.rows()[place].threads)).map_err(unfit)?;
        if decoded.second != second {
            return Err(unfit(format!("it is second {}", decoded.second)));
        }
        table.second(slice, second, clock::mono()).into_iter().for_each(|change| tell(&change, table, faces));
        self.folders[place].append(second, record)?;
        self.live.take(place, decoded);
        Ok(())
    }

    /// A worker has ended when its last word is here and all of its files are.
    fn complete(&mut self, slice: u32, table: &mut Table) -> Result<(), Untaken> {
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
    fn look(&mut self, site: &mut Site, table: &mut Table, faces: Faces<'_>) -> Result<(), LeadError> {
        let (now, is_up) = (clock::mono(), site.is_up());
        site.check_server()?;
        match (is_up, self.away_since) {
            (true, Some(since)) => {
                faces.ui.tell(&format!("the NATS server is back after {:.1} s", since.elapsed().as_secs_f64()));
                self.away_since = None;
            }
            (false, None) => {
                faces.ui.tell("the NATS server is away: the workers go on, and tell what they did when it is back");
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
            tell(&change, table, faces);
            if let Change::Lost { slice, .. } = change
                && self.options.on_lost == OnLost::Drain
            {
                self.drain(site, format!("shard {slice}/{} was lost", table.rows().len()), faces);
            }
        }
        let left = table.left().next();
        if let Some((slice, verdict)) = left.filter(|_| self.options.on_lost == OnLost::Drain && self.early.is_none()) {
            self.drain(site, format!("shard {slice}/{} ended as {}", table.rows().len(), verdict.as_str()), faces);
        }
        Ok(())
    }

    /// Ends the run for a reason, unless somebody has asked for its end.
    fn drain(&mut self, site: &Site, why: String, faces: Faces<'_>) {
        if site.pulse.ordered() == Order::GoOn {
            faces.ui.tell(&format!("{why}: the other workers drain"));
            site.pulse.order(Order::Drain);
            self.early = Some(why);
        }
    }
}

fn tell(change: &Change, table: &Table, faces: Faces<'_>) {
    let slices = table.rows().len();
    let after =
        |second: &Option<u64>| second.map_or_else(|| "from the start on".to_owned(), |second| format!("after second {second}"));
    faces.ui.tell(&match change {
        Change::Silent { slice, second } => format!("shard {slice}/{slices} is silent {}", after(second)),
        Change::Back { slice } => format!("shard {slice}/{slices} is heard again"),
        Change::Lost { slice, second } => format!("shard {slice}/{slices} is lost {}", after(second)),
    });
}
