/*++
    What programs and the driver of the quad input board share.
--*/
#ifndef _QUADIN_PUBLIC_H
#define _QUADIN_PUBLIC_H

#include <initguid.h>

// {2D4A1E30-77A1-4C57-9B0A-0F5D1C3A9E11}
DEFINE_GUID(GUID_DEVINTERFACE_QUADIN,
    0x2d4a1e30, 0x77a1, 0x4c57, 0x9b, 0x0a, 0x0f, 0x5d, 0x1c, 0x3a, 0x9e, 0x11);

#define FILE_DEVICE_QUADIN 65501U
#define QUADIN_IOCTL(fn, access) CTL_CODE(FILE_DEVICE_QUADIN, 0x800 + (fn), METHOD_BUFFERED, access)

/* Completes when an input has changed. Output: QUADIN_EVENT */
#define IOCTL_QUADIN_WAIT_EVENT   QUADIN_IOCTL(1, FILE_READ_ACCESS)
#define IOCTL_QUADIN_GET_INPUTS   CTL_CODE(FILE_DEVICE_QUADIN, 0x802, METHOD_BUFFERED, \
                                           FILE_READ_ACCESS)
// Input: QUADIN_CONFIG, for each input
#define IOCTL_QUADIN_CONFIGURE    QUADIN_IOCTL(3, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_QUADIN_DMA          CTL_CODE(FILE_DEVICE_QUADIN, 0x804, METHOD_NEITHER, FILE_ANY_ACCESS)
#define IOCTL_QUADIN_ODD          CTL_CODE(FILE_DEVICE_MISSING, 0x805, METHOD_BUFFERED, FILE_ANY_ACCESS)

#pragma pack(push, 1)
typedef struct _QUADIN_EVENT {
    UCHAR     Channel;      // 0 to 3
    BOOLEAN   Rising;
    USHORT    Reserved;
    ULONG     Lost;
    ULONGLONG Time;         // 100 ns
} QUADIN_EVENT, *PQUADIN_EVENT;
#pragma pack(pop)

typedef struct _QUADIN_CONFIG {
    UCHAR  Channel;
    ULONG  Edges;
    HANDLE Event;
} QUADIN_CONFIG;

#endif
