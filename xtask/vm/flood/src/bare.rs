//! A reader with bare system calls and without an account: the least that it costs to take each edge at once.

use std::error::Error;
use std::fs::File;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gpiocdev_uapi::v2;
use rustix::event::epoll;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    chip: String,
    lines: Vec<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut asked = v2::LineRequest {
        offsets: v2::Offsets::from_slice(&arguments.lines),
        num_lines: u32::try_from(arguments.lines.len())?,
        event_buffer_size: 1024,
        ..v2::LineRequest::default()
    };
    asked.config.flags = v2::LineFlags::INPUT | v2::LineFlags::EDGE_RISING | v2::LineFlags::EDGE_FALLING;
    let lines = v2::get_line(&File::open(&arguments.chip)?, asked)?;
    let edges = Arc::new(AtomicU64::new(0));
    let count = edges.clone();
    ctrlc::set_handler(move || {
        eprintln!("8 lines: {} edges delivered, none counted as lost", count.load(Relaxed));
        std::process::exit(0);
    })?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&set, &lines, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    let mut events = [MaybeUninit::uninit(); 16];
    let mut bytes = [0; 16 * size_of::<v2::LineEdgeEvent>()];
    loop {
        epoll::wait(&set, &mut events, None)?;
        let length = rustix::io::read(&lines, &mut bytes)?;
        edges.fetch_add((length / size_of::<v2::LineEdgeEvent>()) as u64, Relaxed);
    }
}
