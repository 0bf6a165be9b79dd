//! libgpiod's tools, and which of them the program is: the name it was called by decides.

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

impl Tool {
    pub(crate) const ALL: [Self; 6] = [Self::Detect, Self::Info, Self::Get, Self::Set, Self::Mon, Self::Notify];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Detect => "gpiodetect",
            Self::Info => "gpioinfo",
            Self::Get => "gpioget",
            Self::Set => "gpioset",
            Self::Mon => "gpiomon",
            Self::Notify => "gpionotify",
        }
    }

    /// The tool of that name; the name is the last part of the first word of the command line. `None` is linewake
    /// itself.
    pub(crate) fn called(argv0: &OsStr) -> Option<Self> {
        let name = Path::new(argv0).file_name()?.to_str()?;
        let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
            Some((name, exe)) if exe.eq_ignore_ascii_case(".exe") => name,
            _ => name,
        };
        let is_called = |tool: &str| if cfg!(windows) { name.eq_ignore_ascii_case(tool) } else { name == tool };
        Self::ALL.into_iter().find(|tool| is_called(tool.name()))
    }
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
            assert_eq!(Tool::called(OsStr::new(argv0)), expected, "{argv0}");
        }
    }
}
