//! Refuses an output that is also an input or another output: it would be emptied, or grow for ever. Files are compared
//! by identity and not by path, before any of them is emptied.

use std::fs::{self, File};
use std::iter;
use std::path::{Path, PathBuf};

use super::file_id::{self, FileId};
use super::files::place;
use crate::config;
use crate::exit::Failure;

/// The files that are read, each with its name in messages.
#[derive(Debug, Default)]
pub(crate) struct Inputs(Vec<(String, FileId)>);

impl Inputs {
    /// The capture that is played; "-" is standard input.
    pub(crate) fn capture(path: &Path) -> Self {
        let mut inputs = Self::default();
        if path.as_os_str() == "-" {
            inputs.add("the capture on standard input".to_owned(), file_id::standard_input());
        } else {
            inputs.add(format!("the capture {}", place(path)), file_id::on_disk(path));
        }
        inputs
    }

    /// The scripts, waveforms and profiles of chips, found in their specs, and the configuration.
    pub(crate) fn chips<'a>(specs: impl Iterator<Item = &'a str>) -> Self {
        let mut inputs = Self::default();
        for spec in specs {
            let is_made = || format!("the file of the chip {}", place(spec.as_ref()));
            files_of(spec).into_iter().for_each(|path| inputs.add(is_made(), file_id::on_disk(path)));
        }
        for path in config::paths() {
            inputs.add(format!("the configuration {}", place(&path)), file_id::on_disk(&path));
        }
        inputs
    }

    fn add(&mut self, what: String, file: Option<FileId>) {
        self.0.extend(file.map(|file| (what, file)));
    }
}

/// The files that a chip may be made of. For `exec:`, each word of the command may be one, and all that is in quotes.
fn files_of(spec: &str) -> Vec<&Path> {
    if let Some(command) = spec.strip_prefix("exec:") {
        let parts = command.split(['"', '\'']);
        return parts.flat_map(|part| iter::once(part).chain(part.split_whitespace())).map(Path::new).collect();
    }
    let file = match spec.split_once(':') {
        // "sim:64" has 64 lines.
        Some(("sim", lines)) if lines.parse::<u32>().is_ok() => None,
        Some(("sim" | "profile", file)) => Some(file),
        _ => spec.ends_with(".toml").then_some(spec),
    };
    file.map(Path::new).into_iter().collect()
}

/// A file that is written, or standard output for "-".
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputFile<'a> {
    pub(crate) path: &'a Path,
    /// The option that named it.
    pub(crate) option: Option<&'static str>,
}

impl OutputFile<'_> {
    fn is_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    fn id(&self) -> Option<FileId> {
        if self.is_stdout() { file_id::standard_output() } else { file_id::on_disk(self.path) }
    }

    fn shown(&self) -> String {
        match self.option {
            Some(option) => format!("{} for {option}", place(self.path)),
            None => place(self.path),
        }
    }
}

/// Refuses an output that is an input or another output. Outputs that do not exist yet are not compared.
pub(crate) fn check(inputs: &Inputs, outputs: &[OutputFile<'_>]) -> Result<(), Failure> {
    let on_stdout: Vec<_> = outputs.iter().filter(|output| output.is_stdout()).filter_map(|it| it.option).collect();
    if let [one, other, ..] = on_stdout[..] {
        let message = format!("{one} and {other} both write to standard output; name a file with {other}=FILE");
        return Err(Failure::new(message));
    }
    let mut seen: Vec<_> = inputs.0.iter().map(|(what, file)| (what.clone(), *file)).collect();
    for output in outputs {
        let Some(file) = output.id() else { continue };
        let (shown, remedy) = (output.shown(), "name another file");
        if let Some((what, _)) = seen.iter().find(|(_, other)| *other == file) {
            return Err(Failure::new(format!("cannot write to {shown}: it is the same file as {what}; {remedy}")));
        }
        seen.push((shown, file));
    }
    Ok(())
}

/// Compares outputs that do not exist yet too: creates them first, and removes them again if one is refused.
pub(crate) fn make(inputs: &Inputs, outputs: &[OutputFile<'_>]) -> Result<(), Failure> {
    let files = outputs.iter().filter(|output| !output.is_stdout());
    let made: Vec<_> = files.filter_map(|output| made(output.path)).collect();
    check(inputs, outputs).inspect_err(|_| {
        for path in made {
            // Another program may have written to it meanwhile.
            if path.metadata().is_ok_and(|metadata| metadata.len() == 0) {
                let _ = fs::remove_file(path);
            }
        }
    })
}

/// Creates a file unless it exists, and returns where it is, behind all links. Errors are left to the sink, which meets
/// them again.
fn made(path: &Path) -> Option<PathBuf> {
    if path.exists() {
        return None;
    }
    File::options().append(true).create(true).open(path).ok()?;
    path.canonicalize().ok()
}
