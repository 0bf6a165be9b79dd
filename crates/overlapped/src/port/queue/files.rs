//! The files of a port, by their numbers in the epoll set.
//!
//! A number is a place and its generation. So a late event of a closed file names no file, even if another file has
//! the place, or the descriptor, by then. The thread that serves files takes them out of their places, and puts them
//! back afterwards: so no event has to change a reference count.

use std::sync::{Arc, Mutex};

use crate::system::sync::lock_std as lock;

/// The most files that are out at a time.
pub(super) const OUT: usize = 16;

pub(super) struct Files<F: ?Sized>(Mutex<Places<F>>);

struct Places<F: ?Sized> {
    places: Vec<Place<F>>,
    free: Vec<u32>,
}

struct Place<F: ?Sized> {
    /// The generation in the events that mean this place, at least 1.
    generation: u32,
    file: Option<Arc<F>>,
}

/// Files that were taken out of their places.
pub(super) type Out<F> = [Option<Arc<F>>; OUT];

impl<F: ?Sized> Default for Files<F> {
    fn default() -> Self {
        Self(Mutex::new(Places { places: Vec::new(), free: Vec::new() }))
    }
}

impl<F: ?Sized> Files<F> {
    /// A number for a file. No other file ever has it.
    pub(super) fn reserve(&self) -> u64 {
        let mut places = lock(&self.0);
        let place = places.free.pop().unwrap_or_else(|| {
            places.places.push(Place { generation: 1, file: None });
            // It fits: no process has 2^32 files.
            places.places.len() as u32 - 1
        });
        u64::from(places.places[place as usize].generation) << 32 | u64::from(place)
    }

    pub(super) fn insert(&self, number: u64, file: Arc<F>) {
        if let Some(place) = lock(&self.0).find(number) {
            place.file = Some(file);
        }
    }

    /// Removes a file for good. `None`: it is out, and is dropped when it comes back.
    pub(super) fn remove(&self, number: u64) -> Option<Arc<F>> {
        let mut places = lock(&self.0);
        let place = places.find(number)?;
        let file = place.file.take();
        place.generation += 1;
        // When a place has used up its generations, it is never used again.
        if place.generation < u32::MAX {
            places.free.push(number as u32);
        }
        file
    }

    /// Takes out the files with these numbers; `None` for a number without a file.
    pub(super) fn take_out(&self, numbers: impl Iterator<Item = u64>, out: &mut Out<F>) {
        let mut places = lock(&self.0);
        for (number, out) in numbers.zip(out) {
            *out = places.find(number).and_then(|place| place.file.take());
        }
    }

    /// Puts them back, except those that were removed meanwhile.
    pub(super) fn put_back(&self, numbers: impl Iterator<Item = u64>, out: &mut Out<F>) {
        let mut places = lock(&self.0);
        for (number, out) in numbers.zip(out) {
            if out.is_some()
                && let Some(place) = places.find(number)
            {
                place.file = out.take();
            }
        }
    }
}

impl<F: ?Sized> Places<F> {
    #[inline]
    fn find(&mut self, number: u64) -> Option<&mut Place<F>> {
        let place = self.places.get_mut(number as u32 as usize)?;
        (u64::from(place.generation) == number >> 32).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(files: &Files<str>, numbers: &[u64]) -> Out<str> {
        let mut out = Out::default();
        files.take_out(numbers.iter().copied(), &mut out);
        out
    }

    #[test]
    fn a_number_means_one_file_and_no_later_one_in_its_place() {
        let files = Files::<str>::default();
        let numbers = [(); 2].map(|()| files.reserve());
        assert!(numbers[0] != numbers[1] && !numbers.contains(&0), "the number 0 belongs to the bell");
        numbers.iter().for_each(|number| files.insert(*number, Arc::from("file")));
        assert!(files.remove(numbers[0]).is_some());
        assert!(files.remove(numbers[0]).is_none());
        let next = files.reserve();
        assert_eq!(next as u32, numbers[0] as u32, "it has the place");
        files.insert(next, Arc::from("file"));
        assert_eq!(take(&files, &[numbers[0], next, u64::MAX]).map(|file| file.is_some())[..3], [false, true, false]);
    }

    #[test]
    fn a_file_that_is_removed_while_it_is_out_does_not_come_back() {
        let files = Files::<str>::default();
        let file: Arc<str> = Arc::from("file");
        let number = files.reserve();
        files.insert(number, file.clone());
        let mut out = take(&files, &[number]);
        files.put_back([number].into_iter(), &mut out);
        assert!(out[0].is_none() && Arc::strong_count(&file) == 2, "it is back");
        let mut out = take(&files, &[number]);
        assert!(files.remove(number).is_none());
        // Another file may have its place by then.
        let next = files.reserve();
        files.insert(next, Arc::from("file"));
        files.put_back([number].into_iter(), &mut out);
        assert!(out[0].take().is_some_and(|out| Arc::ptr_eq(&out, &file)));
        assert!(take(&files, &[next])[0].as_ref().is_some_and(|next| !Arc::ptr_eq(next, &file)));
    }

    #[test]
    fn a_place_retires_when_its_generations_are_used_up() {
        let files = Files::<str>::default();
        let first = files.reserve();
        lock(&files.0).places[0].generation = u32::MAX - 1;
        assert!(files.remove(u64::from(u32::MAX - 1) << 32).is_none());
        assert_ne!(files.reserve() as u32, first as u32);
    }
}
