//! `things_from`: a CSV file that names the things of a fleet, with their certificates and cohorts.

use super::plan::{ListedThing, ThingFiles};
use csv::{ReaderBuilder, StringRecord, Trim};
use iot_jobs::ThingName;
use std::collections::HashMap;
use std::path::Path;

/// Mistakes told of one file; the rest is counted.
pub(super) const MISTAKES_SHOWN: usize = 10;
const COLUMNS: [&str; 4] = ["thing", "cert", "key", "cohort"];

/// Where the columns are.
struct Columns {
    thing: usize,
    files: Option<(usize, usize)>,
    cohort: Option<usize>,
}

/// Reads the list, up to `rows_max` rows; paths in it are relative to the file.
///
/// # Errors
/// With everything that is wrong with it, each with row and column.
pub(super) fn read(path: &str, rows_max: usize) -> Result<Vec<ListedThing>, Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|error| vec![format!("{path} cannot be read: {error}")])?;
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    parse(&text, folder, rows_max).map_err(|mistakes| mistakes.into_iter().map(|mistake| format!("{path} {mistake}")).collect())
}

fn parse(text: &str, folder: &Path, rows_max: usize) -> Result<Vec<ListedThing>, Vec<String>> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| vec![format!("has no header: {error}")])?.clone();
    let columns = columns(&header)?;
    let (mut things, mut mistakes, mut rows) = (Vec::new(), Vec::new(), HashMap::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                mistakes.push(format!("cannot be read: {error}"));
                break;
            }
        };
        if things.len() == rows_max {
            mistakes.push(format!("has more than {rows_max} things"));
            break;
        }
        let row = record.position().map_or(0, csv::Position::line);
        let mut wrong = |what: String| mistakes.push(format!("row {row}, {what}"));
        if record.len() != header.len() {
            wrong(format!("it has {} columns, the header {}", record.len(), header.len()));
            continue;
        }
        if let Some(thing) = thing(&record, row, &columns, folder, &mut wrong) {
            match rows.insert(thing.name.clone(), row) {
                Some(before) => wrong(format!("column thing: {} is in row {before} already", thing.name)),
                None => things.push(thing),
            }
        }
    }
    if things.is_empty() && mistakes.is_empty() {
        mistakes.push("names no thing".into());
    }
    if mistakes.is_empty() { Ok(things) } else { Err(shown(mistakes)) }
}

/// The first ones, and how many more there are.
fn shown(mut mistakes: Vec<String>) -> Vec<String> {
    let more = mistakes.len().saturating_sub(MISTAKES_SHOWN);
    if more > 0 {
        mistakes.truncate(MISTAKES_SHOWN);
        mistakes.push(format!("has {more} more mistakes"));
    }
    mistakes
}

fn columns(header: &StringRecord) -> Result<Columns, Vec<String>> {
    let place = |name: &str| header.iter().position(|column| column == name);
    let mut mistakes: Vec<String> = header
        .iter()
        .filter(|column| !COLUMNS.contains(column))
        .map(|column| format!("row 1, column {column:?} is not known; known: {}", COLUMNS.join(", ")))
        .collect();
    let twice = COLUMNS.into_iter().filter(|name| header.iter().filter(|column| column == name).count() > 1);
    mistakes.extend(twice.map(|name| format!("row 1, column {name} is there twice")));
    let files = match (place("cert"), place("key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => {
            mistakes.push("row 1, column key is missing: where there is a cert, there is a key".into());
            None
        }
        (None, Some(_)) => {
            mistakes.push("row 1, column cert is missing: where there is a key, there is a cert".into());
            None
        }
    };
    match place("thing") {
        Some(thing) if mistakes.is_empty() => Ok(Columns { thing, files, cohort: place("cohort") }),
        Some(_) => Err(mistakes),
        None => {
            mistakes.push("row 1, column thing is missing: it names the things".into());
            Err(mistakes)
        }
    }
}

fn thing(record: &StringRecord, row: u64, columns: &Columns, folder: &Path, wrong: &mut impl FnMut(String)) -> Option<ListedThing> {
    let name = match ThingName::new(&record[columns.thing]) {
        Ok(name) => Some(name),
        Err(error) => {
            wrong(format!("column thing: {:?} is no thing name: {error}", &record[columns.thing]));
            None
        }
    };
    let mut said = |column: &str, place: usize| {
        let text = &record[place];
        if text.is_empty() {
            wrong(format!("column {column} is empty"));
        }
        text.to_owned()
    };
    let files =
        columns.files.map(|(cert, key)| ThingFiles { cert: folder.join(said("cert", cert)), key: folder.join(said("key", key)) });
    let cohort = columns.cohort.map(|cohort| said("cohort", cohort).into());
    Some(ListedThing { row, name: name?, files, cohort })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_row_and_column() {
        let text = "thing,cert,key,cohort\na,a.pem,a.key,x\nb b,b.pem,b.key,x\nc,,c.key,\na,a.pem,a.key,x\nd\n";
        let mistakes = parse(text, Path::new("certs"), 100).unwrap_err();
        let wanted = [
            "row 3, column thing: \"b b\" is no thing name",
            "row 4, column cert is empty",
            "row 4, column cohort is empty",
            "row 5, column thing: a is in row 2 already",
            "row 6, it has 1 columns, the header 4",
        ];
        assert_eq!(mistakes.len(), wanted.len(), "{mistakes:?}");
        for (mistake, wanted) in mistakes.iter().zip(wanted) {
            assert!(mistake.starts_with(wanted), "{mistake:?} {wanted:?}");
        }
        assert!(parse("name,key\n", Path::new(""), 9).unwrap_err().len() == 3, "unknown, cert missing, thing missing");
        assert_eq!(parse("thing\n", Path::new(""), 9).unwrap_err(), ["names no thing"]);
        let many = format!("thing\n{}", "a b\n".repeat(30));
        assert_eq!(parse(&many, Path::new(""), 99).unwrap_err().last().unwrap(), "has 20 more mistakes");
    }

    #[test]
    fn paths_are_relative_to_the_file_and_columns_come_in_any_order() {
        let things = parse("key,thing,cert\nk.pem, a ,/abs/c.pem\n", Path::new("fleet"), 9).unwrap();
        let files = things[0].files.as_ref().unwrap();
        assert_eq!((things[0].name.as_str(), things[0].row), ("a", 2));
        assert_eq!((files.key.to_str(), files.cert.to_str()), (Some("fleet/k.pem"), Some("/abs/c.pem")));
    }
}
