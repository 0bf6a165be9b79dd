/* bcryptprimitives.dll for a Wine that has none (before 8.13).
 *
 * Rust's standard library takes the keys of its hash maps from ProcessPrng and
 * does not start without this DLL. SystemFunction036 is RtlGenRandom, which
 * Wine fills from /dev/urandom: the numbers are as good as the host's.
 *
 * Built without a C runtime, so that loading it does nothing else. */

#include <windows.h>

BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > 0x10000 ? 0x10000 : (ULONG)length;
        if (!SystemFunction036(buffer, part))
            return FALSE;
        buffer += part;
        length -= part;
    }
    return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module;
    (void)reason;
    (void)reserved;
    return TRUE;
}
