//! `fleetsim aws`: the account's side.

mod deprovision;
mod endpoint;
mod provision;

use super::complain;
use crate::aws::account::{Account, AccountChoice};
use crate::aws::calls::Call;
use crate::aws::client::Client;
use crate::aws::cost::Estimate;
use crate::aws::inventory::Inventory;
use crate::aws::locate::{locate, url_of};
use crate::aws::selection::{Place, check_account};
use crate::billing::Prices;
use crate::exit;
use crate::run::runtime;
use clap::{Args, Subcommand};
use iot_endpoint::quotas;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args)]
pub(super) struct AwsArgs {
    #[command(subcommand)]
    action: AwsAction,
}

#[derive(Subcommand)]
enum AwsAction {
    /// Print where things of the account connect to (DescribeEndpoint)
    Endpoint(endpoint::EndpointArgs),
    /// Create a fleet in the account: things, a certificate each, a policy, a thing type and a thing group (docs/AWS.md)
    Provision(provision::ProvisionArgs),
    /// Remove a fleet from the account: exactly what the inventory in its folder names
    Deprovision(deprovision::DeprovisionArgs),
}

/// Which account is meant.
#[derive(Args)]
struct AccountArgs {
    /// [default: AWS_REGION, else that of the profile]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// A profile of the AWS configuration files [default: AWS_PROFILE, else the usual chain of credentials]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl AccountArgs {
    async fn find(&self) -> Result<Account, String> {
        let choice = AccountChoice { region: self.region.as_deref(), profile: self.profile.as_deref() };
        Account::find(choice).await.map_err(|error| format!("use the AWS account: {error}"))
    }
}

/// What a fleet's commands have in common.
#[derive(Args)]
struct FleetArgs {
    /// The folder of the fleet: its inventory, keys and certificates, and fleet.csv for fleet.things_from
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// Print every call that would be made, and the cost, and make none
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Pace of the calls: aws (the default quotas of an account), or none (as fast as the service takes them, where your quotas are higher)
    #[arg(long, value_name = "aws|none", value_enum, default_value_t = Pace::Aws)]
    quotas: Pace,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Pace {
    Aws,
    None,
}

impl FleetArgs {
    /// What calls cost, in quotas and in money.
    fn cost_lines(&self, calls: impl Iterator<Item = Call>) -> Vec<String> {
        Estimate::of(calls).lines(&Prices::aws(), &quotas::aws(), self.quotas == Pace::Aws)
    }

    async fn client(&self, account: &Account) -> Result<Client, String> {
        let endpoint = locate(account).await.map_err(|error| error.to_string())?;
        let quotas = (self.quotas == Pace::Aws).then(quotas::aws);
        Ok(Client::new(endpoint, Arc::clone(&account.keyring), quotas))
    }
}

/// Where an account is, and its URL.
fn place<'a>(account: &'a Account, url: &'a str) -> Place<'a> {
    Place { region: &account.region, endpoint: url }
}

/// What is shown of an account before anything is changed in it; a fleet that is in another one is left alone.
async fn account_lines(account: &Account, inventory: &Inventory) -> Result<Vec<String>, Failure> {
    let identity = account.identity().await?;
    check_account(inventory, &identity).map_err(Failure::Usage)?;
    Ok(vec![format!("account:   {identity}"), format!("region:    {}", account.region), format!("endpoint:  {}", url_of(account))])
}

/// A call as `--dry-run` shows it.
fn call_line(call: &Call) -> String {
    let mut line = format!("{} {} {}", call.operation, call.method, call.uri);
    if let Some(principal) = &call.principal {
        let _ = write!(line, " x-amzn-principal: {principal}");
    }
    if !call.body.is_empty() {
        let _ = write!(line, " {}", String::from_utf8_lossy(&call.body));
    }
    line
}

/// Why a command did not do what it was asked for.
enum Failure {
    /// It was asked for what cannot be, or by whom it cannot be asked.
    Usage(String),
    Error(String),
    Interrupted(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Error(format!("failed to {why}"))
    }
}

pub(super) fn aws_command(args: AwsArgs) -> u8 {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("failed to start the runtime: {error}"));
            return exit::ERROR;
        }
    };
    let outcome = runtime.block_on(async {
        match args.action {
            AwsAction::Endpoint(args) => endpoint::endpoint(&args).await,
            AwsAction::Provision(args) => provision::provision(&args).await,
            AwsAction::Deprovision(args) => deprovision::deprovision(&args).await,
        }
    });
    let (code, why) = match outcome {
        Ok(text) => return super::print(&text),
        Err(Failure::Usage(why)) => (exit::USAGE, why),
        Err(Failure::Error(why)) => (exit::ERROR, why),
        Err(Failure::Interrupted(why)) => (exit::INTERRUPTED, why),
    };
    complain(why);
    code
}
