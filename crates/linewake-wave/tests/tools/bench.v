// What the files of Icarus Verilog and Verilator here are made of; README.md has the commands.
`timescale 1ns / 1ps
module bench;
  reg clk = 0;
  reg [3:0] count = 0;
  wire [0:2] up = count[2:0];
  tri sda;
  reg pull = 0;
  reg late;
  real volts = 1.5;
  integer steps = 0;
  reg [7:0] \odd.name[0] = 8'h81;
  assign sda = pull ? 1'b0 : 1'bz;
  child inner (.clk(clk), .q());
  always #5 clk = ~clk;
  always @(posedge clk) begin
    count <= count + 3;
    steps <= steps - 1;
    pull <= ~pull;
    volts = volts + 0.25;
  end
  initial begin
    $dumpfile(`FILE);
    $dumpvars(0, bench);
    #12 late = 1;
    #30 late = 0;
    #0.5 late = 1;
    #20 $finish;
  end
endmodule

module child(input clk, output reg q = 0);
  always @(negedge clk) q <= ~q;
endmodule
