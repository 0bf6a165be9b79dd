//! By which name the program was called: as one of libgpiod's tools it is that tool.

use std::ffi::OsStr;
use std::path::Path;

/// A tool of libgpiod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Detect,
    Info,
    Get,
    Set,
    Mon,
    Notify,
}

/// The name of each tool.
pub(crate) const TOOLS: [(&str, Tool); 6] = [
    ("gpiodetect", Tool::Detect),
    ("gpioinfo", Tool::Info),
    ("gpioget", Tool::Get),
    ("gpioset", Tool::Set),
    ("gpiomon", Tool::Mon),
    ("gpionotify", Tool::Notify),
];

/// What options of ours stand under that libgpiod's tools do not have: called by their names it does not have them either.
pub(crate) const BEYOND: &str = "Beyond libgpiod";

/// Which tool that is, by the first word of the command line.
pub(crate) fn tool(argv0: &OsStr) -> Option<(&'static str, Tool)> {
    let name = Path::new(argv0).file_name()?.to_str()?;
    let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((name, exe)) if exe.eq_ignore_ascii_case(".exe") => name,
        _ => name,
    };
    let same = |tool: &str| if cfg!(windows) { name.eq_ignore_ascii_case(tool) } else { name == tool };
    TOOLS.into_iter().find(|(tool, _)| same(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_path_decides() {
        for (argv0, expected) in [
            ("gpioget", Some(Tool::Get)),
            ("/usr/local/bin/gpiomon", Some(Tool::Mon)),
            ("./gpiodetect.exe", Some(Tool::Detect)),
            ("gpionotify.EXE", Some(Tool::Notify)),
            ("linewake", None),
            ("gpiogetter", None),
            ("gpioget/linewake", None),
            (".exe", None),
            ("", None),
        ] {
            assert_eq!(tool(OsStr::new(argv0)).map(|tool| tool.1), expected, "{argv0}");
        }
    }
}
