// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A Super-I/O chip behind an index port and a data port, like Nuvoton's NCT5104D (data sheet). Writing 0x87 twice opens it,
 * index 7 selects a device in it, and index 0xE1 has the levels of the eight inputs of its first GPIO port. Writing 0xAA
 * closes it; a closed chip reads as 0xFF. Two ioctls with { port, value } access the ports, as in drivers for port access;
 * their numbers are made up.
 */
#include "cards.h"

struct port_value {
	u8 port;
	u8 value;
};

#define PORT_OUT _IOW('S', 1, struct port_value)
#define PORT_IN _IOWR('S', 2, struct port_value)

#define INDEX 0x2e
#define DATA 0x2f
#define SELECT 0x07
#define GPIO 0x07
#define INPUTS 0xe1

static int keys;
static u8 selected, index;

/* A change is not reported: the chip is polled. */
static void interrupt(struct card *card, unsigned int line, bool level)
{
}

static void out(u8 port, u8 value)
{
	if (port == INDEX && keys < 2) {
		keys = value == 0x87 ? keys + 1 : 0;
	} else if (port == INDEX && value == 0xaa) {
		keys = 0;
	} else if (port == INDEX) {
		index = value;
	} else if (port == DATA && keys == 2 && index == SELECT) {
		selected = value;
	}
}

static long registers_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	struct port_value it;
	unsigned long flags;

	card->calls++;
	if (number != PORT_OUT && number != PORT_IN)
		return -ENOTTY;
	if (copy_from_user(&it, (void __user *)argument, sizeof(it)))
		return -EFAULT;
	spin_lock_irqsave(&card->lock, flags);
	if (number == PORT_OUT)
		out(it.port, it.value);
	else
		it.value = it.port == DATA && keys == 2 && selected == GPIO && index == INPUTS ? card->levels : 0xff;
	spin_unlock_irqrestore(&card->lock, flags);
	return number == PORT_IN && copy_to_user((void __user *)argument, &it, sizeof(it)) ? -EFAULT : 0;
}

static const struct file_operations operations = { CARD_OPERATIONS(registers_ioctl) };

struct card registers_card = {
	.name = "registers",
	.lines = 8,
	.interrupt = interrupt,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "superio0", .fops = &operations },
};
