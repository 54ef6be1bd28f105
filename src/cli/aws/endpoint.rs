//! `fleetsim aws endpoint`.

use super::{AccountArgs, Failure};
use crate::aws::control::{ControlClient, DATA_ATS};
use crate::aws::locate::locate;
use clap::Args;
use iot_endpoint::quotas;
use std::sync::Arc;

#[derive(Args)]
pub(super) struct EndpointArgs {
    /// As in iot:Data-ATS, iot:Jobs, iot:CredentialProvider
    #[arg(long = "type", value_name = "TYPE", default_value = DATA_ATS)]
    kind: String,
    #[command(flatten)]
    account: AccountArgs,
}

pub(super) async fn endpoint(args: &EndpointArgs) -> Result<String, Failure> {
    let account = args.account.find().await?;
    let endpoint = locate(&account).await.map_err(|error| error.to_string())?;
    let client = ControlClient::paced(endpoint, Arc::clone(&account.keyring), quotas::aws());
    let address = client.describe_endpoint(&args.kind).await.map_err(|error| error.to_string())?;
    Ok(format!("{address}\n"))
}
