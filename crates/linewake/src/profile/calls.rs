//! The calls of a profile, by name, and which of them are used.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::call::{Call, What, When};
use crate::Error;
use crate::keys::{Value, did_you_mean};

pub(super) struct Calls<'a> {
    calls: Vec<(Call, Value<'a>)>,
    used: RefCell<BTreeSet<usize>>,
}

impl<'a> Calls<'a> {
    pub(super) fn read(value: Option<Value<'a>>) -> Result<Self, Error> {
        let mut read = Self { calls: Vec::new(), used: RefCell::default() };
        let mut ends = Vec::new();
        for (name, value) in value.map_or(Ok(Vec::new()), |value| value.table().map(|table| table.all()))? {
            let (call, ended_by) = Call::read(name, &value)?;
            ends.extend(ended_by.map(|ended_by| (read.calls.len(), ended_by)));
            read.calls.push((call, value));
        }
        for (call, by) in ends {
            let ends = read.named(&by)?;
            if ends == call {
                return Err(by.error("a call cannot end itself; name the call that makes the driver answer"));
            }
            if let What::Ioctl(request) = &mut read.calls[call].0.what {
                request.when = When::Blocks { ended_by: Some(ends) };
            }
        }
        Ok(read)
    }

    pub(super) fn call(&self, index: usize) -> &Call {
        &self.calls[index].0
    }

    pub(super) fn named(&self, value: &Value<'_>) -> Result<usize, Error> {
        let name = value.text()?;
        match self.calls.iter().position(|(call, _)| call.name == name) {
            Some(index) => {
                self.used.borrow_mut().insert(index);
                Ok(index)
            }
            None if self.calls.is_empty() => Err(value.error(format!("unknown call \"{name}\"; add [call.{name}]"))),
            None => {
                let known = did_you_mean(name, self.calls.iter().map(|(call, _)| &*call.name));
                Err(value.error(format!("unknown call \"{name}\"; {known}")))
            }
        }
    }

    /// Reads one name or a list of names.
    pub(super) fn named_all(&self, value: Option<Value<'_>>) -> Result<Vec<usize>, Error> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        if !value.is_array() {
            return Ok(vec![self.named(&value)?]);
        }
        value.items()?.iter().map(|item| self.named(item)).collect()
    }

    pub(super) fn finish(self) -> Result<Vec<(Call, Value<'a>)>, Error> {
        let used = self.used.into_inner();
        match (0..self.calls.len()).find(|index| !used.contains(index)) {
            None => Ok(self.calls),
            Some(unused) => Err(self.calls[unused].1.error(
                "nothing uses this call; name it in `setup`, `release`, `wait`, `levels` or `account`, or remove it",
            )),
        }
    }
}
