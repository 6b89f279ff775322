// Reading a watch: loops, take, and what ends them.
#include <poll.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "support.hpp"

using namespace std::chrono_literals;

static void a_loop_goes_on_where_the_last_one_broke_off(const libchat::Manager& ana) {
  libchat::Watch watch = ana.watch("loops");
  for (int i = 0; i < 100; ++i) ana.send("loops", std::to_string(i));

  std::vector<std::string> read;
  const auto read_until = [&](const char* last) {
    for (const auto& message : watch) {
      read.emplace_back(message.body());
      if (message.body() == last) break;
    }
  };
  read_until("9");
  read_until("29");
  const auto taken = watch.take(5, test::patience);
  CHECK(taken && !taken->empty() && taken->size() <= 5);
  for (const libchat::Event& event : *taken) read.emplace_back(event.message.body());
  read_until("99");
  CHECK_EQUAL(read.size(), 100u);
  for (int i = 0; i < 100; ++i) CHECK_EQUAL(read[static_cast<std::size_t>(i)], std::to_string(i));

  watch.stop();
  for (const auto& message : watch) test::fail("a stopped watch gave", 0, message.id().data());
  CHECK(!watch.take(1, 0ms) && !watch.next() && !watch.next_event());
  watch.join();
}

static void stopping_from_another_thread_ends_a_loop_that_waits(const libchat::Manager& ana) {
  libchat::Watch watch = ana.watch("stops");
  test::Queue<int> started, ended;
  std::thread reader([&] {
    for (const auto& message : watch) started.push(static_cast<int>(message.cursor().seq()));
    ended.push(1);
  });
  ana.send("stops", "one");
  started.pop();
  watch.stop();
  ended.pop();
  reader.join();
}

template <class Owner>
static void closing_ends_a_loop_with_an_exception(libchat::Watch watch, const Owner& owner) {
  test::Queue<std::string> ended;
  std::thread reader([&] {
    try {
      for (const auto& message : watch) test::fail("it gave", 0, std::string(message.body()));
      ended.push("without a word");
    } catch (const libchat::Closed& closed) {
      ended.push(closed.status() == LIBCHAT_ERR_CLOSED ? "closed" : closed.what());
    }
  });
  owner.close();
  CHECK_EQUAL(ended.pop(), "closed");
  reader.join();
  CHECK_EQUAL(test::status_of([&] { watch.next(); }), LIBCHAT_ERR_CLOSED);
}

static void events_tell_what_a_loop_over_messages_passes_over(const libchat::Manager& ana) {
  ana.send("events", "old");
  libchat::WatchOptions options;
  options.start = libchat::Start::all();
  libchat::Watch watch = ana.watch("events", options);
  const auto first = watch.next_event();
  CHECK(first && first->kind == libchat::EventKind::message);
  CHECK_EQUAL(first->message.body(), "old");
  const auto second = watch.next_event();
  CHECK(second && second->kind == libchat::EventKind::caught_up && !second->message);
  ana.send("events", "new");
  CHECK_EQUAL(watch.next()->body(), "new");
}

static void take_and_poll_fit_a_loop_of_ones_own(const libchat::Manager& ana) {
  libchat::Watch watch = ana.watch("polled");
  pollfd polled = {static_cast<int>(watch.fd()), POLLIN, 0};
  const int wait = static_cast<int>(std::chrono::milliseconds(test::patience).count());
  const auto receipt = ana.send("polled", "hello");

  std::string read;
  while (read.empty()) {
    CHECK_EQUAL(poll(&polled, 1, wait), 1);
    const auto events = watch.take(64, 0ms);
    CHECK(events);
    for (const libchat::Event& event : *events)
      if (event.message) read = event.message.id();
  }
  CHECK_EQUAL(read, receipt.id);
  const auto nothing = watch.take(64, 0ms);
  CHECK(nothing && nothing->empty());
  watch.stop();
  CHECK_EQUAL(poll(&polled, 1, wait), 1);
  CHECK(!watch.take(64, 0ms));
  close(polled.fd);
}

static void a_watch_is_an_input_range(const libchat::Manager& ana) {
  libchat::Watch watch = ana.watch("algorithms");
  for (const char* body : {"a", "b", "c"}) ana.send("algorithms", body);
  const auto found = std::find_if(watch.begin(), watch.end(),
                                  [](const auto& message) { return message.body() == "b"; });
  CHECK(found != watch.end());
  const libchat::Message kept = *found;
  CHECK_EQUAL(watch.next()->body(), "c");
  watch.close();
  CHECK_EQUAL(kept.body(), "b");
  CHECK_EQUAL(kept.sender(), "ana");
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const libchat::Manager ana = connection.open("demo", "ana");
  a_loop_goes_on_where_the_last_one_broke_off(ana);
  stopping_from_another_thread_ends_a_loop_that_waits(ana);
  events_tell_what_a_loop_over_messages_passes_over(ana);
  take_and_poll_fit_a_loop_of_ones_own(ana);
  a_watch_is_an_input_range(ana);

  const libchat::Manager ben = connection.open("demo", "ben");
  closing_ends_a_loop_with_an_exception(ben.watch_all(), ben);
  CHECK_EQUAL(test::status_of([&] { ben.send("plan", "x"); }), LIBCHAT_ERR_CLOSED);
  closing_ends_a_loop_with_an_exception(ana.watch_all(), connection);
  CHECK_EQUAL(test::status_of([&] { ana.send("plan", "x"); }), LIBCHAT_ERR_CLOSED);
}
