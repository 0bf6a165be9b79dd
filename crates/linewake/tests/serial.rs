//! Serial ports without hardware: the errors for paths that are not serial ports.

use std::time::Duration;

use linewake::{Chip, ErrorKind};

#[test]
fn a_port_that_is_not_there_is_named() {
    for path in ["/dev/no-such-port", "COM250", r"\\.\COM250"] {
        let error = Chip::open(&format!("serial:{path}")).unwrap_err();
        assert!(error.to_string().contains(path.trim_start_matches(r"\\.\")), "{error}");
        let kind = if cfg!(any(windows, target_os = "linux")) { ErrorKind::Device } else { ErrorKind::Unsupported };
        assert_eq!(error.kind(), kind, "{error}");
        if kind == ErrorKind::Device {
            let is_bare = cfg!(target_os = "linux") && !path.contains('/');
            let remedy = if is_bare { "by its path, as in \"serial:/dev/ttyUSB0\"" } else { "is it plugged in?" };
            assert!(error.to_string().ends_with(remedy), "{error}");
        }
    }
    let error = Chip::open("serial:").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownChip);
    assert!(error.to_string().contains("\"serial:/dev/ttyUSB0\""), "{error}");
}

#[test]
fn only_a_port_has_a_poll_period() {
    let options = Chip::options().poll_period(Duration::from_millis(1));
    let error = options.open("sim").unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("\"sim\""), "{error}");
    let error = Chip::options().poll_period(Duration::ZERO).open("serial:COM1").unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("\"serial:COM1\""), "{error}");
    let error = Chip::options().seed(1).open("serial:COM1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[cfg(all(target_os = "linux", not(miri)))]
#[test]
fn a_terminal_without_modem_lines_is_refused() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&pty).and_then(|()| unlockpt(&pty)).unwrap();
    let name = ptsname(&pty, Vec::new()).unwrap().into_string().unwrap();
    for path in [name.as_str(), "/dev/null"] {
        let error = Chip::open(&format!("serial:{path}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.starts_with(&format!("\"{path}\" has no modem lines")) && text.contains("ENOTTY"), "{text}");
    }
}
