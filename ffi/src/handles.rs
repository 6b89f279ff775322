//! Integer handles: kind, generation and slot. A stale, foreign or invented one is a status.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Failure;
use crate::status::*;

/// In the order of their numbers, from 1 on.
const KINDS: [&str; 6] = ["connection", "manager", "watch", "responder", "cancel token", "request"];
const SLOT_BITS: u32 = 31;
const GENERATION_BITS: u32 = 24;
const SLOT_MAX: usize = (1 << SLOT_BITS) - 1;
/// A slot that has had so many objects is not used again.
const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;

/// The objects of one kind.
pub(crate) struct Table<T> {
    kind: u64,
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

struct Slot<T> {
    /// Of the object that is or was last in it; 0 before the first.
    generation: u32,
    object: Option<Arc<T>>,
}

/// Why there is no object under a handle.
#[derive(Debug, PartialEq)]
pub(crate) enum Missing {
    /// There was one.
    Closed,
    /// There never was.
    Invalid,
}

impl<T> Table<T> {
    /// For objects of the kind with this number.
    pub(crate) const fn new(kind: u64) -> Table<T> {
        Table { kind, slots: Mutex::new(Slots { slots: Vec::new(), free: Vec::new() }) }
    }

    /// Adds what `make` makes of its handle. `make` runs under the lock: it must only construct.
    pub(crate) fn insert(&self, make: impl FnOnce(u64) -> Arc<T>) -> Result<Arc<T>, Failure> {
        let mut guard = self.lock();
        let Slots { slots, free } = &mut *guard;
        let slot = match free.pop() {
            Some(slot) => slot,
            None if slots.len() > SLOT_MAX => {
                return Err(Failure::new(LIBCHAT_ERR_SYSTEM, "more handles than there can be"));
            }
            None => {
                slots.push(Slot { generation: 0, object: None });
                slots.len() - 1
            }
        };
        let Some(place) = slots.get_mut(slot) else { return Err(Failure::panicked()) };
        place.generation += 1;
        let object = make(self.handle(slot, place.generation));
        place.object = Some(object.clone());
        Ok(object)
    }

    /// The object under `handle`.
    pub(crate) fn get(&self, handle: u64) -> Result<Arc<T>, Failure> {
        self.find(handle).map_err(|missing| self.failure(handle, missing))
    }

    /// The same for closing it: `None` for 0, and if it is closed already.
    pub(crate) fn get_to_close(&self, handle: u64) -> Result<Option<Arc<T>>, Failure> {
        match self.find(handle) {
            Ok(object) => Ok(Some(object)),
            Err(Missing::Closed) => Ok(None),
            Err(Missing::Invalid) if handle == 0 => Ok(None),
            Err(Missing::Invalid) => Err(self.failure(handle, Missing::Invalid)),
        }
    }

    pub(crate) fn find(&self, handle: u64) -> Result<Arc<T>, Missing> {
        let slots = self.lock();
        let slot = self.slot(&slots, handle)?;
        slots.slots.get(slot).and_then(|it| it.object.clone()).ok_or(Missing::Closed)
    }

    /// Takes the object out; `None` if it is out already. The caller drops it, with no lock held.
    pub(crate) fn remove(&self, handle: u64) -> Result<Option<Arc<T>>, Failure> {
        let mut guard = self.lock();
        let slot = match self.slot(&guard, handle) {
            Ok(slot) => slot,
            Err(Missing::Closed) => return Ok(None),
            Err(Missing::Invalid) => return Err(self.failure(handle, Missing::Invalid)),
        };
        let Slots { slots, free } = &mut *guard;
        let Some(place) = slots.get_mut(slot) else { return Ok(None) };
        let object = place.object.take();
        if object.is_some() && place.generation < GENERATION_MAX {
            free.push(slot);
        }
        Ok(object)
    }

    /// The slot that `handle` is the present or last handle of.
    fn slot(&self, slots: &Slots<T>, handle: u64) -> Result<usize, Missing> {
        if kind(handle) != self.kind {
            return Err(Missing::Invalid);
        }
        let slot = usize::try_from(handle & SLOT_MAX as u64).map_err(|_| Missing::Invalid)?;
        let generation = (handle >> SLOT_BITS) & u64::from(GENERATION_MAX);
        let now = slots.slots.get(slot).map_or(0, |it| it.generation.into());
        match generation {
            0 => Err(Missing::Invalid),
            _ if generation > now => Err(Missing::Invalid),
            _ if generation < now => Err(Missing::Closed),
            _ => Ok(slot),
        }
    }

    fn handle(&self, slot: usize, generation: u32) -> u64 {
        let generation = u64::from(generation) << SLOT_BITS;
        self.kind << (SLOT_BITS + GENERATION_BITS) | generation | slot as u64
    }

    fn failure(&self, handle: u64, missing: Missing) -> Failure {
        let wanted = name(self.kind);
        match missing {
            Missing::Closed => Failure::closed(&format!("this {wanted} is closed")),
            Missing::Invalid => {
                let got = match (handle, name(kind(handle))) {
                    (0, _) => "handle 0".to_owned(),
                    (_, "") => format!("no handle: {handle:#x}"),
                    (_, got) if got == wanted => format!("a {got} that never was: {handle:#x}"),
                    (_, got) => format!("a {got}"),
                };
                let text = format!("expected a {wanted}, got {got}");
                Failure::new(LIBCHAT_ERR_INVALID_HANDLE, &text)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<T>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(handle: u64) -> u64 {
    handle >> (SLOT_BITS + GENERATION_BITS)
}

fn name(kind: u64) -> &'static str {
    let at = usize::try_from(kind.wrapping_sub(1)).unwrap_or(usize::MAX);
    KINDS.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &Table<u64>) -> u64 {
        *table.insert(Arc::new).expect("room")
    }

    #[test]
    fn a_handle_is_good_until_it_is_removed() {
        let table = Table::new(2);
        let (first, second) = (add(&table), add(&table));
        assert_eq!(table.find(first).as_deref(), Ok(&first));
        assert!(first >> 63 == 0 && first != second);
        assert!(table.remove(first).expect("valid").is_some());
        assert!(table.remove(first).expect("valid").is_none(), "twice");
        assert_eq!(table.find(first), Err(Missing::Closed));
        let reused = add(&table);
        assert_eq!(table.find(first), Err(Missing::Closed), "its slot has a new object");
        assert_eq!(table.find(reused).as_deref(), Ok(&reused));
        assert_eq!(table.find(second).as_deref(), Ok(&second));
    }

    #[test]
    fn invented_and_foreign_handles_are_told() {
        let (table, other) = (Table::new(2), Table::new(3));
        let (handle, foreign) = (add(&table), add(&other));
        let text = |handle| format!("{:?}", table.get(handle).expect_err("no object"));
        assert_eq!(text(0), r#"101 "expected a manager, got handle 0""#);
        assert_eq!(text(foreign), r#"101 "expected a manager, got a watch""#);
        assert_eq!(
            text(u64::MAX),
            r#"101 "expected a manager, got no handle: 0xffffffffffffffff""#
        );
        let next = handle + (1 << SLOT_BITS);
        assert_eq!(
            text(next),
            format!(r#"101 "expected a manager, got a manager that never was: {next:#x}""#)
        );
        assert_eq!(text(handle + 1), text(handle + 1));
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_left_alone() {
        let table = Table::new(5);
        let first = add(&table);
        table.lock().slots[0].generation = GENERATION_MAX;
        let last = first | u64::from(GENERATION_MAX) << SLOT_BITS;
        assert!(table.remove(last).expect("valid").is_some());
        assert_eq!(table.find(last), Err(Missing::Closed));
        assert_eq!(add(&table) & SLOT_MAX as u64, 1, "another slot");
    }
}
