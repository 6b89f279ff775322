// Watches that call: order, stop from inside, exceptions, and what on_done is told.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "support.hpp"

using libchat::Event;
using libchat::Flow;

/// What on_done was told, as text.
static std::string told(const std::exception_ptr& why) {
  if (!why) return "stopped";
  try {
    std::rethrow_exception(why);
  } catch (const libchat::Closed&) {
    return "closed";
  } catch (const std::exception& error) {
    return error.what();
  }
}

static void events_come_in_order_until_the_callback_stops_its_watch(const libchat::Manager& ana) {
  test::Queue<std::string> bodies, done;
  libchat::WatchOptions options;
  options.on_event = [&](const Event& event) {
    if (!event.message) return Flow::go_on;
    bodies.push(std::string(event.message.body()));
    return event.message.body() == "49" ? Flow::stop : Flow::go_on;
  };
  options.on_done = [&](std::exception_ptr why) { done.push(told(why)); };
  const libchat::Watch watch = ana.watch("order", options);
  for (int i = 0; i < 60; ++i) ana.send("order", std::to_string(i));
  watch.join();
  for (int i = 0; i < 50; ++i) CHECK_EQUAL(bodies.pop(), std::to_string(i));
  CHECK(bodies.empty());
  CHECK_EQUAL(done.pop(), "stopped");
  CHECK(done.empty());
  watch.join();
}

static void a_callback_may_stop_its_watch_through_its_owner(const libchat::Manager& ana) {
  test::Queue<const libchat::Watch*> owners;
  std::atomic<int> after_stop{0};
  libchat::WatchOptions options;
  options.on_event = [&](const Event& event) {
    if (event.kind == libchat::EventKind::caught_up) {
      owners.pop()->stop();
      return Flow::go_on;
    }
    ++after_stop;
    return Flow::go_on;
  };
  const libchat::Watch watch = ana.watch("inside", options);
  ana.send("inside", "one");
  ana.send("inside", "two");
  owners.push(&watch);
  watch.join();
  CHECK_EQUAL(after_stop.load(), 0);
}

static void what_a_callback_throws_stops_its_watch_and_comes_out_of_join(
    const libchat::Manager& ana) {
  test::Queue<std::string> done;
  std::atomic<int> calls{0};
  libchat::WatchOptions options;
  options.on_event = [&](const Event& event) -> Flow {
    if (!event.message) return Flow::go_on;
    ++calls;
    throw std::domain_error("no such plan");
  };
  options.on_done = [&](std::exception_ptr why) { done.push(told(why)); };
  const libchat::Watch watch = ana.watch("throws", options);
  libchat::Watch other = ana.watch("throws");
  ana.send("throws", "one");
  ana.send("throws", "two");
  const auto join = [&] { watch.join(); };
  CHECK_EQUAL(std::string(test::thrown_by<std::domain_error>(join).what()), "no such plan");
  CHECK_EQUAL(std::string(test::thrown_by<std::domain_error>(join).what()), "no such plan");
  CHECK_EQUAL(calls.load(), 1);
  CHECK_EQUAL(done.pop(), "no such plan");
  CHECK_EQUAL(other.next()->body(), "one");
  CHECK_EQUAL(other.next()->body(), "two");
  watch.close();
  CHECK_EQUAL(test::status_of(join), LIBCHAT_ERR_CLOSED);
}

static void what_on_done_throws_comes_out_of_join_too(const libchat::Manager& ana) {
  libchat::WatchOptions options;
  options.on_done = [](std::exception_ptr) { throw std::range_error("done badly"); };
  const libchat::Watch watch = ana.watch("done", options);
  watch.stop();
  const auto error = test::thrown_by<std::range_error>([&] { watch.join(); });
  CHECK_EQUAL(std::string(error.what()), "done badly");
}

static void on_done_tells_of_a_manager_that_was_closed(const libchat::Connection& connection) {
  const libchat::Manager ben = connection.open("demo", "ben");
  test::Queue<std::string> done;
  libchat::WatchOptions options;
  options.on_done = [&](std::exception_ptr why) { done.push(told(why)); };
  const libchat::Watch pulled = ben.watch("closing", options);
  options.on_event = [](const Event&) { return Flow::go_on; };
  const libchat::Watch pushed = ben.watch("closing", options);
  std::thread joining([&] { test::thrown_by<libchat::Closed>([&] { pushed.join(); }); });
  ben.close();
  // close() has waited for them.
  CHECK(!done.empty());
  CHECK_EQUAL(done.pop(), "closed");
  CHECK(!done.empty());
  CHECK_EQUAL(done.pop(), "closed");
  CHECK(done.empty());
  joining.join();
}

static void every_verb_works_inside_a_callback_and_join_refuses(const libchat::Manager& ana) {
  test::Queue<const libchat::Watch*> owners;
  test::Queue<libchat_status> joined;
  libchat::WatchOptions options;
  options.on_event = [&](const Event& event) {
    if (!event.message) return Flow::go_on;
    const libchat::Watch& self = *owners.pop();
    joined.push(test::status_of([&] { self.join(); }));
    ana.send("answers", event.message.body());
    const auto page = ana.history("questions");
    CHECK_EQUAL(page.events.size(), 1u);
    return Flow::stop;
  };
  libchat::Watch answers = ana.watch("answers");
  libchat::Watch watch = ana.watch("questions", options);
  owners.push(&watch);
  ana.send("questions", "why?");
  CHECK_EQUAL(answers.next()->body(), "why?");
  CHECK_EQUAL(joined.pop(), LIBCHAT_ERR_WOULD_DEADLOCK);
  CHECK_EQUAL(test::status_of([&] { watch.take(1, {}); }), LIBCHAT_ERR_INVALID_STATE);
  CHECK_EQUAL(test::status_of([&] { watch.fd(); }), LIBCHAT_ERR_INVALID_STATE);
  watch.join();
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const libchat::Manager ana = connection.open("demo", "ana");
  events_come_in_order_until_the_callback_stops_its_watch(ana);
  a_callback_may_stop_its_watch_through_its_owner(ana);
  what_a_callback_throws_stops_its_watch_and_comes_out_of_join(ana);
  what_on_done_throws_comes_out_of_join_too(ana);
  on_done_tells_of_a_manager_that_was_closed(connection);
  every_verb_works_inside_a_callback_and_join_refuses(ana);
}
