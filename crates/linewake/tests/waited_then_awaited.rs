//! A thread waits for edges, and then a task awaits them: the task is woken although no thread waits any more.

use std::time::Duration;

use linewake::{Chip, Event, Monitor};

const SHORT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a future on a thread that does not wait at a port.
fn elsewhere<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(futures::executor::block_on(future)));
    is_done.recv_timeout(PATIENCE).expect("the task is never woken")
}

#[test]
fn a_task_gets_the_edges_that_a_thread_waited_for() {
    let chips = [(); 2].map(|()| Chip::options().life(false).open("sim").unwrap());

    let mut request = chips[0].request().line("door").start().unwrap();
    assert!(request.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    chips[0].world().toggle("door", 1).unwrap();
    let edge = elsewhere(async move { request.next().await });
    assert_eq!(edge.unwrap().unwrap().line_seqno, 1);

    let requests = chips.each_ref().map(|chip| chip.request().line("door"));
    let mut monitor = Monitor::builder().requests(requests).start().unwrap();
    assert!(monitor.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    chips[1].world().toggle("door", 1).unwrap();
    let event = elsewhere(async move { monitor.next().await });
    assert!(matches!(event, Some(Ok(Event::Edge { request: 1, .. }))), "{event:?}");
}
