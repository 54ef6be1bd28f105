//! An AWS account as the environment and the profiles describe it: region, keys, and where its control plane is.

use aws_signing::keyring::Keyring;
use std::sync::Arc;

/// Where to find an account, and as whom to call it.
pub(super) struct Account {
    pub region: String,
    pub keyring: Arc<Keyring>,
    /// Instead of AWS's own address.
    pub endpoint_url: Option<String>,
    /// PEM file of the roots for that address; `None`: Amazon's.
    pub ca_bundle: Option<String>,
}

/// The account that the standard chain leads to, or that is said. It is not called yet.
///
/// # Errors
/// What is missing, for people.
#[cfg(feature = "aws")]
pub(super) async fn find(region: Option<&str>, profile: Option<&str>) -> Result<Account, String> {
    use aws_config::{BehaviorVersion, Region};
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    use host::environment::variable;

    /// Where nothing names a region, the machine's own metadata service is asked.
    const LOAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
    /// What AWS's own tools call their variables.
    const ENDPOINT_URLS: [&str; 2] = ["AWS_ENDPOINT_URL_IOT", "AWS_ENDPOINT_URL"];
    const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let config = tokio::time::timeout(LOAD_TIMEOUT, loader.load()).await.map_err(|_elapsed| {
        format!("neither environment nor profiles nor this machine tell of it within {} s", LOAD_TIMEOUT.as_secs())
    })?;
    let no_region =
        "no region: set AWS_REGION, or give the profile one; with kind = \"aws\" target.region = \"eu-central-1\" says it, too";
    let region = config.region().filter(|region| !region.as_ref().is_empty()).ok_or(no_region)?;
    let provider = config.credentials_provider().ok_or("no provider of credentials is configured")?;
    Ok(Account {
        region: region.to_string(),
        keyring: Arc::new(Keyring::new(provider)),
        endpoint_url: ENDPOINT_URLS.into_iter().find_map(variable).or_else(|| config.endpoint_url().map(str::to_owned)),
        ca_bundle: variable(CA_BUNDLE),
    })
}

/// # Errors
/// Always: the chain of credentials is not part of this build.
#[cfg(not(feature = "aws"))]
pub(super) async fn find(_region: Option<&str>, _profile: Option<&str>) -> Result<Account, String> {
    Err("this fleetsim was built without the feature aws: build it with `cargo build --release --features aws`".into())
}
