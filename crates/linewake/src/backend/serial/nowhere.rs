//! No serial ports: linewake knows those of Linux and Windows.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::look::{Levels, Look};
use crate::backend::unsupported;
use crate::{ClockName, Error};

pub(super) const SEVERAL_WATCHES: bool = false;
pub(super) const CLOCK: ClockName = ClockName::Program;

/// A port, of which there is none on this system.
#[derive(Debug)]
pub(super) enum Port {}

#[derive(Debug)]
pub(super) enum PortWatch {}

pub(super) fn now_ns() -> u64 {
    0
}

impl Port {
    pub(super) fn open(path: &str) -> Result<Self, Error> {
        Err(unsupported(path, "is a serial port; serial ports work on Linux and Windows"))
    }

    pub(super) fn name(&self) -> String {
        match *self {}
    }

    pub(super) fn levels(&self) -> Result<Levels, Error> {
        match *self {}
    }

    pub(super) fn set(&self, _: usize, _: bool) -> Result<(), Error> {
        match *self {}
    }
}

impl PortWatch {
    pub(super) fn start(port: &Arc<Port>, _: Duration) -> Result<(Self, Option<Levels>), Error> {
        match **port {}
    }

    pub(super) fn poll(&mut self, _: &Port, _: &mut Context<'_>) -> Poll<Option<Result<Look, Error>>> {
        match *self {}
    }

    pub(super) fn stop(&mut self) {
        match *self {}
    }
}
