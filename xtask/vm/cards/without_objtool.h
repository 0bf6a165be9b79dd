/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The kernel's build runs a program, objtool, on each object file. The cards are built without it. So a branch that the
 * kernel may patch must be a "nop" from the beginning, since no objtool replaces a jump there.
 */
#undef CONFIG_HAVE_JUMP_LABEL_HACK
