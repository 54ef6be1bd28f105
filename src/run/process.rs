//! What a process uses of its host, from `/proc`.

use host::clock;
use iot_jobs::instant::Mono;
use load_metrics::ProcessUsage;
use procfs::process::Process;

/// Watches one process, from one look to the next.
pub(super) struct ProcessWatch {
    process: Process,
    last: Option<(Mono, f64)>,
}

impl ProcessWatch {
    /// `None` when there is no such process, or no `/proc`.
    #[must_use]
    pub(super) fn new(pid: u32) -> Option<Self> {
        Some(Self { process: Process::new(i32::try_from(pid).ok()?).ok()?, last: None })
    }

    /// CPU since the last look, memory now; `None` when the process has ended.
    pub(super) fn look(&mut self) -> Option<ProcessUsage> {
        let stat = self.process.stat().ok()?;
        let cpu_seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let now = clock::mono();
        let cpu_share = self.last.map_or(0.0, |(then, before)| {
            let elapsed = now.since(then).as_secs_f64();
            if elapsed > 0.0 { (cpu_seconds - before) / elapsed } else { 0.0 }
        });
        self.last = Some((now, cpu_seconds));
        let (rss_bytes, descriptors) = (stat.rss * procfs::page_size(), self.descriptors());
        Some(ProcessUsage { cpu_share, cpu_seconds, rss_bytes, descriptors })
    }

    /// Linux 6.2 and later tell the number as the size of the folder; before that, and for 10,000 of them in 3 ms, they are counted.
    fn descriptors(&self) -> u64 {
        let told = std::fs::metadata(format!("/proc/{}/fd", self.process.pid)).map_or(0, |folder| folder.len());
        if told > 0 { told } else { self.process.fd_count().map_or(0, |count| count as u64) }
    }
}

/// Watches an endpoint that may be stopped and started again.
pub(super) struct EndpointWatch {
    process: Option<ProcessWatch>,
    /// CPU seconds as they were last seen, and of the processes that were there before.
    cpu_seconds: f64,
    cpu_seconds_before: f64,
}

impl EndpointWatch {
    #[must_use]
    pub(super) fn new(pid: u32) -> Self {
        Self { process: ProcessWatch::new(pid), cpu_seconds: 0.0, cpu_seconds_before: 0.0 }
    }

    /// CPU since the last look, memory now; `None` while there is no process.
    pub(super) fn look(&mut self) -> Option<ProcessUsage> {
        let usage = self.process.as_mut().and_then(ProcessWatch::look)?;
        self.cpu_seconds = self.cpu_seconds_before + usage.cpu_seconds;
        Some(ProcessUsage { cpu_seconds: self.cpu_seconds, ..usage })
    }

    /// It is another process from now on; CPU seconds go on from those of the one before.
    pub(super) fn follow(&mut self, pid: u32) {
        self.process = ProcessWatch::new(pid);
        self.cpu_seconds_before = self.cpu_seconds;
    }
}
