//! A driver with calls for single pins, through a profile, on the simulated controller.

use linewake::Chip;
use test_support::pins;
use test_support::pins::every_pin_test;

macro_rules! on_the_simulator {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let host = Chip::options().life(false).open("sim:64").unwrap();
            let device = host.clone();
            pins::$name(&host, &|profile| {
                let device = device.clone();
                Chip::from_profile(profile, move || device.open_device()).unwrap()
            });
        })*
    };
}

every_pin_test!(on_the_simulator);
