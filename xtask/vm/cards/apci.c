// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Like ACCES I/O's driver `apci` for a PCIe-DIO-24S. The numbers and the structure are those of its apci_ioctl.h.
 *
 * One caller at a time may wait; a second one gets EALREADY. If an interrupt comes while no caller waits, it is kept, but
 * only one. A cancelled wait ends with ECANCELED. The registers are bytes of BAR 2: ports A, B and C, then the control
 * byte.
 */
#include "cards.h"

struct apci_register {
	u64 device_index;
	s32 bar;
	u32 offset;
	/* 0: a byte, 1: two bytes, 2: four bytes. */
	u32 size;
	u32 data;
};

#define APCI_WRITE _IOW(0xE0, 3, void *)
#define APCI_READ _IOR(0xE0, 4, void *)
#define APCI_WAIT _IOR(0xE0, 5, unsigned long)
#define APCI_CANCEL _IOW(0xE0, 6, unsigned long)

/* The register that enables interrupts at a change of state, for all ports. */
#define ENABLE 0x0b

static bool waits, pending, cancelled, enabled;

static void interrupt(struct card *card, unsigned int line, bool level)
{
	if (enabled) {
		pending = true;
		wake_up_interruptible(&card->changed);
	}
}

static void opened(struct card *card)
{
	if (card->open_now == 1)
		pending = cancelled = enabled = false;
}

static long wait(struct card *card)
{
	unsigned long flags;
	long ended;

	spin_lock_irqsave(&card->lock, flags);
	if (waits) {
		spin_unlock_irqrestore(&card->lock, flags);
		return -EALREADY;
	}
	waits = true;
	cancelled = false;
	spin_unlock_irqrestore(&card->lock, flags);
	ended = card_wait(card, READ_ONCE(pending) || READ_ONCE(cancelled));
	spin_lock_irqsave(&card->lock, flags);
	waits = false;
	if (!ended && cancelled)
		ended = -ECANCELED;
	else if (!ended)
		pending = false;
	spin_unlock_irqrestore(&card->lock, flags);
	return ended;
}

static long cancel(struct card *card)
{
	unsigned long flags;
	long refused = 0;

	spin_lock_irqsave(&card->lock, flags);
	if (waits)
		cancelled = true;
	else
		refused = -EALREADY;
	spin_unlock_irqrestore(&card->lock, flags);
	wake_up_interruptible(&card->changed);
	return refused;
}

static long apci_ioctl(struct file *file, unsigned int number, unsigned long argument)
{
	struct card *card = card_of(file);
	struct apci_register it;
	u32 registers;

	card->calls++;
	switch (number) {
	case APCI_WAIT:
		return argument ? -EINVAL : wait(card);
	case APCI_CANCEL:
		return argument ? -EINVAL : cancel(card);
	case APCI_WRITE:
	case APCI_READ:
		if (copy_from_user(&it, (void __user *)argument, sizeof(it)))
			return -EFAULT;
		if (it.device_index || it.bar != 2 || it.size > 2)
			return -EFAULT;
		if (number == APCI_WRITE) {
			if (it.offset == ENABLE)
				WRITE_ONCE(enabled, !(it.data & 1));
			return 0;
		}
		if (it.offset > 3)
			return -EFAULT;
		registers = (READ_ONCE(card->levels) & 0xffffff) | 0x9b000000;
		it.data = registers >> (8 * it.offset);
		if (it.size < 2)
			it.data &= it.size ? 0xffff : 0xff;
		return copy_to_user((void __user *)argument, &it, sizeof(it)) ? -EFAULT : 0;
	default:
		return -EINVAL;
	}
}

static const struct file_operations operations = { CARD_OPERATIONS(apci_ioctl) };

struct card apci_card = {
	.name = "apci",
	.lines = 24,
	.interrupt = interrupt,
	.opened = opened,
	.device = { .minor = MISC_DYNAMIC_MINOR,
		    .name = "apci-pcie_dio_24s_0",
		    .nodename = "apci/pcie_dio_24s_0",
		    .fops = &operations },
};
