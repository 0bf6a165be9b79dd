"""Writes pyvcd.vcd: README.md has the command."""

import sys

from vcd import VCDWriter

with open(sys.argv[1], "w") as file, VCDWriter(file, timescale="10 ns", date="today") as writer:
    count = writer.register_var("board.cpu", "count", "integer", size=8)
    irq = writer.register_var("board.cpu", "irq", "wire", size=1, init=0)
    sda = writer.register_var("board", "sda", "tri", size=1, init="z")
    level = writer.register_var("board", "level", "real", init=0.5)
    state = writer.register_var("board", "state", "string", init="idle")
    bus = writer.register_var("board", "bus", "reg", size=(3, 1), init=(5, 0))
    for turn in range(1, 6):
        writer.change(count, turn * 10, turn * 51)
        writer.change(irq, turn * 10 + 3, turn % 2)
        writer.change(sda, turn * 10 + 4, "0z1xz"[turn - 1])
        writer.change(level, turn * 10 + 5, turn / 4)
    writer.change(state, 60, "done")
    writer.change(bus, 61, (2, 1))
    writer.dump_off(70)
    writer.dump_on(80)
    writer.change(irq, 90, 0)
