"""Writes packed.vcd, with enough of the same for every kind of packing: README.md has the command."""

import sys

with open(sys.argv[1], "w") as file:
    file.write("$timescale 1ns $end\n$scope module t $end\n")
    for number in range(4):
        file.write(f"$var wire {1 if number % 2 else 12} {chr(33 + number)} w{number} $end\n")
    file.write("$upscope $end\n$enddefinitions $end\n#0\n$dumpvars\nb0 !\n0\"\nbx #\nz$\n$end\n")
    for time in range(1, 240):
        file.write(f"#{time * 7}\n{time & 1}\"\nb{(time * 5) & 4095:b} !\n")
        if time % 3 == 0:
            file.write(f"{'01xz'[time % 4]}$\nb{'1x0z'[time % 4] * 3}01 #\n")
