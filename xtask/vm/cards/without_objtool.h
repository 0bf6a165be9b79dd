/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The kernel's build has a program, objtool, that goes over each object file. What is here is built without it: a branch
 * that the kernel may turn round is then a "nop" from the beginning, and not a jump that objtool makes one.
 */
#undef CONFIG_HAVE_JUMP_LABEL_HACK
