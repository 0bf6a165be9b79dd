//! One timer for all polls with the same period.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use overlapped::{Port, Sleep};

use crate::Error;

/// Ticks once a period while a poll waits for it.
#[derive(Debug)]
pub(super) struct Ticker {
    period: Duration,
    timer: Port,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ticks: u64,
    sleep: Option<Sleep>,
    waiting: Vec<Waker>,
}

/// The tickers in use.
static ALL: Mutex<Vec<Weak<Ticker>>> = Mutex::new(Vec::new());

impl Ticker {
    /// The shared ticker of a period.
    pub(super) fn of(period: Duration) -> Result<Arc<Self>, Error> {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|ticker| ticker.strong_count() > 0);
        if let Some(ticker) = all.iter().filter_map(Weak::upgrade).find(|ticker| ticker.period == period) {
            return Ok(ticker);
        }
        let ticker = Arc::new(Self { period, timer: Port::global()?, state: Mutex::default() });
        all.push(Arc::downgrade(&ticker));
        Ok(ticker)
    }

    /// The number of its ticks.
    pub(super) fn ticks(&self) -> u64 {
        self.with(|state| state.ticks)
    }

    /// Ready when the ticker has ticked more than `ticks` times. Then sets `ticks` to the present number.
    pub(super) fn poll(self: &Arc<Self>, ticks: &mut u64, cx: &mut Context<'_>) -> Poll<()> {
        let woken = self.with(|state| {
            if state.ticks > *ticks {
                *ticks = state.ticks;
                return Some(Vec::new());
            }
            let sleep = state.sleep.get_or_insert_with(|| self.timer.sleep(self.period));
            let waker = Waker::from(self.clone());
            if Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_pending() {
                if !state.waiting.iter().any(|known| known.will_wake(cx.waker())) {
                    state.waiting.push(cx.waker().clone());
                }
                return None;
            }
            state.sleep = None;
            state.ticks += 1;
            *ticks = state.ticks;
            Some(std::mem::take(&mut state.waiting))
        });
        match woken {
            None => Poll::Pending,
            Some(woken) => {
                woken.into_iter().for_each(Waker::wake);
                Poll::Ready(())
            }
        }
    }

    fn with<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The sleep is over: the first poll after it makes the tick.
impl Wake for Ticker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = self.with(|state| std::mem::take(&mut state.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }
}
