// Prints the last messages of a thread, then each as it comes: follow [PROJECT [AGENT [THREAD]]]
#include <iostream>
#include <libchat.hpp>

int main(int argc, char** argv) try {
  const libchat::Connection connection = libchat::connect();  // finds the server
  const libchat::Manager manager =
      connection.open(argc > 1 ? argv[1] : "demo", argc > 2 ? argv[2] : "ana");

  libchat::WatchOptions options;
  options.start = libchat::Start::last(20);
  libchat::Watch watch = manager.watch(argc > 3 ? argv[3] : "plan", options);
  for (const libchat::Message& message : watch)
    std::cout << message.sender() << ": " << message.body() << std::endl;
} catch (const libchat::Error& error) {
  std::cerr << "follow: " << error.what() << "\n";
  if (!error.hint().empty()) std::cerr << error.hint() << "\n";
  return 1;
}
