// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like the driver `digitalio` of an MCP23S17 with eight inputs. The numbers and the structure are those of its digitalio.h;
 * the behaviour is that of digitalio.c and mcp23s08.c.
 *
 * The structure has the time limit of the wait, in milliseconds; an expired wait ends with ETIME. A change wakes the wait
 * only if it comes while the wait sleeps; an earlier change is lost. The driver does not set the field `intcap`. The size
 * in the numbers is that of a pointer, but the driver reads and writes the whole structure. Levels are those of the
 * contacts: 1 is closed.
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
