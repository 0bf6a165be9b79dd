// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like RTD's driver `aDIO`. The numbers are those of its aDIO_ioctl.h, and the record is that of aDIO_types.h. The letter
 * in the numbers differs between releases of the header; here it is 'D'.
 *
 * The file is readable while an interrupt is queued. An ioctl takes it from the queue; if the queue is empty, it returns a
 * record with -1 for "none". The queue has room for few interrupts. Further ones are counted and dropped. One program at a
 * time may open the device. The numbers are above 255, so that they reach into the byte of the letter.
 */
#include "cards.h"

struct adio_record {
	u32 interrupts;
	u8 port0, port1, compare, control;
	s32 remaining;
	u32 missed;
};

struct adio_register {
	u8 port;
	u8 data;
};

#define ADIO_LETTER 'D'
#define ADIO_IN _IOWR(ADIO_LETTER, 0x810, struct adio_register)
#define ADIO_OUT _IOW(ADIO_LETTER, 0x811, struct adio_register)
#define ADIO_GET _IO(ADIO_LETTER, 0x812)
#define ADIO_WAKE _IO(ADIO_LETTER, 0x815)

#define MULTIFUNCTION 2
#define CONTROL 3
/* Bits of the control register: interrupts at an event; the two lowest bits choose the meaning of MULTIFUNCTION. */
#define EVENTS 0x10
#define ROOM 16

static struct adio_record queue[ROOM];
static unsigned int first, queued, interrupts, missed;
static u8 control, directions, mask;
static bool woken;

static void interrupt(struct card *card, unsigned int line, bool level)
{
	if (!(control & EVENTS) || (line < 8 && (mask & BIT(line))))
		return;
	interrupts++;
	if (queued == ROOM) {
		missed++;
		return;
	}
	queue[(first + queued++) % ROOM] = (struct adio_record){
		.interrupts = interrupts,
		.port0 = card->levels,
		.port1 = card->levels >> 8,
		.control = control,
	};
	wake_up_interruptible(&card->changed);
}

static void opened(struct card *card)
{
	first = queued = interrupts = missed = 0;
	control = directions = mask = 0;
	woken = false;
}

static __poll_t adio_poll(struct file *file, struct poll_table_struct *table)
{
	struct card *card = card_of(file);
	unsigned long flags;
	__poll_t ready = 0;

	poll_wait(file, &card->changed, table);
	spin_lock_irqsave(&card->lock, flags);
	if (queued || woken)
		ready = EPOLLIN | EPOLLRDNORM;
	woken = false;
	spin_unlock_irqrestore(&card->lock, flags);
	return ready;
}

static long take(struct card *card, void __user *to)
{
	struct adio_record it = { .remaining = -1 };
	unsigned long flags;

	spin_lock_irqsave(&card->lock, flags);
	if (queued) {
		it = queue[first];
		first = (first + 1) % ROOM;
		it.remaining = --queued;
	}
	it.missed = missed;
	spin_unlock_irqrestore(&card->lock, flags);
	return copy_to_user(to, &it, sizeof(it)) ? -EFAULT : 0;
}

static u8 read_register(struct card *card, u8 port)
{
	switch (port) {
	case MULTIFUNCTION:
		switch (control & 3) {
		case 1:
			return directions;
		case 2:
			return mask;
		default:
			return 0;
		}
	case CONTROL:
		return control;
	default:
		return card->levels >> (port ? 8 : 0);
	}
}

static void write_register(u8 port, u8 data)
{
	if (port == CONTROL)
		control = data;
	else if (port == MULTIFUNCTION && (control & 3) == 1)
		directions = data;
	else if (port == MULTIFUNCTION && (control & 3) == 2)
		mask = data;
}

static long adio_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	void __user *at = (void __user *)argument;
	struct adio_register it;
	unsigned long flags;

	card->calls++;
	switch (number) {
	case ADIO_GET:
		return take(card, at);
	case ADIO_WAKE:
		woken = true;
		wake_up_interruptible(&card->changed);
		return 0;
	case ADIO_IN:
	case ADIO_OUT:
		if (copy_from_user(&it, at, sizeof(it)))
			return -EFAULT;
		if (it.port > CONTROL)
			return -EINVAL;
		spin_lock_irqsave(&card->lock, flags);
		if (number == ADIO_OUT)
			write_register(it.port, it.data);
		else
			it.data = read_register(card, it.port);
		spin_unlock_irqrestore(&card->lock, flags);
		return number == ADIO_IN && copy_to_user(at, &it, sizeof(it)) ? -EFAULT : 0;
	default:
		return -EINVAL;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(adio_ioctl), .poll = adio_poll };

struct card adio_card = {
	.name = "adio",
	.lines = 16,
	.single = true,
	.interrupt = interrupt,
	.opened = opened,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "rtd-aDIO-0", .fops = &operations },
};
