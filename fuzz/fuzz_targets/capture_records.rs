#![cfg_attr(fuzzing, no_main)]

linewake_fuzz::program!(capture_records);
