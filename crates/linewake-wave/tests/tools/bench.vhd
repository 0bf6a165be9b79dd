-- What the files of GHDL here are made of; README.md has the commands.
library ieee;
use ieee.std_logic_1164.all;

entity child is
  port (clk : in std_logic; q : out std_logic := '0');
end child;

architecture plain of child is
  signal level : std_logic := '0';
begin
  q <= level;
  process (clk) begin
    if falling_edge(clk) then level <= not level; end if;
  end process;
end plain;

library ieee;
use ieee.std_logic_1164.all;

entity bench is
end bench;

architecture test of bench is
  type state_type is (idle, run, done);
  type pair_type is record
    valid : std_logic;
    data : std_logic_vector(1 downto 0);
  end record;
  signal clk : std_logic := '0';
  signal flag : bit := '0';
  signal ok : boolean := false;
  signal bus_down : std_logic_vector(3 downto 0) := "0101";
  signal bus_up : bit_vector(0 to 2) := "100";
  signal weak : std_logic := 'H';
  signal sda : std_logic := 'Z';
  signal state : state_type := idle;
  signal number : integer := 7;
  signal volts : real := 1.5;
  signal pair : pair_type := (valid => '0', data => "10");
  signal inner_q : std_logic;
begin
  inner : entity work.child port map (clk => clk, q => inner_q);
  process begin
    for turn in 1 to 6 loop
      clk <= not clk;
      wait for 5 ns;
    end loop;
    wait;
  end process;
  process begin
    wait for 12 ns;
    flag <= '1'; ok <= true; bus_down <= "1X0Z"; bus_up <= "110"; weak <= 'L'; sda <= '0'; state <= run; number <= -2;
    volts <= 2.25; pair.valid <= '1'; pair.data <= "01";
    wait for 10500 ps;
    flag <= '0'; ok <= false; bus_down <= "0000"; bus_up <= "001"; weak <= 'W'; sda <= 'Z'; state <= done;
    wait;
  end process;
end test;
