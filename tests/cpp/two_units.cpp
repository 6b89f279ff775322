// The header in two translation units of one program: this one and two_units_other.cpp.
#include "support.hpp"

libchat::Watch watch_elsewhere(const libchat::Manager& manager, libchat::WatchOptions options);
[[noreturn]] void fail_elsewhere();

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const libchat::Manager ana = connection.open("demo", "ana");
  test::Queue<std::string> bodies;
  libchat::WatchOptions options;
  options.on_event = [&](const libchat::Event& event) {
    if (event.message) bodies.push(std::string(event.message.body()));
    return libchat::Flow::go_on;
  };
  const libchat::Watch watch = watch_elsewhere(ana, std::move(options));
  ana.send("plan", "from here to there");
  CHECK_EQUAL(bodies.pop(), "from here to there");
  test::thrown_by<libchat::Closed>(fail_elsewhere);
}
