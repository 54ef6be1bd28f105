//! Ctrl-Z, `fg` and `bg`: a full-screen program gives the terminal back before it stops, and takes it again when it goes on.

use super::Message;
use rustix::process::{Pid, Signal, getpgid, getpgrp, getpid, getppid, getsid, kill_current_process_group, kill_process};
use rustix::termios::tcgetpgrp;
use std::io;
use std::sync::mpsc::SyncSender;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;

/// Tells the dashboard of every request to stop, and when the process goes on, until the task is aborted. Must be called within a
/// runtime.
///
/// # Errors
/// When the signals cannot be had.
pub(super) fn follow(dashboard: SyncSender<Message>) -> io::Result<AbortHandle> {
    let kind = |signal: Signal| SignalKind::from_raw(signal.as_raw());
    let (mut stop, mut go_on) = (signal(kind(Signal::TSTP))?, signal(kind(Signal::CONT))?);
    let following = tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = stop.recv() => {
                    // Without a dashboard there is nothing to give back.
                    if dashboard.try_send(Message::Suspend).is_err() && can_be_continued() {
                        stop_process();
                    }
                }
                _ = go_on.recv() => drop(dashboard.try_send(Message::Continued)),
            }
        }
    });
    Ok(following.abort_handle())
}

/// What the terminal does with Ctrl-Z while it is not in raw mode.
pub(super) fn ask_to_stop() {
    // Who is asked may be gone.
    let _ = kill_current_process_group(Signal::TSTP);
}

/// Stops this process until somebody continues it.
pub(super) fn stop_process() {
    let _ = kill_process(getpid(), Signal::STOP);
}

/// Whether this process may read from the terminal and draw on it: a shell may have put it into the background.
pub(super) fn is_in_foreground() -> bool {
    // A terminal that controls no session has no foreground.
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether the process group is watched by somebody in its session, such as a shell: POSIX lets the terminal stop no other
/// ("orphaned process group").
pub(super) fn can_be_continued() -> bool {
    let (session, group) = (getsid(None), getpgrp());
    let mut ancestor = getppid();
    while let Some(pid) = ancestor {
        if getsid(Some(pid)) != session {
            return false;
        }
        if getpgid(Some(pid)) != Ok(group) {
            return true;
        }
        let stat = procfs::process::Process::new(pid.as_raw_nonzero().get()).and_then(|process| process.stat());
        ancestor = stat.ok().and_then(|stat| Pid::from_raw(stat.ppid));
    }
    false
}
