// Says hello in a thread, and prints what is said there until it has come back:
// hello [PROJECT [AGENT]]
#include <iostream>
#include <libchat.hpp>
#include <string>

int main(int argc, char** argv) try {
  const std::string agent = argc > 2 ? argv[2] : "ana";
  const libchat::Connection connection = libchat::connect();  // finds the server
  const libchat::Manager manager = connection.open(argc > 1 ? argv[1] : "demo", agent);

  libchat::WatchOptions options;
  options.on_event = [agent](const libchat::Event& event) {  // on a thread of libchat
    if (!event.message) return libchat::Flow::go_on;
    std::cout << event.message.sender() << ": " << event.message.body() << std::endl;
    return event.message.sender() == agent ? libchat::Flow::stop : libchat::Flow::go_on;
  };
  const libchat::Watch watch = manager.watch("plan", options);

  const libchat::Receipt receipt = manager.send("plan", "hello from C++");
  watch.join();  // until the callback has stopped it; throws what it threw
  std::cout << "stored as number " << receipt.cursor.seq() << std::endl;
} catch (const libchat::OutcomeUnknown& error) {
  std::cerr << "hello: " << error.what() << "\nIt may be stored, as " << error.id() << "\n";
  return 1;
} catch (const std::exception& error) {
  std::cerr << "hello: " << error.what() << "\n";
  return 1;
}
