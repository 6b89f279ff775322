// Who may go first: owners destroyed inside callbacks, parents before children, moved-from owners.
#include <atomic>
#include <memory>
#include <utility>

#include "support.hpp"

using libchat::Event;
using libchat::Flow;
using libchat::Manager;
using libchat::Watch;
using namespace std::chrono_literals;

/// Says when it is destroyed; reading it afterwards is for the sanitizer to notice.
class Captured {
 public:
  explicit Captured(test::Queue<std::string>& log) : log_(&log), text_("alive") {}
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() { log_->push("freed"); }
  const std::string& text() const { return text_; }

 private:
  test::Queue<std::string>* log_;
  std::string text_;
};

static void a_callback_may_destroy_the_watch_it_runs_for(const Manager& ana) {
  test::Queue<std::string> log;
  test::Queue<std::unique_ptr<Watch>> last_reference;
  libchat::WatchOptions options;
  options.on_event = [&, captured = std::make_shared<Captured>(log)](const Event& event) {
    if (!event.message) return Flow::go_on;
    last_reference.pop().reset();
    log.push(captured->text());
    return Flow::go_on;
  };
  options.on_done = [&](std::exception_ptr why) { log.push(why ? "failed" : "done"); };
  auto watch = std::make_unique<Watch>(ana.watch("self", std::move(options)));
  options = {};  // drops what moving has left in it
  last_reference.push(std::move(watch));
  ana.send("self", "one");
  ana.send("self", "two");
  CHECK_EQUAL(log.pop(), "alive");
  CHECK_EQUAL(log.pop(), "done");
  CHECK_EQUAL(log.pop(), "freed");
}

static void a_callback_may_own_its_watch(const Manager& ana) {
  test::Queue<std::string> log;
  auto own = std::make_shared<Watch>();
  libchat::WatchOptions options;
  options.on_event = [own, captured = std::make_shared<Captured>(log)](const Event& event) {
    return event.message ? Flow::stop : Flow::go_on;
  };
  *own = ana.watch("cycle", std::move(options));
  options = {};
  own.reset();  // now only the callback holds it
  ana.send("cycle", "the end");
  CHECK_EQUAL(log.pop(), "freed");
}

static void a_destructor_waits_for_the_callback_that_runs(const Manager& ana) {
  test::Queue<int> running, go;
  std::atomic<bool> finished{false};
  std::atomic<bool> done{false};
  {
    libchat::WatchOptions options;
    options.on_event = [&](const Event&) {
      running.push(1);
      go.pop();
      finished = true;
      return Flow::stop;
    };
    options.on_done = [&](std::exception_ptr) { done = true; };
    const Watch watch = ana.watch("slow", std::move(options));
    running.pop();
    go.push(1);
  }
  CHECK(finished && done);
}

static void a_connection_may_go_before_what_was_made_of_it(const test::Server& server) {
  test::Queue<std::string> log;
  Manager manager;
  Watch pulled, pushed;
  libchat::Responder responder;
  libchat::Message message;
  {
    const libchat::Connection connection = server.connect();
    manager = connection.open("demo", "orphan");
    pulled = manager.watch("orphans");
    libchat::WatchOptions options;
    options.on_event = [](const Event&) { return Flow::go_on; };
    options.on_done = [&](std::exception_ptr why) { log.push(why ? "closed" : "stopped"); };
    pushed = manager.watch("orphans", std::move(options));
    libchat::RespondOptions respond;
    respond.on_request = [](const libchat::Request&) {};
    respond.on_done = [&](std::exception_ptr why) { log.push(why ? "closed" : "stopped"); };
    responder = manager.answer(std::move(respond));
    manager.send("orphans", "kept");
    message = *pulled.next();
  }
  CHECK_EQUAL(log.pop(), "closed");
  CHECK_EQUAL(log.pop(), "closed");
  CHECK_EQUAL(message.body(), "kept");
  test::thrown_by<libchat::Closed>([&] { manager.send("orphans", "late"); });
  test::thrown_by<libchat::Closed>([&] { pulled.next(); });
  manager.close();
  pushed.close();
  responder.close();
}

static void a_callback_may_destroy_the_connection_it_runs_on(const test::Server& server) {
  test::Queue<std::string> log;
  struct All {
    libchat::Connection connection;
    Manager manager;
    Watch watch;
  };
  test::Queue<std::unique_ptr<All>> last_reference;
  auto all = std::make_unique<All>();
  all->connection = server.connect();
  all->manager = all->connection.open("demo", "leaver");
  libchat::WatchOptions options;
  options.on_event = [&, captured = std::make_shared<Captured>(log)](const Event& event) {
    if (!event.message) return Flow::go_on;
    last_reference.pop().reset();
    log.push(captured->text());
    return Flow::go_on;
  };
  options.on_done = [&](std::exception_ptr) { log.push("done"); };
  all->watch = all->manager.watch("end", std::move(options));
  options = {};
  all->manager.send("end", "now");
  last_reference.push(std::move(all));
  CHECK_EQUAL(log.pop(), "alive");
  CHECK_EQUAL(log.pop(), "done");
  CHECK_EQUAL(log.pop(), "freed");
}

static void a_moved_from_owner_refuses_and_the_new_one_works(const test::Server& server) {
  libchat::Connection first = server.connect();
  libchat::Connection connection = std::move(first);
  Manager old = connection.open("demo", "mover");
  Manager manager = std::move(old);
  test::Queue<std::string> bodies;
  libchat::WatchOptions options;
  options.on_event = [&](const Event& event) {
    if (event.message) bodies.push(std::string(event.message.body()));
    return Flow::go_on;
  };
  Watch before = manager.watch("moves", std::move(options));
  const Watch watch = std::move(before);
  manager.send("moves", "still there");
  CHECK_EQUAL(bodies.pop(), "still there");

  const auto refuses = [](auto&& verb) {
    CHECK_EQUAL(test::status_of(verb), LIBCHAT_ERR_INVALID_HANDLE);
  };
  CHECK(!first && !old && !before && connection && manager && watch);
  refuses([&] { first.open("demo", "x"); });
  refuses([&] { first.stop(); });
  refuses([&] { old.send("moves", "x"); });
  refuses([&] { old.send_async("moves", "x"); });
  refuses([&] { old.watch("moves"); });
  refuses([&] { old.history("moves"); });
  refuses([&] { old.list_threads(); });
  refuses([&] { old.threads_for_agent("ana", 1); });
  refuses([&] { old.ask("ana", "x"); });
  refuses([&] { old.stats(); });
  refuses([&] { before.stop(); });
  refuses([&] { before.join(); });
  refuses([&] { before.next(); });
  refuses([&] { before.fd(); });
  first.close();
  old.close();
  before.close();

  libchat::Cancel cancel;
  const libchat::Cancel taken = std::move(cancel);
  refuses([&] { cancel.fire(); });
  libchat::CallOptions call;
  call.cancel = &cancel;
  refuses([&] { manager.list_threads(call); });

  libchat::Message message = *manager.watch("moves", [] {
    libchat::WatchOptions all;
    all.start = libchat::Start::all();
    return all;
  }()).next();
  const libchat::Message copy = message;
  const libchat::Message moved = std::move(message);
  CHECK(!message && copy && moved);
  CHECK_EQUAL(message.body(), "");
  CHECK_EQUAL(copy.body(), "still there");
  CHECK_EQUAL(moved.body(), "still there");
}

static void assigning_over_an_owner_closes_what_it_had(const Manager& ana) {
  test::Queue<std::string> log;
  libchat::WatchOptions options;
  options.on_event = [captured = std::make_shared<Captured>(log)](const Event&) {
    return Flow::go_on;
  };
  Watch watch = ana.watch("first", std::move(options));
  options = {};
  watch = ana.watch("second");
  CHECK(!log.empty());
  CHECK_EQUAL(log.pop(), "freed");
  ana.send("second", "here");
  CHECK_EQUAL(watch.next()->body(), "here");
}

static void a_close_with_a_bound_gives_up_waiting_and_can_go_on(const test::Server& server) {
  const libchat::Connection connection = server.connect();
  const Manager manager = connection.open("demo", "patient");
  test::Queue<int> running, go;
  libchat::WatchOptions options;
  options.on_event = [&](const Event&) {
    running.push(1);
    go.pop();
    return Flow::go_on;
  };
  const Watch watch = manager.watch("blocked", std::move(options));
  running.pop();
  test::thrown_by<libchat::Timeout>([&] { watch.join(0ms); });
  test::thrown_by<libchat::Timeout>([&] { manager.close(10ms); });
  test::thrown_by<libchat::Timeout>([&] { connection.close(10ms); });
  go.push(1);
  manager.close();
  connection.close();
  connection.close();
  manager.close();
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  {
    const libchat::Connection connection = server.connect();
    const Manager ana = connection.open("demo", "ana");
    a_callback_may_destroy_the_watch_it_runs_for(ana);
    a_callback_may_own_its_watch(ana);
    a_destructor_waits_for_the_callback_that_runs(ana);
    assigning_over_an_owner_closes_what_it_had(ana);
  }
  a_connection_may_go_before_what_was_made_of_it(server);
  a_callback_may_destroy_the_connection_it_runs_on(server);
  a_moved_from_owner_refuses_and_the_new_one_works(server);
  a_close_with_a_bound_gives_up_waiting_and_can_go_on(server);
}
