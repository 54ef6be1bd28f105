//! `fleetsim aws deprovision`.

use super::{Failure, FleetArgs, account_lines, call_line, place};
use crate::aws::confirm::confirm;
use crate::aws::deprovision::Deprovision;
use crate::aws::folder::FleetFolder;
use crate::aws::inventory::{Inventory, Kind, Step};
use crate::aws::journal::{self, Journal, JournalError};
use crate::aws::locate::url_of;
use crate::aws::orphans;
use crate::aws::plan::{Naming, ToRemove};
use crate::aws::provision::{Ending, SharedJournal};
use crate::stop::StopRequests;
use clap::Args;
use dev_pki::progress_bar;
use host::stdio::say;
use load_metrics::format::grouped;

/// Leftovers named in one message; the rest is counted.
const LEFT_SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct DeprovisionArgs {
    #[command(flatten)]
    fleet: FleetArgs,
}

pub(super) async fn deprovision(args: &DeprovisionArgs) -> Result<String, Failure> {
    let dir = &args.fleet.dir;
    let words = |error: &dyn std::fmt::Display| Failure::from(error.to_string());
    let none = || JournalError::None { dir: dir.clone() };
    if args.fleet.dry_run {
        let inventory = journal::read(dir).map_err(|error| words(&error))?.ok_or_else(|| words(&none()))?;
        return Ok(describe(&inventory, &naming(&inventory).ok_or_else(|| words(&none()))?, &args.fleet));
    }
    let journal = Journal::open(dir).map_err(|error| words(&error))?;
    let naming = naming(&journal.inventory).ok_or_else(|| words(&none()))?;
    if journal.inventory.is_empty() {
        return Ok(format!("nothing is left of the fleet {}\n", naming.fleet.id));
    }
    let account = args.fleet.account.find().await?;
    place(&account, &url_of(&account)).check(&naming.fleet).map_err(Failure::Usage)?;
    let client = args.fleet.client(&account).await?;
    let mut lines = account_lines(&account, &journal.inventory).await?;
    let lost = orphans::find(&client, &journal.inventory).await.map_err(|error| words(&error))?;
    let journal = SharedJournal::new(journal);
    for id in lost {
        journal.step(Kind::Certificate, &id, Step::Begun, None).map_err(|error| words(&error))?;
    }
    let inventory = journal.inventory().clone();
    let to_remove = ToRemove::new(&inventory);
    lines.extend(summary(&to_remove, &naming, &args.fleet));
    confirm(&lines, args.fleet.yes).map_err(|refusal| Failure::Usage(refusal.to_string()))?;

    let mut stop = StopRequests::listen(None).map_err(|error| format!("listen for signals: {error}"))?;
    let bar = progress_bar(to_remove.things.len(), "things removed");
    let id = naming.fleet.id.clone();
    let removing = Deprovision::new(&client, &journal, naming);
    let removed = removing.remove(&to_remove, |done| bar.set_position(done as u64), say, stop.next()).await;
    bar.finish_and_clear();
    let again = "run the same command again to continue";
    match removed {
        Err(error) => Err(Failure::Error(format!("failed to {error}\n{again}"))),
        Ok(removal) if removal.ending == Ending::Stopped => Err(Failure::Interrupted(format!("interrupted; {again}"))),
        Ok(removal) if !removal.left.is_empty() => Err(Failure::Error(leftovers(&removal.left, again))),
        Ok(_) => {
            FleetFolder(dir).forget().map_err(|error| words(&error))?;
            Ok(format!("nothing is left of the fleet {id}: {} things removed\n", grouped(to_remove.things.len() as u64)))
        }
    }
}

fn naming(inventory: &Inventory) -> Option<Naming> {
    Some(Naming::new(inventory.fleet.as_ref()?, inventory.account.as_ref()))
}

fn describe(inventory: &Inventory, naming: &Naming, args: &FleetArgs) -> String {
    let to_remove = ToRemove::new(inventory);
    let jobs = to_remove.jobs.iter().map(|job| format!("CancelJob, DeleteJob {job}"));
    let calls = naming.calls_to_remove(&to_remove).map(|call| call_line(&call));
    let cost = args.cost_lines(naming.calls_to_remove(&to_remove));
    jobs.chain(calls).chain(cost).map(|line| line + "\n").collect()
}

fn summary(to_remove: &ToRemove<'_>, naming: &Naming, args: &FleetArgs) -> Vec<String> {
    let count = |count: usize, what: &str| format!("{} {what}", grouped(count as u64));
    let mut lines = vec![format!(
        "remove:    the fleet {}: {}, {}, {}, and what they share",
        naming.fleet.id,
        count(to_remove.things.len(), "things with their certificates"),
        count(to_remove.certificates.len(), "certificates whose keys were lost"),
        count(to_remove.jobs.len(), "jobs"),
    )];
    lines.extend(to_remove.certificates.iter().map(|id| format!("           certificate {id}")));
    lines.extend(args.cost_lines(naming.calls_to_remove(to_remove)));
    lines
}

fn leftovers(left: &[String], again: &str) -> String {
    let more = left.len().saturating_sub(LEFT_SHOWN);
    let mut lines = vec!["failed to remove all of it; what is left:".to_owned()];
    lines.extend(left.iter().take(LEFT_SHOWN).map(|what| format!("  - {what}")));
    lines.extend((more > 0).then(|| format!("  - and {more} more")));
    lines.push(again.to_owned());
    lines.join("\n")
}
