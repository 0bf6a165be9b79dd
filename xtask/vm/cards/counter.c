// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like a device of the kernel's counter subsystem, which the guest's kernel does not have. The numbers and structures are
 * those of its header (uapi/linux/counter.h); the behaviour is that of counter-chrdev.c and interrupt-cnt.c.
 *
 * Two channels count the rising edges of their inputs. A program adds watches and then enables them. Each edge of a
 * watched channel is an event of 24 bytes with the count. The queue has room for 64 events, and drops further ones. One
 * program at a time may open the device. Closing it ends the watches.
 */
#include "cards.h"
#include <linux/timekeeping.h>
#include <uapi/linux/counter.h>

#define CHANNELS 2
#define WATCHES 8
#define ROOM 64

static struct counter_watch added[WATCHES], watched[WATCHES];
static unsigned int added_count, watched_count;
static struct counter_event events[ROOM];
static unsigned int in, out;
static u64 counts[CHANNELS];

static void interrupt(struct card *card, unsigned int line, bool level)
{
	unsigned int i;

	if (!level)
		return;
	counts[line]++;
	for (i = 0; i < watched_count; i++) {
		struct counter_watch *watch = &watched[i];

		if (watch->event != COUNTER_EVENT_CHANGE_OF_STATE || watch->channel != line || in - out >= ROOM)
			continue;
		events[in % ROOM] = (struct counter_event){
			.timestamp = ktime_get_ns(), .value = counts[watch->component.parent], .watch = *watch
		};
		in++;
		wake_up_interruptible(&card->changed);
	}
}

static void opened(struct card *card)
{
	added_count = watched_count = in = out = 0;
}

static long add(struct card *card, const struct counter_watch __user *at)
{
	struct counter_watch watch;
	unsigned long flags;
	long refused = 0;

	if (copy_from_user(&watch, at, sizeof(watch)))
		return -EFAULT;
	if (watch.component.type != COUNTER_COMPONENT_COUNT || watch.component.scope != COUNTER_SCOPE_COUNT ||
	    watch.component.parent >= CHANNELS || watch.channel >= CHANNELS)
		return -EINVAL;
	spin_lock_irqsave(&card->lock, flags);
	if (added_count < WATCHES)
		added[added_count++] = watch;
	else
		refused = -ENOMEM;
	spin_unlock_irqrestore(&card->lock, flags);
	return refused;
}

static long counter_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	unsigned long flags;

	card->calls++;
	switch (number) {
	case COUNTER_ADD_WATCH_IOCTL:
		return add(card, (const struct counter_watch __user *)argument);
	case COUNTER_ENABLE_EVENTS_IOCTL:
	case COUNTER_DISABLE_EVENTS_IOCTL:
		spin_lock_irqsave(&card->lock, flags);
		watched_count = number == COUNTER_ENABLE_EVENTS_IOCTL ? added_count : 0;
		memcpy(watched, added, sizeof(added));
		added_count = 0;
		spin_unlock_irqrestore(&card->lock, flags);
		return 0;
	default:
		return -ENOIOCTLCMD;
	}
}

static bool take(struct card *card, struct counter_event *event)
{
	unsigned long flags;
	bool is_there;

	spin_lock_irqsave(&card->lock, flags);
	is_there = in != out;
	if (is_there)
		*event = events[out++ % ROOM];
	spin_unlock_irqrestore(&card->lock, flags);
	return is_there;
}

static ssize_t counter_read(struct file *file, char __user *buffer, size_t count, loff_t *offset)
{
	struct card *card = card_of(file);
	struct counter_event event;
	size_t given = 0;

	if (count < sizeof(event))
		return -EINVAL;
	while (!given) {
		while (count - given >= sizeof(event) && take(card, &event)) {
			if (copy_to_user(buffer + given, &event, sizeof(event)))
				return -EFAULT;
			given += sizeof(event);
		}
		if (given)
			break;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (card_wait(card, READ_ONCE(in) != READ_ONCE(out)))
			return -ERESTARTSYS;
	}
	return given;
}

static __poll_t counter_poll(struct file *file, poll_table *table)
{
	struct card *card = card_of(file);

	poll_wait(file, &card->changed, table);
	return READ_ONCE(in) != READ_ONCE(out) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations operations = { CARD_OPERATIONS(counter_ioctl), .read = counter_read,
						   .poll = counter_poll };

struct card counter_card = {
	.name = "counter",
	.lines = CHANNELS,
	.single = true,
	.interrupt = interrupt,
	.opened = opened,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "counter0", .fops = &operations },
};
