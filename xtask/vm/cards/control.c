// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * /dev/cards: drives the inputs of the cards, and shows their state.
 *
 * Each line that is written is a command:
 *
 *   CARD set LINE LEVEL      sets the input to 0 or 1
 *   CARD toggle LINE COUNT   changes the input COUNT times without a pause; each change is an interrupt
 *   CARD WORD A B            a command that only this card has: see its file
 *
 * Reading gives a line for each card: its name, how many callers sleep in a wait, how many calls and opens there were, how
 * many files are open, the levels, and how many edges were driven on all lines together.
 */
#include "cards.h"

static struct card *const cards[] = { &apci_card, &adio_card, &uio48_card, &mpv_card, &digitalio_card, &per_line_card,
				      &registers_card, &rogue_card, &counter_card, &uio_card };

int card_open(struct inode *inode, struct file *file)
{
	struct card *card = card_of(file);
	unsigned long flags;
	int refused = 0;

	spin_lock_irqsave(&card->lock, flags);
	if (card->single && card->open_now) {
		refused = -EBUSY;
	} else {
		card->opens++;
		card->open_now++;
		if (card->opened)
			card->opened(card);
	}
	spin_unlock_irqrestore(&card->lock, flags);
	return refused;
}

int card_release(struct inode *inode, struct file *file)
{
	struct card *card = card_of(file);
	unsigned long flags;

	spin_lock_irqsave(&card->lock, flags);
	card->open_now--;
	spin_unlock_irqrestore(&card->lock, flags);
	return 0;
}

static void drive(struct card *card, unsigned int line, bool level)
{
	unsigned long flags;

	spin_lock_irqsave(&card->lock, flags);
	if (!!(card->levels & BIT_ULL(line)) != level) {
		card->levels ^= BIT_ULL(line);
		card->driven++;
		card->interrupt(card, line, level);
	}
	spin_unlock_irqrestore(&card->lock, flags);
}

static int command(struct card *card, const char *word, long a, long b)
{
	if (!strcmp(word, "set") || !strcmp(word, "toggle")) {
		if (a < 0 || a >= card->lines || b < 0)
			return -ERANGE;
		if (!strcmp(word, "set"))
			drive(card, a, b);
		else
			while (b--)
				drive(card, a, !(READ_ONCE(card->levels) & BIT_ULL(a)));
		return 0;
	}
	return card->command ? card->command(card, word, a, b) : -EINVAL;
}

static ssize_t control_write(struct file *file, const char __user *buffer, size_t count, loff_t *offset)
{
	char text[80], name[16], word[16];
	long a = 0, b = 0;
	int i, refused;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buffer, count))
		return -EFAULT;
	text[count] = 0;
	if (sscanf(text, "%15s %15s %li %li", name, word, &a, &b) < 2)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(cards); i++) {
		if (strcmp(cards[i]->name, name))
			continue;
		refused = command(cards[i], word, a, b);
		return refused ? refused : count;
	}
	return -ENODEV;
}

static ssize_t control_read(struct file *file, char __user *buffer, size_t count, loff_t *offset)
{
	static const size_t room = 2048;
	char *text = kmalloc(room, GFP_KERNEL);
	size_t length = 0;
	ssize_t given;
	int i;

	if (!text)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(cards); i++) {
		struct card *card = cards[i];
		unsigned long flags;

		spin_lock_irqsave(&card->lock, flags);
		length += scnprintf(text + length, room - length,
				    "%s waiting %d calls %lu opens %u open %u levels %#llx driven %llu\n", card->name,
				    card->waiting, card->calls, card->opens, card->open_now, card->levels, card->driven);
		spin_unlock_irqrestore(&card->lock, flags);
	}
	given = simple_read_from_buffer(buffer, count, offset, text, length);
	kfree(text);
	return given;
}

static const struct file_operations control_operations = {
	.owner = THIS_MODULE,
	.read = control_read,
	.write = control_write,
};

static struct miscdevice control = { .minor = MISC_DYNAMIC_MINOR, .name = "cards", .fops = &control_operations };

static int __init cards_start(void)
{
	int i, failed;

	for (i = 0; i < ARRAY_SIZE(cards); i++) {
		spin_lock_init(&cards[i]->lock);
		init_waitqueue_head(&cards[i]->changed);
		failed = misc_register(&cards[i]->device);
		if (failed)
			goto undo;
	}
	failed = uio_card_start();
	if (failed)
		goto undo;
	failed = misc_register(&control);
	if (!failed)
		return 0;
	uio_card_stop();
undo:
	while (i--)
		misc_deregister(&cards[i]->device);
	return failed;
}

static void __exit cards_stop(void)
{
	int i;

	misc_deregister(&control);
	uio_card_stop();
	for (i = 0; i < ARRAY_SIZE(cards); i++)
		misc_deregister(&cards[i]->device);
}

module_init(cards_start);
module_exit(cards_stop);
MODULE_DESCRIPTION("Cards with digital inputs that are not there, for tests in a virtual machine");
MODULE_LICENSE("Dual MIT/GPL");
