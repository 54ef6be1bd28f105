//! The quotas as rows of a CSV file.

use super::quotas::QuotaRow;

const HEADER: [&str; 16] = [
    "quota",
    "state",
    "limit",
    "peak",
    "peak_at_s",
    "used_share",
    "headroom",
    "total",
    "refused",
    "first_refused_s",
    "is_adjustable",
    "source",
    "past_it",
    "cause",
    "fits",
    "first_cause",
];

/// A row for each quota; what is not known is an empty cell.
pub(super) fn csv(rows: &[QuotaRow]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
    let records = rows.iter().map(|row| {
        let cause = row.causes.first();
        [
            row.quota.clone(),
            <&str>::from(row.state).into(),
            row.limit.map_or_else(String::new, |limit| limit.to_string()),
            row.peak.to_string(),
            number(Some(row.peak_at_s)),
            number(row.used_share),
            number(row.headroom),
            row.total.to_string(),
            row.refused.to_string(),
            number(row.first_refused_s),
            row.is_adjustable.to_string(),
            row.source.unwrap_or_default().to_owned(),
            row.past_it.into(),
            cause.map_or_else(String::new, |cause| cause.setting.clone()),
            cause.and_then(|cause| cause.fits.clone()).unwrap_or_default(),
            row.first_cause.as_ref().map_or_else(String::new, |cause| cause.setting.clone()),
        ]
    });
    let header = HEADER.map(str::to_owned);
    for record in std::iter::once(header).chain(records) {
        writer.write_record(&record).expect("writing to memory does not fail");
    }
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("cells are text")
}
