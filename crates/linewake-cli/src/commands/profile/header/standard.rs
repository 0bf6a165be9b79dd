//! Definitions of compilers and of the systems' own headers: constants, types and qualifiers.

use std::collections::HashSet;
use std::sync::LazyLock;

/// The size of types that differs between systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Model {
    /// `long` has 4 bytes.
    Windows,
    /// `long` has 8 bytes.
    Linux,
}

/// Constants of the system's own headers (devioctl.h, winioctl.h, asm-generic/ioctl.h).
const CONSTANTS: [(&str, i128); 56] = [
    ("METHOD_BUFFERED", 0),
    ("METHOD_IN_DIRECT", 1),
    ("METHOD_OUT_DIRECT", 2),
    ("METHOD_NEITHER", 3),
    ("METHOD_DIRECT_TO_HARDWARE", 1),
    ("METHOD_DIRECT_FROM_HARDWARE", 2),
    ("FILE_ANY_ACCESS", 0),
    ("FILE_SPECIAL_ACCESS", 0),
    ("FILE_READ_ACCESS", 1),
    ("FILE_READ_DATA", 1),
    ("FILE_WRITE_ACCESS", 2),
    ("FILE_WRITE_DATA", 2),
    ("FILE_DEVICE_BEEP", 1),
    ("FILE_DEVICE_CD_ROM", 2),
    ("FILE_DEVICE_CONTROLLER", 4),
    ("FILE_DEVICE_DATALINK", 5),
    ("FILE_DEVICE_DISK", 7),
    ("FILE_DEVICE_FILE_SYSTEM", 9),
    ("FILE_DEVICE_INPORT_PORT", 0xa),
    ("FILE_DEVICE_KEYBOARD", 0xb),
    ("FILE_DEVICE_MIDI_IN", 0xd),
    ("FILE_DEVICE_MIDI_OUT", 0xe),
    ("FILE_DEVICE_MOUSE", 0xf),
    ("FILE_DEVICE_NAMED_PIPE", 0x11),
    ("FILE_DEVICE_NETWORK", 0x12),
    ("FILE_DEVICE_NULL", 0x15),
    ("FILE_DEVICE_PARALLEL_PORT", 0x16),
    ("FILE_DEVICE_PHYSICAL_NETCARD", 0x17),
    ("FILE_DEVICE_PRINTER", 0x18),
    ("FILE_DEVICE_SCANNER", 0x19),
    ("FILE_DEVICE_SERIAL_MOUSE_PORT", 0x1a),
    ("FILE_DEVICE_SERIAL_PORT", 0x1b),
    ("FILE_DEVICE_SCREEN", 0x1c),
    ("FILE_DEVICE_SOUND", 0x1d),
    ("FILE_DEVICE_STREAMS", 0x1e),
    ("FILE_DEVICE_TAPE", 0x1f),
    ("FILE_DEVICE_TRANSPORT", 0x21),
    ("FILE_DEVICE_UNKNOWN", 0x22),
    ("FILE_DEVICE_USB", 0x22),
    ("FILE_DEVICE_VIDEO", 0x23),
    ("FILE_DEVICE_VIRTUAL_DISK", 0x24),
    ("FILE_DEVICE_WAVE_IN", 0x25),
    ("FILE_DEVICE_WAVE_OUT", 0x26),
    ("FILE_DEVICE_8042_PORT", 0x27),
    ("FILE_DEVICE_BATTERY", 0x29),
    ("FILE_DEVICE_BUS_EXTENDER", 0x2a),
    ("FILE_DEVICE_MODEM", 0x2b),
    ("FILE_DEVICE_KS", 0x2f),
    ("FILE_DEVICE_SMARTCARD", 0x31),
    ("FILE_DEVICE_ACPI", 0x32),
    ("FILE_DEVICE_SERENUM", 0x37),
    ("FILE_DEVICE_GPIO", 0x48),
    ("FILE_DEVICE_USBEX", 0x49),
    ("_IOC_NONE", 0),
    ("_IOC_WRITE", 1),
    ("_IOC_READ", 2),
];

/// The value of a constant of the system's own headers.
pub(super) fn number(name: &str) -> Option<i128> {
    CONSTANTS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The size and the alignment of a type of the compiler or of the system's own headers.
pub(super) fn room(words: &[&str], model: Model) -> Option<(u64, u64)> {
    let long = if model == Model::Windows { 4 } else { 8 };
    let of = |size: u64| Some((size, size));
    let [name] = words else {
        let count = |word: &str| words.iter().filter(|other| **other == word).count();
        let known = ["unsigned", "signed", "int", "long", "short", "char", "double"];
        if words.is_empty() || !words.iter().all(|word| known.contains(word)) {
            return None;
        }
        return of(match (count("char"), count("short"), count("long"), count("double")) {
            (1, ..) => 1,
            (_, 1, ..) => 2,
            (_, _, 1, 1) => 16,
            (_, _, _, 1) => 8,
            (_, _, 1, _) => long,
            (_, _, 2, _) => 8,
            _ => 4,
        });
    };
    match *name {
        "char" | "bool" | "_Bool" | "__int8" | "__u8" | "__s8" | "u8" | "s8" | "uint8_t" | "int8_t" | "u_int8_t"
        | "u_char" | "uchar" | "UCHAR" | "CHAR" | "BYTE" | "BOOLEAN" | "UINT8" | "INT8" | "CCHAR" | "unchar"
        | "byte" => of(1),
        "short" | "__int16" | "__u16" | "__s16" | "u16" | "s16" | "uint16_t" | "int16_t" | "u_int16_t" | "u_short"
        | "ushort" | "__le16" | "__be16" | "USHORT" | "SHORT" | "WORD" | "WCHAR" | "UINT16" | "INT16" | "CSHORT"
        | "ATOM" => of(2),
        "int" | "unsigned" | "signed" | "float" | "__int32" | "__u32" | "__s32" | "u32" | "s32" | "uint32_t"
        | "int32_t" | "u_int32_t" | "u_int" | "uint" | "__le32" | "__be32" | "ULONG" | "LONG" | "DWORD" | "UINT"
        | "INT" | "BOOL" | "UINT32" | "INT32" | "ULONG32" | "LONG32" | "DWORD32" | "NTSTATUS" | "HRESULT" | "FLOAT"
        | "ACCESS_MASK" | "DEVICE_TYPE" | "COLORREF" | "pid_t" | "uid_t" | "gid_t" => of(4),
        "double" | "__int64" | "__u64" | "__s64" | "u64" | "s64" | "uint64_t" | "int64_t" | "u_int64_t" | "__le64"
        | "__be64" | "__aligned_u64" | "loff_t" | "time_t" | "size_t" | "ssize_t" | "uintptr_t" | "intptr_t"
        | "ptrdiff_t" | "ULONGLONG" | "LONGLONG" | "DWORDLONG" | "DWORD64" | "ULONG64" | "LONG64" | "UINT64"
        | "INT64" | "QWORD" | "LARGE_INTEGER" | "ULARGE_INTEGER" | "HANDLE" | "PVOID" | "LPVOID" | "ULONG_PTR"
        | "LONG_PTR" | "DWORD_PTR" | "UINT_PTR" | "INT_PTR" | "SIZE_T" | "SSIZE_T" | "KAFFINITY"
        | "PHYSICAL_ADDRESS" | "HWND" | "LPSTR" | "PCHAR" | "PUCHAR" | "PULONG" | "PUSHORT" | "LPCSTR" | "PWSTR"
        | "DOUBLE" => of(8),
        "long" | "u_long" | "ulong" | "__kernel_ulong_t" | "__kernel_long_t" => of(long),
        "wchar_t" => of(if model == Model::Windows { 2 } else { 4 }),
        "FILETIME" => Some((8, 4)),
        "GUID" | "UUID" | "CLSID" => Some((16, 4)),
        _ => None,
    }
}

/// True if a word does not change the size of a type.
pub(super) fn is_qualifier(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let words = "const volatile static extern register restrict __restrict inline __user __iomem __kernel \
            constexpr mutable IN OUT INOUT OPTIONAL _In_ _Out_ _Inout_ CONST VOLATILE FAR NEAR UNALIGNED __unaligned \
            __extension__ WINAPI CALLBACK __cdecl __stdcall";
        words.split(' ').collect()
    });
    WORDS.contains(word)
}

/// True if a word is part of C's own types, and so cannot be a name.
pub(super) fn is_plain_type(word: &str) -> bool {
    const WORDS: &str =
        "char short int long signed unsigned float double void _Bool bool __int64 __int32 __int16 __int8";
    WORDS.split(' ').any(|plain| plain == word)
}
