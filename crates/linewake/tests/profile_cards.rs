//! Profiles of cards that report with ioctls, tested without a card: the meaning of their drivers' bytes. `cards_vm.rs`
//! drives them.

use linewake::profile::Profile;

macro_rules! gallery {
    ($name:literal) => {
        Profile::parse($name, include_str!(concat!("../../../profiles/", $name, ".toml"))).unwrap()
    };
}

fn decoded(profile: &Profile, call: &str, bytes: &[u8]) -> String {
    profile.decode(call, bytes).unwrap().to_string()
}

#[test]
fn ports_are_read_where_the_driver_puts_them() {
    // struct iopack: index, BAR, offset, size, and the register: ports A, B and C, and the control byte.
    let mut iopack = [0; 24];
    iopack[20..].copy_from_slice(&[0x01, 0x80, 0x02, 0x9b]);
    let told = decoded(&gallery!("apci"), "read-ports", &iopack);
    assert_eq!(told, "record 0: levels 0b000000101000000000000001 (lines 0, 15, 17)\n");
    let told = decoded(&gallery!("superio-ioctl"), "data", &[0x2f, 0x80]);
    assert_eq!(told, "record 0: levels 0b10000000 (line 7)\n");
}

#[test]
fn a_record_that_says_there_was_none_is_none() {
    let adio = gallery!("adio");
    // struct int_status_info: the interrupt's number, ports and registers, how many are left and how many were missed.
    let told = decoded(&adio, "get-interrupt", &[7, 0, 0, 0, 0x81, 0, 0, 0x10, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert!(told.contains("seqno 7") && told.contains("(lines 0, 7)"), "{told}");
    let none = decoded(&adio, "get-interrupt", &[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(!none.contains("levels"), "{none}");
}

#[test]
fn the_value_of_an_ioctl_is_the_number_of_a_line() {
    for uio48 in [gallery!("uio48"), gallery!("uio48-poll")] {
        let call = if uio48.explain().to_string().contains("\"wait-int\"") { "wait-int" } else { "get-int" };
        assert_eq!(decoded(&uio48, call, &[24, 0, 0, 0]), "record 0: line 24, rising, as [wait] says\n");
    }
}

#[test]
fn a_profile_says_how_many_threads_wait_in_the_driver_and_what_does_not_end_them() {
    let notes = |profile: &Profile| profile.notes().join("\n");
    assert!(notes(&gallery!("per-line")).contains("one thread for each watched line"));
    assert!(notes(&gallery!("uio48")).contains("nothing ends \"wait-int\""));
    for profile in [gallery!("apci"), gallery!("adio"), gallery!("uio48-poll"), gallery!("superio-ioctl")] {
        assert!(!notes(&profile).contains("nothing ends"), "{}", notes(&profile));
    }
}
