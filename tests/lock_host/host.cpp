// The firmware's own DoorLock on this machine: one order a line on standard input, what it does on standard output.
//   at MS             the clock
//   up | down         the broker's connection: `up` is the on_connect of ESPHome, then its loop
//   full 0|1          the queue to the broker is full
//   loop GO LEAF      ESPHome's loop, with the pins' read-backs as 0 or 1
//   exit 0|1          the button
//   beat              the timer fires
//   obey HEX          a payload on lock/command, as hex digits
// Each order is answered by what is said, the strike where it changed, and `done`.
#include <iostream>
#include <vector>

#include "lock_device.h"

namespace {

std::string unhex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

}  // namespace

int main(int, char **arguments) {
  int strike = -1;
  auto &client = esphome::mqtt::the_client;
  latchkey::DoorLock lock(arguments[1], arguments[2],
                          {.let_go =
                               [&strike](bool let_go) {
                                 if (strike != (let_go ? 1 : 0))
                                   printf("strike %d\n", strike = let_go ? 1 : 0);
                               },
                           .exit_pin = GPIO_NUM_32,
                           .exit_hold_ms = 5000});
  std::string order;
  while (std::cin >> order) {
    int one = 0, other = 0;
    if (order == "at") {
      std::cin >> clock_us;
      clock_us *= 1000;
    } else if (order == "up") {
      client.up = true;
      lock.connected();
    } else if (order == "down") {
      client.up = false;
    } else if (order == "full") {
      std::cin >> client.full;
    } else if (order == "loop") {
      std::cin >> one >> other;
      lock.loop(one != 0, other != 0);
    } else if (order == "exit") {
      std::cin >> one;
      exit_level = one != 0 ? 0 : 1;
    } else if (order == "beat") {
      timer.callback(timer.arg);
    } else if (order == "obey") {
      std::string hex;
      std::cin >> hex;
      // On the heap and exactly as long, so that the sanitizer sees the first byte read too far.
      const std::string bytes = hex == "-" ? "" : unhex(hex);
      lock.obey(std::string(bytes.begin(), bytes.end()));
    } else {
      return 1;
    }
    printf("done\n");
    fflush(stdout);
  }
  return 0;
}
