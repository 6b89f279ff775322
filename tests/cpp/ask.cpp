// Requests and answers: from another thread, twice, too late, never, and handlers that throw.
#include <memory>
#include <stdexcept>
#include <thread>

#include "support.hpp"

using libchat::Manager;
using libchat::Request;
using libchat::RequestId;
using namespace std::chrono_literals;

static libchat::RespondOptions handled_by(libchat::OnRequest on_request) {
  libchat::RespondOptions options;
  options.on_request = std::move(on_request);
  return options;
}

static void a_request_is_answered_from_another_thread(const Manager& ana, const Manager& ben) {
  test::Queue<std::pair<RequestId, std::string>> requests;
  const libchat::Responder responder = ben.answer(handled_by([&](const Request& request) {
    std::string said = std::string(request.subject) + " " + std::string(request.payload);
    for (const libchat::Header& header : request.headers)
      if (header.name == "Colour") said += " in " + header.value;
    requests.push({request.id, said});
  }));
  std::thread worker([&] {
    const auto [id, said] = requests.pop();
    id.reply("heard: " + said);
    const auto again = test::thrown_by<libchat::Error>([id = id] { id.reply("twice"); });
    CHECK_EQUAL(again.status(), LIBCHAT_ERR_INVALID_STATE);
  });
  libchat::CallOptions options;
  options.headers = {{"Colour", "green"}};
  const libchat::Reply reply = ana.ask("ben", "tea?", options);
  CHECK_EQUAL(reply.payload, "heard: demo.ask.ben tea? in green");
  worker.join();

  // Any bytes, both ways.
  std::thread echo([&] { requests.pop().first.reply(std::string("\0\xff", 2)); });
  CHECK_EQUAL(ana.ask("ben", std::string("\0", 1)).payload, std::string("\0\xff", 2));
  echo.join();
}

static void failures_are_told_apart(const Manager& ana, const Manager& ben) {
  const libchat::Responder responder =
      ben.respond("kitchen.orders", handled_by([](const Request& request) {
        if (request.payload == "tea") return request.id.fail("no_tea", "the tea is out");
        if (request.payload == "coffee") request.id.reply("here");
      }));
  CHECK_EQUAL(ana.request("kitchen.orders", "coffee").payload, "here");
  const auto remote =
      test::thrown_by<libchat::Remote>([&] { ana.request("kitchen.orders", "tea"); });
  CHECK_EQUAL(remote.status(), LIBCHAT_ERR_REMOTE);
  CHECK_EQUAL(remote.remote_code(), "no_tea");
  CHECK(std::string(remote.what()).find("the tea is out") != std::string::npos);

  libchat::CallOptions options;
  options.timeout = 100ms;
  const auto asked = std::chrono::steady_clock::now();
  test::thrown_by<libchat::Timeout>([&] { ana.request("kitchen.orders", "cake", options); });
  CHECK(std::chrono::steady_clock::now() - asked < 20s);  // the default is 30 s
  test::thrown_by<libchat::NoResponders>([&] { ana.ask("nobody", "anyone?"); });
  CHECK_EQUAL(test::status_of([&] { ben.answer({}); }), LIBCHAT_ERR_INVALID_ARGUMENT);
}

static void what_a_handler_throws_fails_its_request_and_comes_out_of_join(const Manager& ana,
                                                                          const Manager& ben) {
  test::Queue<std::string> done;
  auto options = handled_by([](const Request&) { throw std::domain_error("secret detail"); });
  options.on_done = [&](std::exception_ptr why) { done.push(why ? "failed" : "stopped"); };
  const libchat::Responder responder = ben.answer(std::move(options));
  const auto remote = test::thrown_by<libchat::Remote>([&] { ana.ask("ben", "boom"); });
  CHECK_EQUAL(remote.remote_code(), "exception");
  CHECK(std::string(remote.what()).find("secret") == std::string::npos);
  const auto thrown = test::thrown_by<std::domain_error>([&] { responder.join(); });
  CHECK_EQUAL(std::string(thrown.what()), "secret detail");
  CHECK_EQUAL(done.pop(), "failed");
  test::thrown_by<libchat::NoResponders>([&] { ana.ask("ben", "still there?"); });
}

static void a_stopped_responder_still_answers_what_is_open(const Manager& ana,
                                                           const Manager& ben) {
  test::Queue<RequestId> requests;
  test::Queue<std::string> replies;
  const libchat::Responder responder =
      ben.answer(handled_by([&](const Request& request) { requests.push(request.id); }));
  std::thread asker([&] { replies.push(ana.ask("ben", "slowly").payload); });
  const RequestId id = requests.pop();
  responder.stop();
  test::thrown_by<libchat::Timeout>([&] { responder.join(0ms); });
  id.reply("all the same");
  responder.join();
  CHECK_EQUAL(replies.pop(), "all the same");
  asker.join();
}

static void closing_fails_what_is_open(const Manager& ana, const Manager& ben) {
  test::Queue<RequestId> requests;
  test::Queue<std::string> outcomes;
  libchat::Responder responder =
      ben.answer(handled_by([&](const Request& request) { requests.push(request.id); }));
  std::thread asker([&] {
    outcomes.push(test::thrown_by<libchat::Remote>([&] { ana.ask("ben", "?"); }).remote_code());
  });
  const RequestId id = requests.pop();
  responder = {};
  CHECK(!outcomes.pop().empty());
  const auto late = test::thrown_by<libchat::Error>([&] { id.reply("late"); });
  CHECK_EQUAL(late.status(), LIBCHAT_ERR_INVALID_STATE);
  asker.join();
}

static void a_handler_may_ask_on_its_own_connection_and_destroy_its_responder(
    const Manager& ana, const Manager& ben) {
  const libchat::Responder adviser =
      ana.answer(handled_by([](const Request& request) { request.id.reply("forty-two"); }));
  test::Queue<std::unique_ptr<libchat::Responder>> last_reference;
  test::Queue<std::string> done;
  auto options = handled_by([&](const Request& request) {
    request.id.reply(ben.ask("ana", request.payload).payload);
    last_reference.pop().reset();
  });
  options.on_done = [&](std::exception_ptr why) { done.push(why ? "failed" : "stopped"); };
  last_reference.push(std::make_unique<libchat::Responder>(ben.answer(std::move(options))));
  CHECK_EQUAL(ana.ask("ben", "what is it?").payload, "forty-two");
  CHECK_EQUAL(done.pop(), "stopped");
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const Manager ana = connection.open("demo", "ana"), ben = connection.open("demo", "ben");
  a_request_is_answered_from_another_thread(ana, ben);
  failures_are_told_apart(ana, ben);
  what_a_handler_throws_fails_its_request_and_comes_out_of_join(ana, ben);
  a_stopped_responder_still_answers_what_is_open(ana, ben);
  closing_fails_what_is_open(ana, ben);
  a_handler_may_ask_on_its_own_connection_and_destroy_its_responder(ana, ben);
}
