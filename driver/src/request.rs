//! An IRP that this driver must complete.

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use linewake_controller::{CtlCode, ReaderId, Status};
use windows_sys::Wdk::Foundation::{DRIVER_CANCEL, FILE_OBJECT, IO_STACK_LOCATION, IRP};
use windows_sys::Wdk::System::SystemServices::{IofCompleteRequest, SL_PENDING_RETURNED};

/// From wdm.h; windows-sys 0.61 lacks it.
const IO_NO_INCREMENT: i8 = 0;

// windows-sys has some kernel structures wrong. (It ignores POINTER_ALIGNMENT, so the lengths in
// Parameters.DeviceIoControl are four bytes too close.) This compares the layout that we use with wdm.h for x64.
const _: () = {
    assert!(offset_of!(IRP, AssociatedIrp) == 0x18 && offset_of!(IRP, IoStatus) == 0x30);
    assert!(offset_of!(IRP, Cancel) == 0x44 && offset_of!(IRP, CancelRoutine) == 0x68);
    assert!(offset_of!(IRP, Tail.Overlay.Anonymous2.ListEntry) == 0xA8);
    assert!(offset_of!(IRP, Tail.Overlay.Anonymous2.Anonymous.CurrentStackLocation) == 0xB8);
    assert!(offset_of!(IO_STACK_LOCATION, Parameters.Others.Argument3) == 0x18);
    assert!(offset_of!(IO_STACK_LOCATION, DeviceObject) == 0x28 && offset_of!(IO_STACK_LOCATION, FileObject) == 0x30);
    assert!(offset_of!(FILE_OBJECT, FsContext) == 0x18 && offset_of!(FILE_OBJECT, FileName) == 0x58);
};

/// A view of an IRP that is not completed. Either a dispatch routine has just got it, or it is linked in a queue of
/// pended requests, and the lock is held. The methods are sound because of this; [`pended`](crate::pended) ensures it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Irp(NonNull<IRP>);

impl Irp {
    /// # Safety
    /// The IRP has not been completed, and will not be while this or a copy is used.
    pub(crate) unsafe fn new(irp: *mut IRP) -> Option<Irp> {
        NonNull::new(irp).map(Irp)
    }

    fn as_ptr(self) -> *mut IRP {
        self.0.as_ptr()
    }

    fn stack(self) -> *mut IO_STACK_LOCATION {
        // SAFETY: the IRP is live (invariant of this type); the I/O manager set its stack location.
        unsafe { (*self.as_ptr()).Tail.Overlay.Anonymous2.Anonymous.CurrentStackLocation }
    }

    /// The control code.
    pub(crate) fn code(self) -> CtlCode {
        // SAFETY: the I/O manager filled in the stack location; Others overlays DeviceIoControl with the right offsets.
        CtlCode::from_u32(unsafe { (*self.stack()).Parameters.Others.Argument3 as usize as u32 })
    }

    pub(crate) fn input_len(self) -> usize {
        // SAFETY: as for `code`; a ULONG padded to a pointer, whose upper half is undefined.
        unsafe { (*self.stack()).Parameters.Others.Argument2 as usize as u32 as usize }
    }

    pub(crate) fn output_len(self) -> usize {
        // SAFETY: as for `input_len`.
        unsafe { (*self.stack()).Parameters.Others.Argument1 as usize as u32 as usize }
    }

    /// The one system buffer of METHOD_BUFFERED, for input and output; at least as long as the longer of the two.
    fn system_buffer(self) -> *mut u8 {
        // SAFETY: the IRP is live; the codes of the protocol are all METHOD_BUFFERED.
        unsafe { (*self.as_ptr()).AssociatedIrp.SystemBuffer.cast() }
    }

    /// The input, before any output is written over it. The caller has checked the length.
    pub(crate) fn copy_input(self, into: &mut [u8]) -> &[u8] {
        let buffer = self.system_buffer();
        let len = if buffer.is_null() { 0 } else { self.input_len().min(into.len()) };
        if len > 0 {
            // SAFETY: the I/O manager allocated at least input_len bytes and copied the input there.
            unsafe { into.as_mut_ptr().copy_from_nonoverlapping(buffer, len) };
        }
        &into[..len]
    }

    pub(crate) fn file(self) -> *mut FILE_OBJECT {
        // SAFETY: the I/O manager filled in the stack location.
        unsafe { (*self.stack()).FileObject }
    }

    /// The reader of the handle that sent this IRP.
    pub(crate) fn reader(self) -> ReaderId {
        // SAFETY: a file object outlives its IRPs; FsContext is ours, set at IRP_MJ_CREATE.
        ReaderId::from_bits(unsafe { (*self.file()).FsContext } as usize as u64)
    }

    /// A word of the IRP that belongs to the driver as long as the IRP does.
    pub(crate) fn place(self) -> *mut usize {
        // SAFETY: only computes an address in a live IRP.
        unsafe { (&raw mut (*self.as_ptr()).Tail.Overlay.Anonymous1.Anonymous.DriverContext).cast() }
    }

    /// The next and the previous IRP in a queue. ListEntry belongs to the driver as long as the IRP does.
    pub(crate) fn links(self) -> *mut [Option<Irp>; 2] {
        // SAFETY: only computes an address in a live IRP; two pointers, and Option<NonNull> is a pointer.
        unsafe { (&raw mut (*self.as_ptr()).Tail.Overlay.Anonymous2.ListEntry).cast() }
    }

    /// IoSetCancelRoutine: an interlocked exchange. Returns whether there was a routine before.
    pub(crate) fn set_cancel_routine(self, routine: DRIVER_CANCEL) -> bool {
        let new = routine.map_or(core::ptr::null_mut(), |routine| routine as *mut ());
        // SAFETY: the field is a pointer, which the kernel too changes only by interlocked exchange.
        let field = unsafe { AtomicPtr::from_ptr((&raw mut (*self.as_ptr()).CancelRoutine).cast::<*mut ()>()) };
        !field.swap(new, Ordering::SeqCst).is_null()
    }

    /// Whether this IRP was cancelled.
    pub(crate) fn is_cancelled(self) -> bool {
        // SAFETY: a BOOLEAN that the kernel only sets.
        unsafe { AtomicBool::from_ptr(&raw mut (*self.as_ptr()).Cancel) }.load(Ordering::SeqCst)
    }
}

/// An IRP that this driver must complete exactly once: a value that is moved and never copied.
#[must_use = "an IRP that is not completed hangs its caller"]
pub(crate) struct Request(Irp);

impl Request {
    /// # Safety
    /// The caller gives up the duty to complete the IRP, and nobody else has it.
    pub(crate) unsafe fn own(irp: Irp) -> Request {
        Request(irp)
    }

    pub(crate) fn irp(&self) -> Irp {
        self.0
    }

    /// Passes the duty to complete it to a queue.
    pub(crate) fn into_irp(self) -> Irp {
        self.0
    }

    /// The buffer for the answer. The input, in the same buffer, has been copied.
    pub(crate) fn output(&mut self) -> &mut [u8] {
        let (buffer, len) = (self.0.system_buffer(), self.0.output_len());
        if buffer.is_null() || len == 0 {
            return &mut [];
        }
        // SAFETY: the I/O manager allocated at least output_len bytes; only the owner of the request writes there.
        unsafe { core::slice::from_raw_parts_mut(buffer, len) }
    }

    /// Stores the result, for [`complete`](Request::complete).
    pub(crate) fn set_status(&mut self, status: Status, information: usize) {
        // SAFETY: the request is ours, so its status block is.
        let block = unsafe { &mut (*self.0.as_ptr()).IoStatus };
        block.Anonymous.Status = status.to_u32() as i32;
        block.Information = information;
    }

    /// IoMarkIrpPending: the dispatch routine will return STATUS_PENDING.
    pub(crate) fn mark_pending(&mut self) {
        // SAFETY: the request is ours, so its stack location is.
        unsafe { (*self.0.stack()).Control |= SL_PENDING_RETURNED as u8 };
    }

    /// Returns it to the I/O manager. Never call this under the lock: it may run any code, even this driver's.
    pub(crate) fn complete(self) {
        // SAFETY: the request is ours and is not used after this; its status was set.
        unsafe { IofCompleteRequest(self.0.as_ptr(), IO_NO_INCREMENT) };
    }
}
