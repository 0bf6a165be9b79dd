//! A part of a request: the lines that the chip holds at once.

use std::task::{Context, Poll};

use super::missing::InterruptCount;
use crate::Error;
use crate::backend::{HeldLines, Interrupts, Numbering, RawEdge};

/// Lines held together by the chip.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) held: Box<dyn HeldLines>,
    pub(super) numbering: Numbering,
    pub(super) interrupts: InterruptCount,
    /// The places of its lines in the request.
    pub(super) lines: std::ops::Range<usize>,
    pub(super) is_over: bool,
}

impl Part {
    pub(super) fn new(held: Box<dyn HeldLines>, lines: std::ops::Range<usize>) -> Self {
        Self { numbering: held.numbering(), held, interrupts: InterruptCount::default(), lines, is_over: false }
    }

    /// [`HeldLines::poll_edges`], until it is over.
    pub(super) fn poll_edges(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<RawEdge>,
    ) -> Poll<Option<Result<(), Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.held.poll_edges(cx, into);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.is_over = true;
        }
        polled
    }

    /// True if a missing number is an edge of an unknown line.
    pub(super) fn counts_interrupts(&self) -> bool {
        self.numbering == Numbering::Kernel(Interrupts::OfRequest)
    }
}
