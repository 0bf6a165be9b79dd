// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like WinSystems' driver `uio48`. The numbers are those of its uio48.h; the behaviour is that of its uio48.c.
 *
 * Everything is passed by value: the argument is the number of a bit or a port, and the return value of the ioctl is the
 * result. Signals do not end the wait; only an interrupt does. Bits 1 to 24 have interrupts, each for one direction. They
 * are kept in a ring. An overflow of the ring is not reported, and opening or closing the file does not empty it.
 */
#include "cards.h"

#define UIO48_READ_PORT _IOWR('t', 1, int)
#define UIO48_READ_BIT _IOWR('t', 3, int)
#define UIO48_ENABLE _IOWR('t', 7, char *)
#define UIO48_DISABLE _IOWR('t', 8, int)
#define UIO48_GET _IOWR('t', 10, int)
#define UIO48_WAIT _IOWR('t', 11, int)

#define LINES 48
#define WITH_INTERRUPTS 24
#define ROOM 1024

static u8 ring[ROOM];
static unsigned int in, out;
static u64 enabled, rising;
static bool ready;

static void interrupt(struct card *card, unsigned int line, bool level)
{
	if (line >= WITH_INTERRUPTS || !(enabled & BIT_ULL(line)) || !!(rising & BIT_ULL(line)) != level)
		return;
	ring[in] = line + 1;
	in = (in + 1) % ROOM;
	ready = true;
	wake_up(&card->changed);
}

static int taken(struct card *card)
{
	unsigned long flags;
	int bit = 0;

	spin_lock_irqsave(&card->lock, flags);
	if (out != in) {
		bit = ring[out];
		out = (out + 1) % ROOM;
	} else {
		ready = false;
	}
	spin_unlock_irqrestore(&card->lock, flags);
	return bit;
}

static long enable(struct card *card, unsigned int bit, bool on, bool rises)
{
	unsigned long flags;

	if (bit < 1 || bit > WITH_INTERRUPTS)
		return 0;
	spin_lock_irqsave(&card->lock, flags);
	enabled &= ~BIT_ULL(bit - 1);
	rising &= ~BIT_ULL(bit - 1);
	if (on)
		enabled |= BIT_ULL(bit - 1);
	if (rises)
		rising |= BIT_ULL(bit - 1);
	spin_unlock_irqrestore(&card->lock, flags);
	return 0;
}

static long uio48_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	int bit;

	card->calls++;
	switch (number) {
	case UIO48_READ_PORT:
		return (argument & 0xff) < LINES / 8 ? (card->levels >> (8 * (argument & 0xff))) & 0xff : 0;
	case UIO48_READ_BIT:
		bit = argument & 0xff;
		return bit >= 1 && bit <= LINES && (card->levels & BIT_ULL(bit - 1));
	case UIO48_ENABLE:
		return enable(card, argument >> 8, true, argument & 0xff);
	case UIO48_DISABLE:
		return enable(card, argument & 0xff, false, false);
	case UIO48_GET:
		return taken(card);
	case UIO48_WAIT:
		bit = taken(card);
		if (bit)
			return bit;
		card_wait_deaf(card, READ_ONCE(ready));
		return taken(card);
	default:
		return -EINVAL;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(uio48_ioctl) };

struct card uio48_card = {
	.name = "uio48",
	.lines = LINES,
	.interrupt = interrupt,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "uio48a", .fops = &operations },
};
