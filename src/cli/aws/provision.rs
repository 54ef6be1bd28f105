//! `fleetsim aws provision`.

use super::{Failure, FleetArgs, account_lines, call_line, place};
use crate::aws::account::Account;
use crate::aws::client::Client;
use crate::aws::confirm::{allow, confirm};
use crate::aws::folder::FleetFolder;
use crate::aws::inventory::{FleetSpec, Inventory, KeySource, Kind, Record, Step};
use crate::aws::journal::{self, Durability, Journal};
use crate::aws::locate::url_of;
use crate::aws::orphans;
use crate::aws::plan::{Naming, ToMake, thing_names};
use crate::aws::provision::{Ending, Provision, SharedJournal};
use crate::aws::selection::Selection;
use crate::check::denied_to_device;
use crate::stop::StopRequests;
use clap::Args;
use dev_pki::progress_bar;
use host::stdio::{read_to_string, say};
use iot_endpoint::DevicePolicy;
use iot_jobs::ThingName;
use load_metrics::format::grouped;
use rand::RngExt as _;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ProvisionArgs {
    /// How many things; a fleet that is there can grow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    things: Option<u64>,
    /// Their names, as fleet.thing_name of a scenario has them [default: sim-{index:06}]
    #[arg(long, value_name = "TEMPLATE")]
    thing_name: Option<String>,
    /// A policy document of yours (-: standard input) in place of the one that AWS's guide has for devices with jobs
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let AWS create the keys (CreateKeysAndCertificate), not this machine
    #[arg(long)]
    aws_keys: bool,
    /// Keep certificates and keys in one file (things.pem), not two for each thing
    #[arg(long)]
    bundle: bool,
    /// Confirm this number of things, where it is above 1,000
    #[arg(long, value_name = "N")]
    allow_things: Option<u64>,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// What is to be done.
struct Plan {
    fleet: FleetSpec,
    things: Vec<ThingName>,
    naming: Naming,
}

pub(super) async fn provision(args: &ProvisionArgs) -> Result<String, Failure> {
    let account = args.fleet.account.find().await?;
    if args.fleet.dry_run {
        let inventory = journal::read(&args.fleet.dir).map_err(|error| error.to_string())?.unwrap_or_default();
        return args.plan(&inventory, &account).map(|plan| plan.describe(&inventory, &args.fleet));
    }
    let journal = Journal::create(&args.fleet.dir).map_err(|error| error.to_string())?;
    let plan = args.plan(&journal.inventory, &account)?;
    let to_make = ToMake::new(&journal.inventory, &plan.fleet, &plan.things);
    let client = args.fleet.client(&account).await?;
    if !to_make.is_empty() {
        let mut lines = account_lines(&account, &journal.inventory).await?;
        lines.extend(plan.lines(&to_make, &args.fleet));
        confirm(&lines, args.fleet.yes).map_err(|refusal| Failure::Usage(refusal.to_string()))?;
    }
    let journal = SharedJournal::new(journal);
    args.make(&plan, &to_make, &client, &journal).await
}

/// Tries the policy before anything is made with it, as the local endpoint would.
fn warn_of_denials(policy: DevicePolicy, thing: &ThingName) {
    for why in denied_to_device(policy.document, thing) {
        say(&format!("warning: {thing} may not do all that jobs need: {why}"));
    }
}

impl ProvisionArgs {
    fn plan(&self, inventory: &Inventory, account: &Account) -> Result<Plan, Failure> {
        let policy = match &self.policy {
            None => None,
            Some(path) => {
                let named = |error: &dyn std::fmt::Display| Failure::Usage(format!("--policy {}: {error}", path.display()));
                let document = read_to_string(path).map_err(|error| named(&error))?;
                Some((DevicePolicy::parse(&document).map_err(|error| named(&error))?, document))
            }
        };
        let selection = Selection {
            things: self.things,
            thing_name: self.thing_name.clone(),
            keys: self.aws_keys.then_some(KeySource::Aws),
            policy: policy.as_ref().map(|(_, document)| document.clone()),
        };
        let url = url_of(account);
        let new_id = || format!("fleetsim-{:08x}", rand::rng().random::<u32>());
        let fleet = selection.fleet(inventory, place(account, &url), new_id).map_err(Failure::Usage)?;
        allow(fleet.things, self.allow_things).map_err(|refusal| Failure::Usage(refusal.to_string()))?;
        let things = thing_names(&fleet).map_err(|why| Failure::Usage(format!("--thing-name: {why}")))?;
        if let Some(((policy, _), thing)) = policy.zip(things.first()) {
            warn_of_denials(policy, thing);
        }
        // Of a fleet that is gone nothing counts.
        let of_fleet = inventory.account.as_ref().filter(|_| inventory.fleet.as_ref().is_some_and(|known| known.id == fleet.id));
        Ok(Plan { naming: Naming::new(&fleet, of_fleet), fleet, things })
    }

    async fn make(&self, plan: &Plan, to_make: &ToMake<'_>, client: &Client, journal: &SharedJournal) -> Result<String, Failure> {
        let words = |error: &dyn std::fmt::Display| Failure::from(error.to_string());
        let mut stop = StopRequests::listen(None).map_err(|error| format!("listen for signals: {error}"))?;
        let folder = FleetFolder(&self.fleet.dir);
        if journal.inventory().fleet.as_ref() != Some(&plan.fleet) {
            journal.append(Record::Fleet(plan.fleet.clone()), Durability::Now).map_err(|error| words(&error))?;
        }
        match plan.fleet.keys {
            KeySource::Own => {
                let bar = progress_bar(plan.things.len(), "certificates");
                let made = folder.ensure_own(&plan.things, &mut |done, _| bar.set_position(done as u64));
                bar.finish_and_clear();
                made.map_err(|error| words(&error))?;
            }
            KeySource::Aws => {
                folder.unpack().map_err(|error| words(&error))?;
                let inventory = journal.inventory().clone();
                let lost = orphans::find(client, &inventory).await.map_err(|error| words(&error))?;
                for id in lost {
                    say(&format!("certificate {id}: its key was lost with the answer; `aws deprovision` removes it"));
                    journal.step(Kind::Certificate, &id, Step::Begun, None).map_err(|error| words(&error))?;
                }
            }
        }
        let making = Provision { client, journal, folder: FleetFolder(&self.fleet.dir) };
        let bar = progress_bar(to_make.things.len(), "things created");
        let made = making.make(plan.naming.clone(), to_make, |done| bar.set_position(done as u64), stop.next()).await;
        bar.finish_and_clear();
        let again = "run the same command again to continue, and `fleetsim aws deprovision` removes what is there";
        match made {
            Err(error) => Err(Failure::Error(format!("failed to {error}\n{again}"))),
            Ok(Ending::Stopped) => Err(Failure::Interrupted(format!("interrupted; {again}"))),
            Ok(Ending::Complete) => {
                let scenario = folder.finish(&plan.things, self.bundle).map_err(|error| words(&error))?;
                let (made, all) = (grouped(to_make.things.len() as u64), grouped(plan.fleet.things));
                Ok(format!(
                    "{all} things, {made} of them created now, in the thing group {}; in a scenario:\n\n{scenario}\n",
                    plan.fleet.id
                ))
            }
        }
    }
}

impl Plan {
    /// Every call, and what they cost.
    fn describe(&self, inventory: &Inventory, args: &FleetArgs) -> String {
        let to_make = ToMake::new(inventory, &self.fleet, &self.things);
        let calls = self.naming.calls_to_make(&to_make).map(|call| call_line(&call));
        let lines: Vec<String> = calls.chain(args.cost_lines(self.naming.calls_to_make(&to_make))).collect();
        lines.join("\n") + "\n"
    }

    fn lines(&self, to_make: &ToMake<'_>, args: &FleetArgs) -> Vec<String> {
        let names = (self.things.first().map_or("", |name| name.as_str()), self.things.last().map_or("", |name| name.as_str()));
        let (all, missing) = (grouped(self.fleet.things), grouped(to_make.things.len() as u64));
        let mut lines = vec![format!(
            "fleet:     {}, {all} things ({} to {}), {missing} of them to be created; everything about it is in {}",
            self.fleet.id,
            names.0,
            names.1,
            args.dir.display()
        )];
        lines.extend(args.cost_lines(self.naming.calls_to_make(to_make)));
        lines
    }
}
