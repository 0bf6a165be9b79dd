// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A card whose wait is for one line. It is no vendor's card, but many have this form. The wait names a line, sleeps until
 * that line has had an edge after the last reported one, and returns the level and the number of edges. A second caller
 * for the same line gets EBUSY. `cancel`, with the line as its argument, ends the wait of that line with ECANCELED.
 */
#include "cards.h"

struct line_wait {
	u32 line;
	u32 level;
	/* The number of edges of the line so far. */
	u32 count;
	u32 unused;
};

#define LINE_WAIT _IOWR('L', 1, struct line_wait)
#define LINE_CANCEL _IO('L', 2)
#define LINE_START _IO('L', 3)
#define LINE_LEVELS _IOR('L', 4, u32)

#define LINES 16

static u32 counts[LINES], told[LINES];
static bool waits[LINES], cancelled[LINES];

static void interrupt(struct card *card, unsigned int line, bool level)
{
	counts[line]++;
	wake_up_interruptible(&card->changed);
}

static long wait(struct card *card, void __user *at)
{
	struct line_wait it;
	unsigned long flags;
	long ended = 0;

	if (copy_from_user(&it, at, sizeof(it)))
		return -EFAULT;
	if (it.line >= LINES)
		return -EINVAL;
	spin_lock_irqsave(&card->lock, flags);
	if (waits[it.line])
		ended = -EBUSY;
	waits[it.line] = true;
	spin_unlock_irqrestore(&card->lock, flags);
	if (ended)
		return ended;
	ended = card_wait(card, READ_ONCE(counts[it.line]) != told[it.line] || READ_ONCE(cancelled[it.line]));
	spin_lock_irqsave(&card->lock, flags);
	waits[it.line] = false;
	if (!ended && cancelled[it.line])
		ended = -ECANCELED;
	cancelled[it.line] = false;
	if (!ended) {
		it.level = !!(card->levels & BIT(it.line));
		it.count = told[it.line] = counts[it.line];
		it.unused = 0;
	}
	spin_unlock_irqrestore(&card->lock, flags);
	if (!ended && copy_to_user(at, &it, sizeof(it)))
		ended = -EFAULT;
	return ended;
}

static long per_line_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	unsigned long flags;
	long refused = 0;
	u32 levels;

	card->calls++;
	switch (number) {
	case LINE_WAIT:
		return wait(card, (void __user *)argument);
	case LINE_CANCEL:
	case LINE_START:
		if (argument >= LINES)
			return -EINVAL;
		spin_lock_irqsave(&card->lock, flags);
		if (number == LINE_START)
			counts[argument] = told[argument] = 0;
		else if (waits[argument])
			cancelled[argument] = true;
		else
			refused = -ESRCH;
		spin_unlock_irqrestore(&card->lock, flags);
		wake_up_interruptible(&card->changed);
		return refused;
	case LINE_LEVELS:
		levels = card->levels;
		return copy_to_user((void __user *)argument, &levels, sizeof(levels)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(per_line_ioctl) };

struct card per_line_card = {
	.name = "per-line",
	.lines = LINES,
	.interrupt = interrupt,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "per-line0", .fops = &operations },
};
