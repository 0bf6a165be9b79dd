//! Starts linewake.sys, which LINEWAKE_SYS names, and keeps it running until the end of the input.

fn main() {
    #[cfg(windows)]
    {
        let service = overlapped_benches::windows::start_driver();
        println!("ready");
        let _ = std::io::read_to_string(std::io::stdin());
        drop(service);
    }
    #[cfg(not(windows))]
    panic!("there is no such driver on this system");
}
