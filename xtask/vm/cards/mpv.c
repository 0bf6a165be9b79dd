// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like MCST's driver `mpv`. The numbers and the structure are those of its uapi header mpv_io.h; the behaviour is that of
 * its mpv.c.
 *
 * The structure has the time limit of the wait, in microseconds; an expired wait ends with ETIME. A bit for each input says
 * whether it had an interrupt, here a rising edge, and a counter says how many it has had since the driver was loaded. The
 * numbers contain no size; the driver writes the whole structure.
 */
#include "cards.h"
#include <linux/jiffies.h>

#define INPUTS 20

struct mpv_record {
	s32 timeout_us;
	u32 told;
	s32 count[INPUTS];
	s32 correct_counter_ns[INPUTS];
	s64 appeared_ns[INPUTS];
	s64 asked_us;
	s64 generated_us[INPUTS];
	s64 appeared_clocks[INPUTS];
	s32 previous_clocks[INPUTS];
	s32 interrupts[INPUTS];
	s64 entered_ns[INPUTS];
	u32 time[INPUTS];
	s32 driver_version;
	s32 read_ns[INPUTS];
	s32 device;
	s32 revision;
};

#define MPV_WAIT (('M' << 8) | 8)
#define MPV_LEVELS (('M' << 8) | 26)

static u32 told;
static s32 counts[INPUTS];
static s64 appeared[INPUTS];

static void interrupt(struct card *card, unsigned int line, bool level)
{
	if (!level)
		return;
	told |= BIT(line);
	counts[line]++;
	appeared[line] = ktime_get_real_ns();
	wake_up_interruptible(&card->changed);
}

static void opened(struct card *card)
{
	if (card->open_now == 1)
		told = 0;
}

static long wait(struct card *card, void __user *at)
{
	struct mpv_record *it = memdup_user(at, sizeof(*it));
	unsigned long flags;
	long ended;

	BUILD_BUG_ON(sizeof(*it) != 1152);
	if (IS_ERR(it))
		return PTR_ERR(it);
	ended = card_wait_for(card, READ_ONCE(told), usecs_to_jiffies(it->timeout_us));
	if (ended > 0) {
		spin_lock_irqsave(&card->lock, flags);
		it->told = told;
		told = 0;
		memcpy(it->count, counts, sizeof(counts));
		memcpy(it->appeared_ns, appeared, sizeof(appeared));
		spin_unlock_irqrestore(&card->lock, flags);
		it->driver_version = 20404;
		ended = copy_to_user(at, it, sizeof(*it)) ? -EFAULT : 0;
	} else if (!ended) {
		ended = -ETIME;
	}
	kfree(it);
	return ended;
}

static long mpv_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	u32 levels;

	card->calls++;
	switch (number) {
	case MPV_WAIT:
		return wait(card, (void __user *)argument);
	case MPV_LEVELS:
		levels = card->levels;
		return copy_to_user((void __user *)argument, &levels, sizeof(levels)) ? -EFAULT : 0;
	default:
		return -EINVAL;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(mpv_ioctl) };

struct card mpv_card = {
	.name = "mpv",
	.lines = INPUTS,
	.interrupt = interrupt,
	.opened = opened,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "mpv-0-in-0", .nodename = "mpv/0_in_0", .fops = &operations },
};
