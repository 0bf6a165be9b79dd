// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A device of the kernel's UIO (linux/uio_driver.h), /dev/uio0, whose driver has `irqcontrol`, as uio_pdrv_genirq has.
 *
 * A rising edge of its input is an interrupt. The driver then disables the interrupt, and a program enables it again by
 * writing 1. Edges in between are kept until then as one interrupt, as the kernel does with an edge-triggered interrupt.
 */
#include "cards.h"
#include <linux/uio_driver.h>

static bool enabled, kept;

static int control(struct uio_info *info, s32 on);

static struct uio_info uio = {
	.name = "uio_card",
	.version = "1",
	.irq = UIO_IRQ_CUSTOM,
	.irqcontrol = control,
};

static void interrupt(struct card *card, unsigned int line, bool level)
{
	if (!level)
		return;
	kept = !enabled;
	if (!enabled)
		return;
	enabled = false;
	uio_event_notify(&uio);
}

static int control(struct uio_info *info, s32 on)
{
	unsigned long flags;

	spin_lock_irqsave(&uio_card.lock, flags);
	uio_card.calls++;
	enabled = on;
	if (enabled)
		interrupt(&uio_card, 0, kept);
	spin_unlock_irqrestore(&uio_card.lock, flags);
	return 0;
}

int uio_card_start(void)
{
	return uio_register_device(uio_card.device.this_device, &uio);
}

void uio_card_stop(void)
{
	uio_unregister_device(&uio);
}

/* The input, which /dev/cards drives. */
static const struct file_operations operations = { .owner = THIS_MODULE, .open = card_open, .release = card_release };

struct card uio_card = {
	.name = "uio",
	.lines = 1,
	.interrupt = interrupt,
	.device = { .minor = MISC_DYNAMIC_MINOR, .name = "uio_card", .fops = &operations },
};
