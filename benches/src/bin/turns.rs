//! Runs one program of a comparison: `turns COMPARISON PROGRAM`, or `turns COMPARISON PROGRAM CALLS` for one turn under
//! a profiler.

use overlapped_benches::{sim, turns};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [comparison, name, rest @ ..] = &arguments[..] else { panic!("usage: turns COMPARISON PROGRAM [CALLS]") };
    let program = find(comparison, name).unwrap_or_else(|| panic!("no program \"{name}\" in \"{comparison}\""));
    match rest {
        [] => turns::take(program),
        [calls, ..] => {
            let mut program = program;
            program(1000);
            measured(&mut program, calls.parse().expect("a number of calls"));
        }
    }
}

/// The part for a profiler to look at: name this function, and the preparations stay out.
#[unsafe(no_mangle)]
#[inline(never)]
fn measured(program: &mut turns::Program, calls: u64) {
    program(calls);
    // This statement comes after the call, because a tail call would hide this function from the profiler.
    std::hint::black_box(());
}

fn find(comparison: &str, name: &str) -> Option<turns::Program> {
    #[cfg(windows)]
    if let Some(program) = overlapped_benches::windows::find(comparison, name) {
        return Some(program);
    }
    #[cfg(target_os = "linux")]
    if let Some(pipes) = comparison.strip_prefix("pipes:") {
        use overlapped_benches::pipes as programs;
        let count = pipes.parse::<usize>().expect("a number of pipes");
        return Some(match name {
            "epoll" => programs::bare_epoll(count),
            "overlapped" => programs::standing_reads(count),
            "overlapped-awaited" => programs::standing_reads_awaited(count),
            "overlapped-in-its-loop" => programs::standing_reads_in_its_loop(count),
            "tokio" => programs::async_fd(count),
            _ => return None,
        });
    }
    if let Some(threads) = comparison.strip_prefix("hand-over:") {
        return overlapped_benches::hand_over::find(threads.parse().expect("a number of threads"), name);
    }
    Some(match (comparison, name) {
        ("sim-at-once", "overlapped") => sim::at_once(),
        ("sim-1", "overlapped") => sim::on_a_manual_port(1),
        ("sim-1", "oneshot") => sim::with_oneshots(1),
        ("sim-64", "overlapped") => sim::on_a_manual_port(64),
        ("sim-64", "oneshot") => sim::with_oneshots(64),
        ("sim-threads-1", "overlapped-manual") => sim::across_threads_on_a_manual_port(1),
        ("sim-threads-1", "overlapped") => sim::across_threads_on_the_default_port(1),
        ("sim-threads-1", "oneshot") => sim::across_threads_with_oneshots(1),
        ("sim-threads-64", "overlapped-manual") => sim::across_threads_on_a_manual_port(64),
        ("sim-threads-64", "overlapped") => sim::across_threads_on_the_default_port(64),
        ("sim-threads-64", "oneshot") => sim::across_threads_with_oneshots(64),
        _ => return None,
    })
}
