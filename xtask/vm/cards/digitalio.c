// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * As the driver `digitalio`, an MCP23S17 with eight inputs: numbers and structure from its digitalio.h, the rest from its
 * digitalio.c and mcp23s08.c.
 *
 * The wait has its limit in milliseconds in the structure, and ends with ETIME. It wakes at a change that comes while it
 * sleeps; one that comes before is gone. What it gives as `intcap` nobody has written. The size in its numbers is that of a
 * pointer; the driver reads and writes the whole structure. Levels are told as the contacts are: 1 is closed.
 */
#include "cards.h"
#include <linux/jiffies.h>

struct digitalio_wait {
	s32 timeout_ms;
	u32 mask;
	u32 intcap;
};

#define DIGITALIO_WAIT _IOWR(0xC5, 0, void *)
#define DIGITALIO_LEVELS _IOR(0xC5, 1, int *)

static bool changed;

static void interrupt(struct card *card, unsigned int line, bool level)
{
	changed = true;
	wake_up_interruptible(&card->changed);
}

static long digitalio_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	void __user *at = (void __user *)argument;
	struct digitalio_wait it;
	s32 levels;
	long ended;

	card->calls++;
	switch (number) {
	case DIGITALIO_WAIT:
		if (copy_from_user(&it, at, sizeof(it)))
			return -EIO;
		if (!it.mask)
			return -EINVAL;
		WRITE_ONCE(changed, false);
		ended = card_wait_for(card, READ_ONCE(changed), msecs_to_jiffies(max(it.timeout_ms, 0)));
		if (ended <= 0)
			return ended ? ended : -ETIME;
		it.intcap = 0;
		return copy_to_user(at, &it, sizeof(it)) ? -EIO : 0;
	case DIGITALIO_LEVELS:
		levels = card->levels & 0xff;
		return copy_to_user(at, &levels, sizeof(levels)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(digitalio_ioctl) };

struct card digitalio_card = {
	.name = "digitalio",
	.lines = 8,
	.interrupt = interrupt,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "digitalio", .fops = &operations },
};
