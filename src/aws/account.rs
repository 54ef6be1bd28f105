//! An AWS account as the environment and the profiles describe it: region, keys, and where its control plane is.

use aws_signing::keyring::Keyring;
use std::sync::Arc;

/// Which account is meant, where the environment does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChoice<'a> {
    pub region: Option<&'a str>,
    pub profile: Option<&'a str>,
}

/// Where to find an account, and as whom to call it.
pub struct Account {
    pub region: String,
    pub keyring: Arc<Keyring>,
    /// Instead of AWS's own address.
    pub endpoint_url: Option<String>,
    /// PEM file of the roots for that address; `None`: Amazon's.
    pub ca_bundle: Option<String>,
    #[cfg(feature = "aws")]
    config: aws_config::SdkConfig,
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// As GetCallerIdentity has it.
    Known { account: String, arn: String },
    /// The endpoint is not AWS's own, and no STS is named beside it: real keys are not shown to the real STS for it.
    OfEndpoint { url: String },
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known { account, arn } => write!(f, "{account} ({arn})"),
            Self::OfEndpoint { url } => write!(f, "that of {url}, which is not AWS's own (AWS_ENDPOINT_URL_STS is not set)"),
        }
    }
}

#[cfg(feature = "aws")]
mod chain {
    use super::super::sdk_http::SdkHttp;
    use super::{Account, AccountChoice, Identity, Keyring};
    use aws_config::imds::region::ImdsRegionProvider;
    use aws_config::meta::region::RegionProviderChain;
    use aws_config::profile::ProfileFileRegionProvider;
    use aws_config::provider_config::ProviderConfig;
    use aws_config::{BehaviorVersion, Region};
    use aws_smithy_runtime_api::client::http::SharedHttpClient;
    use host::environment::variable;
    use std::sync::Arc;
    use std::time::Duration;

    /// Where nothing names a region, the machine's own metadata service is asked; and STS who is calling.
    const ASK_TIMEOUT: Duration = Duration::from_secs(30);
    /// What AWS's own tools call their variables.
    const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    const ENDPOINT_URLS: [&str; 2] = ["AWS_ENDPOINT_URL_IOT", "AWS_ENDPOINT_URL"];
    const STS_URLS: [&str; 2] = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
    const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
    const NO_REGION: &str = "no region: set AWS_REGION, or give the profile one; --region and, with kind = \"aws\", \
                             target.region = \"eu-central-1\" set it, too";

    impl Account {
        /// The account that the standard chain leads to, or that is said. It is not called yet.
        ///
        /// # Errors
        /// What is missing, for people.
        pub async fn find(choice: AccountChoice<'_>) -> Result<Self, String> {
            let http = SharedHttpClient::new(SdkHttp { ca_bundle: variable(CA_BUNDLE) });
            let said = choice.region.map(str::to_owned).or_else(|| REGIONS.into_iter().find_map(variable)).map(Region::new);
            let mut of_profile = ProfileFileRegionProvider::builder();
            let of_host = ProviderConfig::without_region().with_http_client(http.clone());
            let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
            if let Some(profile) = choice.profile {
                loader = loader.profile_name(profile);
                of_profile = of_profile.profile_name(profile);
            }
            // The library's own chain ends at a variable that is empty.
            let region = RegionProviderChain::first_try(said)
                .or_else(of_profile.build())
                .or_else(ImdsRegionProvider::builder().configure(&of_host).build());
            let config = tokio::time::timeout(ASK_TIMEOUT, loader.region(region).load()).await.map_err(|_elapsed| {
                format!(
                    "it was found neither in the environment nor in profiles or on this machine within {} s",
                    ASK_TIMEOUT.as_secs()
                )
            })?;
            let region = config.region().filter(|region| !region.as_ref().is_empty()).ok_or(NO_REGION)?.to_string();
            let provider = config.credentials_provider().ok_or("no provider of credentials is configured")?;
            Ok(Self {
                region,
                keyring: Arc::new(Keyring::new(provider)),
                endpoint_url: ENDPOINT_URLS.into_iter().find_map(variable).or_else(|| config.endpoint_url().map(str::to_owned)),
                ca_bundle: variable(CA_BUNDLE),
                config,
            })
        }

        /// Who is calling.
        ///
        /// # Errors
        /// When STS is asked and does not say, for people.
        pub async fn identity(&self) -> Result<Identity, String> {
            if let Some(url) = self.endpoint_url.clone().filter(|_| STS_URLS.into_iter().find_map(variable).is_none()) {
                return Ok(Identity::OfEndpoint { url });
            }
            let failed = |why: String| format!("ask STS who is calling (GetCallerIdentity, which needs no permission): {why}");
            let asking = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send();
            let answer = tokio::time::timeout(ASK_TIMEOUT, asking)
                .await
                .map_err(|_elapsed| failed(format!("no answer within {} s", ASK_TIMEOUT.as_secs())))?
                .map_err(|error| failed(aws_sdk_sts::error::DisplayErrorContext(&error).to_string()))?;
            match (answer.account, answer.arn) {
                (Some(account), Some(arn)) => Ok(Identity::Known { account, arn }),
                _ => Err(failed("the answer names no account".into())),
            }
        }
    }
}

#[cfg(not(feature = "aws"))]
mod chain {
    use super::{Account, AccountChoice, Identity};

    const NOT_BUILT: &str = "this fleetsim was built without the feature aws: build it with `cargo build --release --features aws`";

    impl Account {
        /// # Errors
        /// Always: the chain of credentials is not part of this build.
        #[expect(clippy::unused_async, reason = "as the build that has it")]
        pub async fn find(_choice: AccountChoice<'_>) -> Result<Self, String> {
            Err(NOT_BUILT.into())
        }

        /// # Errors
        /// Always, as [`Self::find`].
        #[expect(clippy::unused_async, reason = "as the build that has it")]
        pub async fn identity(&self) -> Result<Identity, String> {
            Err(NOT_BUILT.into())
        }
    }
}
