"""Writes myhdl.vcd into this directory: README.md has the command."""

from myhdl import Signal, always, block, delay, instance, intbv, modbv


@block
def bench():
    clk = Signal(bool(0))
    count = Signal(modbv(0)[4:])
    signed = Signal(intbv(-1, min=-4, max=4))
    name = Signal("idle")

    @always(delay(5))
    def clock():
        clk.next = not clk

    @always(clk.posedge)
    def counter():
        count.next = count + 3
        signed.next = -2 if count > 7 else 3

    @instance
    def script():
        yield delay(22)
        name.next = "run"

    return clock, counter, script


test = bench()
test.config_sim(trace=True, filename="myhdl", timescale="1ns")
test.run_sim(50, quiet=1)
