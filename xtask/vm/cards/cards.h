/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Cards with digital inputs that are not there: character devices for the virtual machine, whose ioctls have the numbers
 * and structures of real drivers, by their public headers, and whose inputs are driven through /dev/cards. What was driven
 * is known exactly, so that what a reader says of it can be compared.
 *
 * A card here behaves as its driver does where a reader can notice: what blocks, what ends it, what is kept while nobody
 * waits and what is not.
 */
#ifndef CARDS_H
#define CARDS_H

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

struct card {
	/* What /dev/cards calls it. */
	const char *name;
	unsigned int lines;
	/* A second open is refused. */
	bool single;
	/* Called under the lock, after `levels` has changed: the interrupt. */
	void (*interrupt)(struct card *card, unsigned int line, bool level);
	/* A word of /dev/cards that this card alone knows. */
	int (*command)(struct card *card, const char *word, long a, long b);
	/* Called at each open, under the lock. */
	void (*opened)(struct card *card);
	struct miscdevice device;

	spinlock_t lock;
	wait_queue_head_t changed;
	u64 levels;
	/* Edges of all its lines, since the module was loaded. */
	u64 driven;
	unsigned int opens;
	unsigned int open_now;
	/* Callers that sleep in a wait now, and calls so far. */
	int waiting;
	unsigned long calls;
};

extern struct card apci_card, adio_card, uio48_card, mpv_card, digitalio_card, per_line_card, registers_card, rogue_card,
	counter_card, uio_card;

/* The UIO device, once its card is there. */
int uio_card_start(void);
void uio_card_stop(void);

int card_open(struct inode *inode, struct file *file);
int card_release(struct inode *inode, struct file *file);

static inline struct card *card_of(struct file *file)
{
	return container_of(file->private_data, struct card, device);
}

/* Sleeps until `condition`, and is seen to do so in /dev/cards. -ERESTARTSYS at a signal. */
#define card_wait(card, condition)                                                      \
	({                                                                              \
		long ended;                                                             \
		card_waits(card, 1);                                                    \
		ended = wait_event_interruptible((card)->changed, condition);           \
		card_waits(card, -1);                                                   \
		ended;                                                                  \
	})

/* The same, for so many jiffies at most: 0 when they are over. */
#define card_wait_for(card, condition, jiffies)                                            \
	({                                                                                 \
		long ended;                                                                \
		card_waits(card, 1);                                                       \
		ended = wait_event_interruptible_timeout((card)->changed, condition, jiffies); \
		card_waits(card, -1);                                                      \
		ended;                                                                     \
	})

/* The same, whatever signal comes. */
#define card_wait_deaf(card, condition)                     \
	do {                                                \
		card_waits(card, 1);                        \
		wait_event((card)->changed, condition);     \
		card_waits(card, -1);                       \
	} while (0)

static inline void card_waits(struct card *card, int by)
{
	unsigned long flags;

	spin_lock_irqsave(&card->lock, flags);
	card->waiting += by;
	spin_unlock_irqrestore(&card->lock, flags);
}

#define CARD_OPERATIONS(ioctl_of_card) \
	.owner = THIS_MODULE, .open = card_open, .release = card_release, .unlocked_ioctl = ioctl_of_card, \
	.compat_ioctl = compat_ptr_ioctl

#endif
