/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_CARD_H
#define _UAPI_LINUX_CARD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CARD_MAGIC 0xE7
#define CARD_MAX_EVENTS 16

struct card_event {
	__u64 timestamp_ns;
	__u32 line;
	__u16 edge;		/* 1 rising, 2 falling */
	__u16 seq;
};

/**
 * struct card_events - what a wait gives
 * @count: how many there are
 */
struct card_events {
	__u32 count;
	__u32 lost;
	struct card_event events[CARD_MAX_EVENTS];
};

struct card_mask {
	__u8 mode;
	__be32 mask;
	unsigned long flags;
	char name[CARD_MAX_EVENTS / 2];
};

struct card_odd {
	__u8 first;
	unsigned int a:4, b:4;
	__u32 after;
};

/* Sleeps until an input changes. */
#define CARD_IOC_WAIT		_IOR(CARD_MAGIC, 1, struct card_events)
#define CARD_IOC_SET_MASK	_IOW(CARD_MAGIC, 2, struct card_mask)
#define CARD_IOC_LEVEL		_IOWR(CARD_MAGIC, 3, __u32)
#define CARD_IOC_CANCEL		_IO(CARD_MAGIC, 4)
#define CARD_IOC_ODD		_IOR(CARD_MAGIC, 5, struct card_odd)
#define CARD_IOC_NAME(len)	_IOC(_IOC_READ, CARD_MAGIC, 6, len)

#endif
