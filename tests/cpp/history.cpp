// The past: pages, starts, cursors as text, lists of threads.
#include <vector>

#include "support.hpp"

using libchat::HistoryOptions;
using libchat::Manager;
using libchat::Start;

static std::string bodies(const libchat::History& history) {
  std::string all;
  for (const libchat::Event& event : history.events)
    if (event.message) all += std::string(event.message.body()) + " ";
  return all;
}

static void pages_follow_one_another(const Manager& ana) {
  for (int i = 0; i < 25; ++i) ana.send("pages", std::to_string(i));
  HistoryOptions options;
  options.limit = 10;
  std::vector<std::string> pages;
  for (;;) {
    const libchat::History page = ana.history("pages", options);
    pages.push_back(bodies(page));
    if (!page.truncated) break;
    options.start = Start::after(page.next);
  }
  CHECK_EQUAL(pages.size(), 3u);
  CHECK_EQUAL(pages[0], "0 1 2 3 4 5 6 7 8 9 ");
  CHECK_EQUAL(pages[1], "10 11 12 13 14 15 16 17 18 19 ");
  CHECK_EQUAL(pages[2], "20 21 22 23 24 ");

  options = {};
  options.max_bytes = 3;
  const libchat::History small = ana.history("pages", options);
  CHECK_EQUAL(bodies(small), "0 1 2 ");
  CHECK(small.truncated);
}

static void every_start_begins_where_it_says(const Manager& ana) {
  HistoryOptions options;
  options.start = Start::all();
  CHECK_EQUAL(ana.history("pages", options).events.size(), 25u);
  options.start = Start::last(3);
  const libchat::History last = ana.history("pages", options);
  CHECK_EQUAL(bodies(last), "22 23 24 ");
  options.start = Start::last(2, last.events[0].message.cursor());
  CHECK_EQUAL(bodies(ana.history("pages", options)), "20 21 ");
  options.start = Start::at(last.events[1].message.time());
  CHECK_EQUAL(bodies(ana.history("pages", options)), "23 24 ");
  options.start = Start::after(last.events[2].message.cursor());
  CHECK(ana.history("pages", options).events.empty());
  options.start = Start::all();
  options.by_short = true;
  CHECK_EQUAL(ana.history(libchat::thread_short("demo", "pages"), options).events.size(), 25u);

  libchat::WatchOptions watch;
  watch.start = Start::last(2);
  libchat::Watch from_last = ana.watch("pages", watch);
  CHECK_EQUAL(from_last.next()->body(), "23");
  watch.start = Start::after(last.events[0].message.cursor());
  libchat::Watch from_cursor = ana.watch("pages", watch);
  CHECK_EQUAL(from_cursor.next()->body(), "23");
  watch.skip_own = true;
  libchat::Watch others = ana.watch("pages", watch);
  CHECK(others.next_event()->kind == libchat::EventKind::caught_up);
}

static void a_cursor_reads_back_from_its_text(const Manager& ana) {
  const libchat::Cursor cursor = ana.send("cursors", "here").cursor;
  const std::string text = cursor.to_string();
  CHECK_EQUAL(text.substr(0, 3), "c1.");
  CHECK(libchat::Cursor::parse(text) == cursor);
  CHECK(cursor && cursor != libchat::Cursor() && !libchat::Cursor());
  const auto error =
      test::thrown_by<libchat::Error>([] { libchat::Cursor::parse("bookmark 7"); });
  CHECK_EQUAL(error.status(), LIBCHAT_ERR_INVALID_ARGUMENT);
  CHECK(!error.hint().empty());
}

static void threads_are_listed_newest_first(const Manager& ana, const Manager& ben) {
  ben.send("replies", "from ben");
  ana.send("pages", "25");
  const auto threads = ana.list_threads();
  CHECK_EQUAL(threads.size(), 3u);
  CHECK_EQUAL(threads[0].name, "pages");
  CHECK_EQUAL(threads[0].short_id, libchat::thread_short("demo", "pages"));
  CHECK_EQUAL(threads[0].message_count, 26u);
  CHECK_EQUAL(threads[0].last_body, "25");
  CHECK_EQUAL(threads[0].last_sender, "ana");
  CHECK(threads[0].cursor.seq() > threads[1].cursor.seq());
  CHECK(threads[0].last_activity >= threads[1].last_activity);
  CHECK_EQUAL(threads[1].name, "replies");

  const auto of_ben = ana.threads_for_agent("ben", 10);
  CHECK_EQUAL(of_ben.size(), 1u);
  CHECK_EQUAL(of_ben[0].name, "replies");
  CHECK_EQUAL(ana.threads_for_agent("ana", 1).size(), 1u);
  CHECK(ana.threads_for_agent("nobody", 10).empty());
  CHECK(ana.stats().sent >= 27 && ana.stats().connected);
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  const Manager ana = connection.open("demo", "ana"), ben = connection.open("demo", "ben");
  pages_follow_one_another(ana);
  every_start_begins_where_it_says(ana);
  a_cursor_reads_back_from_its_text(ana);
  threads_are_listed_newest_first(ana, ben);
}
