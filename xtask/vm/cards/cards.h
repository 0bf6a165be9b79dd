/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Simulated cards with digital inputs, for the virtual machine: character devices whose ioctls have the numbers and
 * structures of real drivers, as in their public headers. /dev/cards drives the inputs. The driven edges are known
 * exactly, so a test can compare them with the edges that a reader reports.
 *
 * A card behaves as its driver does, as far as a reader notices: what blocks, what ends a wait, and what is kept while
 * nobody waits.
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
	/* Its name in /dev/cards. */
	const char *name;
	unsigned int lines;
	/* A second open is refused. */
	bool single;
	/* The interrupt: called under the lock, after `levels` has changed. */
	void (*interrupt)(struct card *card, unsigned int line, bool level);
	/* Handles a command of /dev/cards that only this card has. */
	int (*command)(struct card *card, const char *word, long a, long b);
	/* Called at each open, under the lock. */
	void (*opened)(struct card *card);
	struct miscdevice device;

	spinlock_t lock;
	wait_queue_head_t changed;
	u64 levels;
	/* The number of edges of all its lines since the module was loaded. */
	u64 driven;
	unsigned int opens;
	unsigned int open_now;
	/* How many callers sleep in a wait now, and how many calls there were. */
	int waiting;
	unsigned long calls;
};

extern struct card apci_card, adio_card, uio48_card, mpv_card, digitalio_card, per_line_card, registers_card, rogue_card,
	counter_card, uio_card;

/* The UIO device, after its card was made. */
int uio_card_start(void);
void uio_card_stop(void);

int card_open(struct inode *inode, struct file *file);
int card_release(struct inode *inode, struct file *file);

static inline struct card *card_of(struct file *file)
{
	return container_of(file->private_data, struct card, device);
}

/* Sleeps until `condition` holds. /dev/cards counts the caller meanwhile. -ERESTARTSYS at a signal. */
#define card_wait(card, condition)                                                      \
	({                                                                              \
		long ended;                                                             \
		card_waits(card, 1);                                                    \
		ended = wait_event_interruptible((card)->changed, condition);           \
		card_waits(card, -1);                                                   \
		ended;                                                                  \
	})

/* The same, with a limit in jiffies. Returns 0 when the time has expired. */
#define card_wait_for(card, condition, jiffies)                                            \
	({                                                                                 \
		long ended;                                                                \
		card_waits(card, 1);                                                       \
		ended = wait_event_interruptible_timeout((card)->changed, condition, jiffies); \
		card_waits(card, -1);                                                      \
		ended;                                                                     \
	})

/* The same; signals do not end it. */
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
