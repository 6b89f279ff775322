// Sends: receipts, what exceptions carry, an unknown outcome put right, completions.
#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>
#include <vector>

#include "support.hpp"

using libchat::Manager;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

static std::size_t stored_under(const Manager& manager, const char* thread, const std::string& id) {
  const libchat::History history = manager.history(thread);
  CHECK(!history.truncated);
  return static_cast<std::size_t>(
      std::count_if(history.events.begin(), history.events.end(),
                    [&](const libchat::Event& event) { return event.message.id() == id; }));
}

static void what_is_sent_is_what_is_read(const Manager& ana) {
  const auto before = std::chrono::system_clock::now() - 60s;
  libchat::SendOptions options;
  options.id = "the-first";
  options.reply_to = "some-question";
  options.headers = {{"traceparent", "00-1-2-03"}, {"Colour", "green"}};
  const std::string body = "caf\xc3\xa9 \0 au lait"s;
  const libchat::Receipt receipt = ana.send("sent", body, options);
  CHECK_EQUAL(receipt.id, "the-first");
  CHECK(!receipt.duplicate && receipt.cursor);

  const libchat::Receipt again = ana.send("sent", body, options);
  CHECK(again.duplicate);
  CHECK_EQUAL(again.cursor.seq(), receipt.cursor.seq());

  const libchat::History history = ana.history("sent");
  CHECK_EQUAL(history.events.size(), 1u);
  const libchat::Message& message = history.events[0].message;
  CHECK_EQUAL(message.id(), "the-first");
  CHECK_EQUAL(message.body(), body);
  CHECK_EQUAL(message.sender(), "ana");
  CHECK_EQUAL(message.thread(), "sent");
  CHECK_EQUAL(message.short_id(), libchat::thread_short("demo", "sent"));
  CHECK_EQUAL(message.reply_to(), "some-question");
  CHECK_EQUAL(message.cursor().seq(), receipt.cursor.seq());
  CHECK(message.sent_at() > before && message.time() > before);
  CHECK_EQUAL(message.header("Colour").value(), "green");
  CHECK(!message.header("colour"));
  const libchat::Headers headers = message.headers();
  CHECK(std::any_of(headers.begin(), headers.end(), [](const libchat::Header& header) {
    return header.name == "traceparent" && header.value == "00-1-2-03";
  }));

  options = {};
  options.by_short = true;
  ana.send(message.short_id(), "to the same thread", options);
  CHECK_EQUAL(ana.history("sent").events.size(), 2u);
}

static void exceptions_say_what_c_says(const Manager& ana) {
  libchat::SendOptions options;
  options.id = "refused";
  options.expect_last = libchat::Cursor();
  ana.send("conditional", "first", options);
  options.id = "refused-2";
  const auto conflict =
      test::thrown_by<libchat::Conflict>([&] { ana.send("conditional", "second", options); });
  CHECK_EQUAL(conflict.status(), LIBCHAT_ERR_CONFLICT);
  CHECK_EQUAL(conflict.id(), "refused-2");
  CHECK(!conflict.hint().empty() && !conflict.retryable() && conflict.server_code() != 0);
  CHECK(std::string(conflict.what()).find("chat.demo.") != std::string::npos);

  const auto invalid = test::thrown_by<libchat::Error>([&] { ana.send("", "x"); });
  CHECK_EQUAL(invalid.status(), LIBCHAT_ERR_INVALID_ARGUMENT);
  const auto not_text = test::thrown_by<libchat::Error>([&] { ana.send("sent", "a\xff"); });
  CHECK_EQUAL(not_text.status(), LIBCHAT_ERR_INVALID_ARGUMENT);
  const libchat::Error copy = not_text;
  CHECK_EQUAL(std::string(copy.what()), not_text.what());
}

static void a_nul_that_would_cut_a_text_short_is_refused(const test::Server& server,
                                                         const Manager& ana) {
  const std::string text = "pl\0an"s;
  const auto refuses = [](const char* what, auto&& verb) {
    const auto error = test::thrown_by<libchat::Error>(verb);
    CHECK_EQUAL(error.status(), LIBCHAT_ERR_INVALID_ARGUMENT);
    CHECK_EQUAL(std::string(error.what()).substr(0, std::string(what).size()), what);
    CHECK(std::string(error.what()).find("NUL") != std::string::npos);
  };
  refuses("thread", [&] { ana.send(text, "x"); });
  refuses("thread", [&] { ana.watch(text); });
  refuses("thread", [&] { ana.history(text); });
  refuses("pattern", [&] { ana.watch_pattern(text); });
  refuses("agent", [&] { ana.ask(text, "x"); });
  refuses("agent", [&] { ana.threads_for_agent(text, 1); });
  refuses("subject", [&] { ana.request(text, "x"); });
  refuses("cursor", [&] { libchat::Cursor::parse("c1.1.2.3\0"sv); });
  const auto option = [&](auto set) {
    libchat::SendOptions options;
    set(options);
    ana.send("sent", "x", options);
  };
  refuses("id", [&] { option([&](auto& options) { options.id = text; }); });
  refuses("reply_to", [&] { option([&](auto& options) { options.reply_to = text; }); });
  refuses("header", [&] { option([&](auto& options) { options.headers = {{text, "x"}}; }); });
  refuses("header", [&] { option([&](auto& options) { options.headers = {{"X", text}}; }); });
  libchat::ConnectOptions options = server.options();
  options.name = text;
  refuses("name", [&] { libchat::connect(options); });
  // A view that ends before the rest of its text is cut where it ends.
  ana.send("planning"sv.substr(0, 4), "cut"sv.substr(0, 1));
  CHECK_EQUAL(ana.history("plan").events.at(0).message.body(), "c");
}

static void timeouts_that_c_cannot_hold_are_refused(const Manager& ana) {
  libchat::CallOptions options;
  options.timeout = -1ms;
  const auto error = test::thrown_by<libchat::Error>([&] { ana.list_threads(options); });
  CHECK_EQUAL(std::string(error.what()), "timeout of -1 ms: must be from 0 to forever");
  options.timeout = libchat::forever + 1ms;
  CHECK_EQUAL(test::status_of([&] { ana.list_threads(options); }), LIBCHAT_ERR_INVALID_ARGUMENT);
}

static void an_unknown_outcome_is_put_right_with_its_id(const test::Server& server,
                                                        const Manager& ana) {
  ana.send("unknown", "before");
  server.freeze();
  libchat::SendOptions options;
  options.timeout = 1s;
  const auto unknown =
      test::thrown_by<libchat::OutcomeUnknown>([&] { ana.send("unknown", "once", options); });
  CHECK_EQUAL(unknown.status(), LIBCHAT_ERR_OUTCOME_UNKNOWN);
  CHECK_EQUAL(unknown.id().size(), 32u);
  CHECK(!unknown.hint().empty() && !unknown.retryable());

  options.id = unknown.id();
  const auto again =
      test::thrown_by<libchat::OutcomeUnknown>([&] { ana.send("unknown", "once", options); });
  CHECK_EQUAL(again.id(), unknown.id());
  CHECK(again.retryable());
  server.thaw();
  options.timeout = {};
  CHECK_EQUAL(ana.send("unknown", "once", options).id, unknown.id());
  CHECK_EQUAL(stored_under(ana, "unknown", unknown.id()), 1u);
}

static void completions_carry_a_receipt_or_an_exception(const Manager& ana) {
  test::Queue<std::string> log;
  for (int i = 0; i < 20; ++i) {
    libchat::SendOptions options;
    options.id = "async-" + std::to_string(i);
    ana.send_async("async", std::to_string(i), options,
                   [&](const libchat::Receipt& receipt, const libchat::Error* error) {
                     CHECK(!error && receipt.cursor);
                     log.push(receipt.id);
                   });
  }
  std::set<std::string> completed;
  for (int i = 0; i < 20; ++i) completed.insert(log.pop());
  CHECK_EQUAL(completed.size(), 20u);
  const libchat::History history = ana.history("async");
  CHECK_EQUAL(history.events.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i)
    CHECK_EQUAL(history.events[i].message.id(), "async-" + std::to_string(i));

  libchat::SendOptions options;
  options.id = "never";
  options.expect_last = libchat::Cursor();
  ana.send_async("async", "x", options,
                 [&](const libchat::Receipt& receipt, const libchat::Error* error) {
                   CHECK(error && dynamic_cast<const libchat::Conflict*>(error));
                   CHECK(!receipt.cursor);
                   log.push(receipt.id + " " + error->id());
                 });
  CHECK_EQUAL(log.pop(), "never never");

  ana.send_async("async", "nobody is told", {}, nullptr);
  std::future<libchat::Receipt> stored = ana.send_async("async", "future");
  CHECK_EQUAL(stored.get().id.size(), 32u);
  std::future<libchat::Receipt> refused = ana.send_async("async", "x", options);
  CHECK_EQUAL(test::thrown_by<libchat::Conflict>([&] { refused.get(); }).id(), "never");
  CHECK_EQUAL(test::status_of([&] { ana.send_async("", "x"); }), LIBCHAT_ERR_INVALID_ARGUMENT);
}

static void every_send_that_was_taken_completes_once(const test::Server& server) {
  const libchat::Connection connection = server.connect();
  const Manager manager = connection.open("demo", "crowd");
  std::atomic<int> completed{0}, stored{0};
  int taken = 0;
  server.freeze();
  const auto busy = test::thrown_by<libchat::Busy>([&] {
    for (;; ++taken)
      manager.send_async("crowd", "x", {},
                         [&](const libchat::Receipt&, const libchat::Error* error) {
                           ++completed;
                           if (!error) ++stored;
                         });
  });
  CHECK_EQUAL(busy.status(), LIBCHAT_ERR_BUSY);
  CHECK(taken >= 1000);
  server.thaw();
  // Accepted again once there is room.
  std::future<libchat::Receipt> last;
  while (!last.valid()) {
    try {
      last = manager.send_async("crowd", "last");
    } catch (const libchat::Busy&) {
      std::this_thread::yield();
    }
  }
  last.get();
  CHECK_EQUAL(completed.load(), taken);
  CHECK_EQUAL(stored.load(), taken);

  server.freeze();
  for (int i = 0; i < 100; ++i)
    manager.send_async("crowd", "y", {},
                       [&](const libchat::Receipt&, const libchat::Error*) { ++completed; });
  connection.close();
  CHECK_EQUAL(completed.load(), taken + 100);
  server.thaw();
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const Manager ana = connection.open("demo", "ana");
  what_is_sent_is_what_is_read(ana);
  exceptions_say_what_c_says(ana);
  a_nul_that_would_cut_a_text_short_is_refused(server, ana);
  timeouts_that_c_cannot_hold_are_refused(ana);
  completions_carry_a_receipt_or_an_exception(ana);
  an_unknown_outcome_is_put_right_with_its_id(server, ana);
  every_send_that_was_taken_completes_once(server);
}
