// A Cancel ends the calls it was given to, from another thread or beforehand.
#include <algorithm>
#include <thread>

#include "support.hpp"

using libchat::Cancel;
using libchat::Manager;
using namespace std::chrono_literals;

static void a_request_that_waits_is_cancelled(const Manager& ana, const Manager& ben) {
  test::Queue<int> asked;
  libchat::RespondOptions respond;
  respond.on_request = [&](const libchat::Request&) { asked.push(1); };
  const libchat::Responder silent = ben.answer(std::move(respond));
  const Cancel cancel;
  std::thread other([&] {
    asked.pop();
    cancel.fire();
  });
  libchat::CallOptions options;
  options.cancel = &cancel;
  options.timeout = 60s;
  const auto cancelled =
      test::thrown_by<libchat::Cancelled>([&] { ana.ask("ben", "well?", options); });
  CHECK_EQUAL(cancelled.status(), LIBCHAT_ERR_CANCELLED);
  other.join();
}

static void a_cancelled_send_is_not_stored_or_says_that_it_may_be(const test::Server& server,
                                                                  const Manager& ana) {
  const Cancel cancel;
  libchat::SendOptions options;
  options.id = "perhaps";
  options.cancel = &cancel;
  options.timeout = 60s;
  server.freeze();
  std::thread other([&] { cancel.fire(); });
  const libchat_status status = test::status_of([&] { ana.send("plan", "perhaps", options); });
  other.join();
  server.thaw();
  CHECK(status == LIBCHAT_ERR_CANCELLED || status == LIBCHAT_ERR_OUTCOME_UNKNOWN);
  ana.send("plan", "behind it");
  const libchat::History history = ana.history("plan");
  const bool stored =
      std::any_of(history.events.begin(), history.events.end(),
                  [](const libchat::Event& event) { return event.message.id() == "perhaps"; });
  CHECK(!stored || status == LIBCHAT_ERR_OUTCOME_UNKNOWN);
}

static void a_cancel_that_has_fired_ends_every_call(const test::Server& server,
                                                    const libchat::Connection& connection,
                                                    const Manager& ana) {
  const Cancel cancel;
  cancel.fire();
  cancel.fire();
  const auto cancelled = [&](auto options, auto call) {
    options.cancel = &cancel;
    test::thrown_by<libchat::Cancelled>([&] { call(options); });
  };
  const auto ignore = [](const auto& request) { static_cast<void>(request); };
  libchat::RespondOptions respond;
  respond.on_request = ignore;
  cancelled(libchat::SendOptions(), [&](auto& it) { ana.send("plan", "x", it); });
  cancelled(libchat::SendOptions(), [&](auto& it) { ana.send_async("plan", "x", it).get(); });
  cancelled(libchat::WatchOptions(), [&](auto& it) { ana.watch("plan", it); });
  cancelled(libchat::WatchOptions(), [&](auto& it) { ana.watch_all(it); });
  cancelled(libchat::WatchOptions(), [&](auto& it) { ana.watch_pattern("*", it); });
  cancelled(libchat::HistoryOptions(), [&](auto& it) { ana.history("plan", it); });
  cancelled(libchat::CallOptions(), [&](auto& it) { ana.list_threads(it); });
  cancelled(libchat::CallOptions(), [&](auto& it) { ana.threads_for_agent("ana", 9, it); });
  cancelled(libchat::CallOptions(), [&](auto& it) { ana.ask("ben", "x", it); });
  cancelled(libchat::CallOptions(), [&](auto& it) { ana.request("a.b", "x", it); });
  cancelled(respond, [&](auto& it) { ana.respond("a.b", it); });
  cancelled(respond, [&](auto& it) { ana.answer(it); });
  cancelled(libchat::OpenOptions(), [&](auto& it) { connection.open("demo", "eve", it); });
  cancelled(server.options(), [&](auto& it) { libchat::connect(it); });
  ana.send("plan", "goes on");
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const Manager ana = connection.open("demo", "ana"), ben = connection.open("demo", "ben");
  a_request_that_waits_is_cancelled(ana, ben);
  a_cancelled_send_is_not_stored_or_says_that_it_may_be(server, ana);
  a_cancel_that_has_fired_ends_every_call(server, connection, ana);
}
