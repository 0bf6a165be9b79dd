// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A card whose driver misbehaves on command. Without a command it queues each edge as { line, level }, and its wait
 * returns the oldest; `cancel` ends the wait with ECANCELED. Its commands in /dev/cards:
 *
 *   overrun N       each wait writes N bytes of 0xA5 after its eight bytes
 *   fails N ERRNO   the next N waits end at once with this error (0: all waits)
 *   stray LINE      the next wait ends with an edge of this line, even if there is no such line
 *   early N         the next N waits end at once, and return the present level of line 0
 *   deaf FLAG       signals do not end a wait: only an edge or `cancel` does
 *   stubborn FLAG   `cancel` does not end a wait
 *   behaves         resets all of these, and empties the queue
 */
#include "cards.h"

struct rogue_record {
	u32 line;
	u32 level;
};

#define ROGUE_WAIT _IOR('R', 1, struct rogue_record)
#define ROGUE_CANCEL _IO('R', 2)
#define ROGUE_LEVELS _IOR('R', 3, u32)

#define ROOM 4096
#define OVERRUN 65536

static struct rogue_record queue[ROOM];
static unsigned int first, queued;
static long overrun, fails, error, early;
static bool deaf, stubborn, cancelled;
static int waiters;

static void put(struct card *card, u32 line, u32 level)
{
	if (queued < ROOM)
		queue[(first + queued++) % ROOM] = (struct rogue_record){ line, level };
	wake_up(&card->changed);
}

static void interrupt(struct card *card, unsigned int line, bool level)
{
	put(card, line, level);
}

static int rogue_command(struct card *card, const char *word, long a, long b)
{
	unsigned long flags;
	int refused = 0;

	spin_lock_irqsave(&card->lock, flags);
	if (!strcmp(word, "overrun")) {
		overrun = clamp(a, 0L, (long)OVERRUN);
	} else if (!strcmp(word, "fails")) {
		fails = a ? a : LONG_MAX;
		error = clamp(b, 1L, (long)MAX_ERRNO);
	} else if (!strcmp(word, "stray")) {
		put(card, a, 1);
	} else if (!strcmp(word, "early")) {
		early = a;
	} else if (!strcmp(word, "deaf")) {
		deaf = a;
	} else if (!strcmp(word, "stubborn")) {
		stubborn = a;
	} else if (!strcmp(word, "behaves")) {
		overrun = fails = error = early = 0;
		deaf = stubborn = false;
		queued = 0;
	} else {
		refused = -EINVAL;
	}
	spin_unlock_irqrestore(&card->lock, flags);
	wake_up(&card->changed);
	return refused;
}

/* The state of a wait: 1 with a record, 0 while it goes on, or an error. */
static long over(struct card *card, struct rogue_record *it)
{
	unsigned long flags;
	long how = 0;

	spin_lock_irqsave(&card->lock, flags);
	if (fails) {
		if (fails != LONG_MAX)
			fails--;
		how = -error;
	} else if (early) {
		early--;
		*it = (struct rogue_record){ 0, card->levels & 1 };
		how = 1;
	} else if (queued) {
		*it = queue[first];
		first = (first + 1) % ROOM;
		queued--;
		how = 1;
	} else if (cancelled) {
		cancelled = false;
		how = -ECANCELED;
	}
	spin_unlock_irqrestore(&card->lock, flags);
	return how;
}

static long wait(struct card *card, u8 __user *at)
{
	struct rogue_record it;
	long how = 0, interrupted = 0, i;

	WRITE_ONCE(waiters, waiters + 1);
	if (READ_ONCE(deaf))
		card_wait_deaf(card, (how = over(card, &it)));
	else
		interrupted = card_wait(card, (how = over(card, &it)));
	WRITE_ONCE(waiters, waiters - 1);
	if (interrupted)
		return interrupted;
	if (how < 0)
		return how;
	if (copy_to_user(at, &it, sizeof(it)))
		return -EFAULT;
	for (i = 0; i < READ_ONCE(overrun); i++)
		if (put_user((u8)0xa5, at + sizeof(it) + i))
			return -EFAULT;
	return 0;
}

static long rogue_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	u32 levels;

	card->calls++;
	switch (number) {
	case ROGUE_WAIT:
		return wait(card, (u8 __user *)argument);
	case ROGUE_CANCEL:
		if (!READ_ONCE(stubborn) && READ_ONCE(waiters))
			cancelled = true;
		wake_up(&card->changed);
		return 0;
	case ROGUE_LEVELS:
		levels = card->levels;
		return copy_to_user((void __user *)argument, &levels, sizeof(levels)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(rogue_ioctl) };

struct card rogue_card = {
	.name = "rogue",
	.lines = 16,
	.interrupt = interrupt,
	.command = rogue_command,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "rogue0", .fops = &operations },
};
