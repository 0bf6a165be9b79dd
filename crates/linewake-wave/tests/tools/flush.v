// What iverilog-blocks.fst is made of, in three blocks; README.md has the command.
`timescale 1us / 1us
module flush;
  reg a = 0;
  reg [1:0] b = 2;
  always #3 a = ~a;
  initial begin
    $dumpfile(`FILE);
    $dumpvars(0, flush);
    #10 b = 1;
    $dumpflush;
    #10 $dumpflush;
    #10 b = 3;
    #5 $finish;
  end
endmodule
