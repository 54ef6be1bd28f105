//! Which slice a worker drives: what it is told, or what the scheduler that started it says. Pure.

use crate::slice::Slice;

/// What a scheduler calls the number of a task, and the schedulers that do.
pub const VARIABLES: [(&str, &str); 3] = [
    ("JOB_COMPLETION_INDEX", "a Kubernetes Indexed Job"),
    ("SLURM_ARRAY_TASK_ID", "a Slurm array"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "an AWS Batch array"),
];

/// The slice of a run of so many slices. `said` is what the command line says, `variable` reads the environment.
///
/// # Errors
/// When nobody says it, or it is none of this run's; for people.
pub fn place(said: Option<Slice>, slices: u32, variable: impl Fn(&str) -> Option<String>) -> Result<Slice, String> {
    if let Some(slice) = said {
        return match slice.count() == slices {
            true => Ok(slice),
            false => Err(format!("--slice {slice}: the run has {slices} slices, not {}", slice.count())),
        };
    }
    let Some((name, value)) = VARIABLES.iter().find_map(|(name, _)| Some((name, variable(name)?))) else {
        let variables: Vec<String> = VARIABLES.iter().map(|(name, who)| format!("{name} ({who})")).collect();
        return Err(format!("say which slice this worker drives: --slice I/{slices}, or one of {}", variables.join(", ")));
    };
    let index: u32 = value.trim().parse().map_err(|_| format!("{name} is {value:?}, and no number of a slice from 0"))?;
    format!("{index}/{slices}").parse().map_err(|why| format!("{name} is {index}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_first_and_each_scheduler_is_understood() {
        let variables = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let slice = |text: &str| Some(text.parse::<Slice>().unwrap());
        assert_eq!(place(slice("2/4"), 4, variables(&[("SLURM_ARRAY_TASK_ID", "3")])), Ok("2/4".parse().unwrap()));
        assert!(place(slice("2/4"), 5, variables(&[])).unwrap_err().contains("has 5 slices, not 4"));
        for (name, _) in VARIABLES {
            let of_one = |asked: &str| (asked == name).then(|| "3".to_owned());
            assert_eq!(place(None, 4, of_one), Ok("3/4".parse().unwrap()), "{name}");
        }
        for (set, why) in [
            (&[][..], "--slice I/4, or one of JOB_COMPLETION_INDEX"),
            (&[("JOB_COMPLETION_INDEX", "4")], "the last of 4 is 3/4"),
            (&[("SLURM_ARRAY_TASK_ID", "x")], "no number of a slice"),
        ] {
            let told = place(None, 4, variables(set)).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
