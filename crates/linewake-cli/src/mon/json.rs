//! The record stream: one JSON object a line.

use std::io::{self, Write as _};

use linewake::record::{Edge, Gap, Record, Start, State, Summary};

use super::sink::{Closing, Item, Out, Sink, View};

/// See [`linewake::record`].
pub(crate) struct Json(pub(crate) Out);

impl Json {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, record)?;
        self.0.write_all(b"\n")
    }
}

impl Sink for Json {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.write(&Record::Start(Start::new(view.clock)))
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        self.write(&match item {
            Item::State { state, .. } => Record::State(State::from(state)),
            Item::Edge { edge, .. } => Record::Edge(Edge::from(edge)),
            Item::Gap { gap, .. } => Record::Gap(Gap::from(gap)),
            Item::Heartbeat(heartbeat) => Record::Heartbeat(heartbeat),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn end(&mut self, closing: Closing<'_>) -> io::Result<()> {
        let accounts = closing.accounts.iter().map(|(chip, account)| (&**chip, account));
        self.write(&Record::Summary(Summary::new(accounts, closing.threads)))?;
        self.0.flush()
    }
}
