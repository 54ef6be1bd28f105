//! What is asked: an action on a resource.

use strum::{EnumIter, IntoStaticStr};

/// Where an endpoint is: what every ARN of its resources begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(Box<str>);

impl Home {
    /// Of an account, a number of twelve digits, in a region, such as `us-east-1`.
    #[must_use]
    pub fn new(region: &str, account: &str) -> Self {
        Self(format!("arn:aws:iot:{region}:{account}:").into())
    }

    /// Such as `arn:aws:iot:us-east-1:111122223333:`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }
}

/// What a client may want to do (PROTOCOL-CORE 1.2), of that which this endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
pub enum Action {
    /// CONNECT.
    #[strum(serialize = "iot:Connect")]
    Connect,
    /// PUBLISH, and a will at CONNECT.
    #[strum(serialize = "iot:Publish")]
    Publish,
    /// The same with RETAIN, besides `iot:Publish`.
    #[strum(serialize = "iot:RetainPublish")]
    RetainPublish,
    /// One filter of a SUBSCRIBE.
    #[strum(serialize = "iot:Subscribe")]
    Subscribe,
    /// A delivery to the client.
    #[strum(serialize = "iot:Receive")]
    Receive,
    /// HTTPS only, as all that follow: over MQTT, jobs are topics.
    #[strum(serialize = "iotjobsdata:DescribeJobExecution")]
    DescribeJobExecution,
    /// HTTPS.
    #[strum(serialize = "iotjobsdata:GetPendingJobExecutions")]
    GetPendingJobExecutions,
    /// HTTPS.
    #[strum(serialize = "iotjobsdata:StartNextPendingJobExecution")]
    StartNextPendingJobExecution,
    /// HTTPS.
    #[strum(serialize = "iotjobsdata:UpdateJobExecution")]
    UpdateJobExecution,
}

impl Action {
    /// As policies name it, such as `iot:Connect`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What its resource begins with behind the account, such as `topicfilter/` (PROTOCOL-CORE 1.3).
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Connect => "client/",
            Self::Publish | Self::RetainPublish | Self::Receive => "topic/",
            Self::Subscribe => "topicfilter/",
            Self::DescribeJobExecution
            | Self::GetPendingJobExecutions
            | Self::StartNextPendingJobExecution
            | Self::UpdateJobExecution => "thing/",
        }
    }
}

/// One action on one resource.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub action: Action,
    /// On what: a client id, a topic, the text of a filter or the name of a thing.
    pub name: &'a str,
    /// The endpoint's.
    pub home: &'a Home,
    /// What a CONNECT asks for besides; absent for other actions.
    pub connect: Option<ConnectAttributes<'a>>,
    /// The time, in seconds since the epoch.
    pub epoch_s: i64,
}

/// What a CONNECT asks for (PROTOCOL-CORE 1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectAttributes<'a> {
    /// A session that outlives its connection.
    pub is_persistent: bool,
    /// The topic of its will; absent: it has none.
    pub will_topic: Option<&'a str>,
}

impl Request<'_> {
    /// The ARN of its resource.
    #[must_use]
    pub fn arn(&self) -> String {
        self.arn_of(self.action.kind())
    }

    /// The ARN as if the resource were of another kind.
    pub(crate) fn arn_of(&self, kind: &str) -> String {
        [self.home.prefix(), kind, self.name].concat()
    }
}
