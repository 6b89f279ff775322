// libchat for C++17: the C library of libchat.h with owners, exceptions and ranges. Header-only;
// link with -lchat. It decides nothing itself: how long a call waits, what its defaults are and how
// it fails stands in libchat.h under the same verb.
//
//   libchat::Connection connection = libchat::connect();
//   libchat::Manager ana = connection.open("demo", "ana");
//   libchat::Watch plan = ana.watch("plan");
//   ana.send("plan", "Shall we ship on Friday?");
//   for (const auto& message : plan)
//     std::cout << message.sender() << ": " << message.body() << "\n";
//
// What C++ adds:
//
// - Errors are exceptions: Error, or a class derived from it where a caller would go on otherwise.
// - Connection, Manager, Watch, Responder and Cancel own what they stand for: they move, do not
//   copy, and close it when they go. Message is a cheap copy. All else is plain values.
// - Owners that are default-constructed or moved from are empty: every verb throws INVALID_HANDLE.
//   After close() it throws Closed. To close again, or an empty one, does nothing.
// - Verbs are const and may be called from any thread at any time. Moving or destroying an object,
//   and reading a Watch (which keeps its place), are for one thread at a time.
// - Callbacks run on libchat's threads and may call every verb. There, close() and destructors only
//   start the end, and join() throws WOULD_DEADLOCK. A callback and what it captured stay alive
//   until its last run has ended, whatever happens to the object it belongs to.
// - On other threads close() and destructors wait until callbacks have returned, so that what these
//   captured by reference outlives them: hold no lock then that they take. Only a close() with a
//   timeout gives up waiting.
// - A string_view need not end in NUL. Where C wants text, a NUL inside is refused; bodies and
//   payloads may hold any byte.
// - In options, 0 and nullopt are the default. In arguments, a timeout of 0 is: do not wait.
// - The log, the version and the names of statuses are used from C: libchat_set_log and the like.
#ifndef LIBCHAT_HPP
#define LIBCHAT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libchat.h"

namespace libchat {

using std::chrono::milliseconds;
/// As a timeout: without end.
inline constexpr milliseconds forever{LIBCHAT_INFINITE};
/// A point in Unix time.
using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

struct Header {
  std::string name, value;
};
using Headers = std::vector<Header>;

// ---- Errors

/// A call that failed; what() says what was tried, on what, and why.
class Error : public std::runtime_error {
 public:
  Error(libchat_status status, const libchat_error* error)
      : std::runtime_error(error ? libchat_error_message(error) : libchat_status_name(status)),
        facts_(new Facts{status, libchat_error_hint(error), libchat_error_id(error),
                         libchat_error_remote_code(error), libchat_error_server_code(error),
                         libchat_error_is_retryable(error)}) {}
  Error(libchat_status status, const std::string& text)
      : std::runtime_error(text), facts_(new Facts{status, {}, {}, {}, 0, false}) {}

  /// One of LIBCHAT_ERR_…
  libchat_status status() const noexcept { return facts_->status; }
  /// What to do about it, or "".
  const std::string& hint() const noexcept { return facts_->hint; }
  /// The id of the message that was to be sent, or "".
  const std::string& id() const noexcept { return facts_->id; }
  /// What the handler that failed called it, or "".
  const std::string& remote_code() const noexcept { return facts_->remote_code; }
  /// The server's number for it, or 0.
  std::uint32_t server_code() const noexcept { return facts_->server_code; }
  /// Whether the same call may succeed later, and repeating it is safe.
  bool retryable() const noexcept { return facts_->retryable; }

 private:
  struct Facts {
    libchat_status status;
    std::string hint, id, remote_code;
    std::uint32_t server_code;
    bool retryable;
  };
  std::shared_ptr<const Facts> facts_;  // so that copying an exception cannot throw
};

/// The message may or may not be stored. Send again with the same id(): the server drops a copy.
class OutcomeUnknown : public Error { using Error::Error; };
/// The deadline passed; of a send: nothing was stored. Try again.
class Timeout : public Error { using Error::Error; };
/// It was closed, or its manager or connection was. Open a new one.
class Closed : public Error { using Error::Error; };
/// The Cancel that was given has fired; of a send: nothing was stored.
class Cancelled : public Error { using Error::Error; };
/// A right is missing; the text names it.
class Unauthorized : public Error { using Error::Error; };
/// Nobody listens: the agent asked is away.
class NoResponders : public Error { using Error::Error; };
/// The handler that answered failed, and said so: remote_code().
class Remote : public Error { using Error::Error; };
/// What is there differs from what the call expected. Look at it first.
class Conflict : public Error { using Error::Error; };
/// As many asynchronous sends are under way as may be. Wait for one to complete.
class Busy : public Error { using Error::Error; };

namespace detail {  // how C is called; skip it at first reading

[[noreturn]] inline void raise(libchat_status status, const libchat_error* error) {
  switch (status) {
    case LIBCHAT_ERR_OUTCOME_UNKNOWN: throw OutcomeUnknown(status, error);
    case LIBCHAT_ERR_TIMEOUT: throw Timeout(status, error);
    case LIBCHAT_ERR_CLOSED: throw Closed(status, error);
    case LIBCHAT_ERR_CANCELLED: throw Cancelled(status, error);
    case LIBCHAT_ERR_UNAUTHORIZED: throw Unauthorized(status, error);
    case LIBCHAT_ERR_NO_RESPONDERS: throw NoResponders(status, error);
    case LIBCHAT_ERR_REMOTE: throw Remote(status, error);
    case LIBCHAT_ERR_CONFLICT: throw Conflict(status, error);
    case LIBCHAT_ERR_BUSY: throw Busy(status, error);
    default: throw Error(status, error);
  }
}

/// OK, END and EMPTY are no failures.
inline libchat_status check(libchat_status status, const libchat_error* error = nullptr) {
  if (status >= LIBCHAT_ERR_INVALID_ARGUMENT) raise(status, error);
  return status;
}

/// Calls a C function, adding the place for its error.
template <class Function, class... Args>
libchat_status call(Function function, const Args&... args) {
  libchat_error* error = nullptr;
  const libchat_status status = function(args..., &error);
  const std::unique_ptr<libchat_error, void (*)(libchat_error*)> owned(error, libchat_error_free);
  return check(status, error);
}

/// The same, adding the place for its result before.
template <class Result, class Function, class... Args>
Result get(Function function, const Args&... args) {
  Result result = {};
  call(function, args..., &result);
  return result;
}

/// The same for a result that is to be released.
template <class Result, class Function, class... Args>
auto get_owned(void (*release)(Result*), Function function, const Args&... args) {
  return std::unique_ptr<Result, void (*)(Result*)>(get<Result*>(function, args...), release);
}

inline const char* text_in(const char* what, const std::string& text) {
  const auto at = text.find('\0');
  if (at == std::string::npos) return text.c_str();
  throw Error(LIBCHAT_ERR_INVALID_ARGUMENT,
              what + (": must not contain NUL, here byte " + std::to_string(at)));
}

inline const char* text_in(const char* what, const std::optional<std::string>& text) {
  return text ? text_in(what, *text) : nullptr;
}

/// A view as a C string, for the time of a call.
class Text {
 public:
  Text(const char* what, std::string_view text) : text_(text) { text_in(what, text_); }
  operator const char*() const noexcept { return text_.c_str(); }

 private:
  std::string text_;
};

inline libchat_bytes bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view view(libchat_bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data), bytes.len};
}

inline Headers headers_out(const libchat_header* fields, std::size_t size) {
  Headers headers;
  for (std::size_t i = 0; i < size; ++i) headers.push_back({fields[i].name, fields[i].value});
  return headers;
}

inline std::uint32_t ms(milliseconds timeout) {
  if (timeout >= timeout.zero() && timeout <= forever)
    return static_cast<std::uint32_t>(timeout.count());
  throw Error(LIBCHAT_ERR_INVALID_ARGUMENT,
              "timeout of " + std::to_string(timeout.count()) + " ms: must be from 0 to forever");
}

inline Time time(std::int64_t ns) noexcept { return Time(std::chrono::nanoseconds(ns)); }
inline std::uint32_t flag(bool set, std::uint32_t flag) noexcept { return set ? flag : 0; }

/// A C struct with its size set and all else 0.
template <class Raw>
Raw sized() noexcept {
  Raw raw = {};
  raw.struct_size = sizeof raw;
  return raw;
}

/// A handle that is closed when it goes.
template <auto close_handle>
class Owner {
 public:
  Owner() noexcept = default;
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  Owner& operator=(Owner&& other) noexcept {
    if (this != &other) close_handle(std::exchange(handle_, std::exchange(other.handle_, 0)));
    return *this;
  }
  ~Owner() { close_handle(handle_); }

  /// False when empty; true says nothing about whether it is open.
  explicit operator bool() const noexcept { return handle_ != 0; }
  /// For functions of libchat.h. It stays this object's.
  std::uint64_t native() const noexcept { return handle_; }

 protected:
  explicit Owner(std::uint64_t handle) noexcept : handle_(handle) {}

 private:
  std::uint64_t handle_ = 0;
};

inline void close_manager(libchat_manager manager) noexcept {
  libchat_manager_close(manager, LIBCHAT_INFINITE, nullptr);
}
inline void close_connection(libchat_conn connection) noexcept {
  libchat_conn_close(connection, LIBCHAT_INFINITE, nullptr);
}

/// A new watch or responder, and why it ended: that is set before join can succeed.
struct Started {
  std::uint64_t handle;
  std::shared_ptr<const std::exception_ptr> why;
};

/// What runs callbacks until it is stopped.
template <auto stop_handle, auto join_handle, auto close_handle>
class Running : public Owner<close_handle> {
 public:
  Running() noexcept = default;

  /// No further callback starts. Does not wait.
  void stop() const { check(stop_handle(this->native())); }
  /// Waits until on_done has returned, then throws why it ended, unless it was stopped: what a
  /// callback threw, or an Error such as Closed.
  void join(milliseconds timeout = forever) const {
    call(join_handle, this->native(), ms(timeout));
    if (*why_) std::rethrow_exception(*why_);
  }
  /// Stops and waits. Throws nothing of a callback's.
  void close() const { check(close_handle(this->native())); }

 protected:
  explicit Running(Started started) noexcept
      : Owner<close_handle>(started.handle), why_(std::move(started.why)) {}

 private:
  std::shared_ptr<const std::exception_ptr> why_;
};

}  // namespace detail

// ---- Values

/// A place in a project's stream, from which any process can resume. Default-constructed: none.
class Cursor {
 public:
  Cursor() noexcept = default;
  explicit Cursor(const libchat_cursor& raw) noexcept : raw_(raw) {}
  /// Reads what to_string() wrote.
  static Cursor parse(std::string_view text) {
    return Cursor(detail::get<libchat_cursor>(libchat_cursor_parse, detail::Text("cursor", text)));
  }
  std::string to_string() const {
    char text[LIBCHAT_CURSOR_SIZE];
    detail::call(libchat_cursor_format, raw_, static_cast<char*>(text), sizeof text);
    return text;
  }

  std::uint64_t seq() const noexcept { return raw_.seq; }
  const libchat_cursor& native() const noexcept { return raw_; }
  explicit operator bool() const noexcept { return *this != Cursor(); }
  friend bool operator==(const Cursor& a, const Cursor& b) noexcept {
    return a.raw_.incarnation == b.raw_.incarnation && a.raw_.seq == b.raw_.seq &&
           a.raw_.check == b.raw_.check;
  }
  friend bool operator!=(const Cursor& a, const Cursor& b) noexcept { return !(a == b); }

 private:
  libchat_cursor raw_ = {};
};

/// Proof that a message is stored.
struct Receipt {
  std::string id;
  bool duplicate = false;  ///< it was stored under this id before, at this cursor
  Cursor cursor;           ///< none when this agent may not read the stream's information
};

/// A stored message. Copies share it; views into it live as long as one of them.
class Message {
 public:
  Message() noexcept = default;
  explicit Message(const libchat_message* borrowed) : raw_(libchat_message_retain(borrowed)) {}
  Message(const Message& other) noexcept : raw_(libchat_message_retain(other.raw_)) {}
  Message(Message&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Message& operator=(Message other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Message() { libchat_message_release(raw_); }

  std::string_view id() const noexcept { return detail::view(libchat_message_id(raw_)); }
  /// Who wrote it, as the sender says; nothing proves it.
  std::string_view sender() const noexcept { return detail::view(libchat_message_sender(raw_)); }
  /// The thread's name, or "" when the sender did not store it.
  std::string_view thread() const noexcept { return detail::view(libchat_message_thread(raw_)); }
  /// The thread's 8 hex digits: with `by_short` they stand for its name.
  std::string_view short_id() const noexcept { return libchat_message_short(raw_); }
  /// The id of the message this one answers, or "".
  std::string_view reply_to() const noexcept {
    return detail::view(libchat_message_reply_to(raw_));
  }
  std::string_view body() const noexcept { return detail::view(libchat_message_body(raw_)); }
  /// The sender's clock when it was sent.
  Time sent_at() const noexcept { return detail::time(libchat_message_sent_ns(raw_)); }
  /// The server's clock when it was stored.
  Time time() const noexcept { return detail::time(libchat_message_time_ns(raw_)); }
  Cursor cursor() const noexcept { return Cursor(libchat_message_cursor(raw_)); }
  std::optional<std::string_view> header(std::string_view name) const {
    const char* value = libchat_message_header(raw_, detail::Text("header name", name));
    return value ? std::optional<std::string_view>(value) : std::nullopt;
  }
  Headers headers() const {
    const libchat_header* fields = nullptr;
    const std::size_t size = libchat_message_headers(raw_, &fields);
    return detail::headers_out(fields, size);
  }

  /// False for one that is default-constructed or moved from: its views are empty.
  explicit operator bool() const noexcept { return raw_ != nullptr; }
  const libchat_message* native() const noexcept { return raw_; }

 private:
  const libchat_message* raw_ = nullptr;
};

/// Pass over kinds that you do not know.
enum class EventKind : libchat_event_kind {
  message = LIBCHAT_EVENT_MESSAGE,      ///< `message`, once
  caught_up = LIBCHAT_EVENT_CAUGHT_UP,  ///< all that was stored when the watch began is delivered
  gap = LIBCHAT_EVENT_GAP,              ///< what was behind `after`, up to `cursor`, is gone
  reset = LIBCHAT_EVENT_RESET,          ///< the stream was made anew, restored or rolled back
  malformed = LIBCHAT_EVENT_MALFORMED,  ///< a stored payload is no message
  stalled = LIBCHAT_EVENT_STALLED,      ///< no working source for 10 s (`reason`); nothing is lost
  resumed = LIBCHAT_EVENT_RESUMED,      ///< the source works again
};

/// What a watch tells, in stream order.
struct Event {
  explicit Event(const libchat_event& raw)
      : kind(static_cast<EventKind>(raw.kind)),
        reason(raw.reason),
        message(raw.message),
        cursor(raw.cursor),
        after(raw.after) {}

  EventKind kind;
  libchat_status reason;
  Message message;
  Cursor cursor, after;
};
using Events = std::vector<Event>;

/// One page of a thread's past, oldest first: messages, and gaps among them.
struct History {
  Events events;
  bool truncated = false;  ///< a bound was reached before the end
  Cursor next;             ///< the next page begins after it
};

struct ThreadSummary {
  std::string short_id;
  std::string name;  ///< "" when no message tells it
  std::string last_sender, last_body;
  std::uint64_t message_count = 0;
  Time last_activity;
  Cursor cursor;
};

/// The answer to a request.
struct Reply {
  std::string payload;
};

/// Where a watch or a history begins. Default-constructed: with what is stored from now on; for a
/// history, with the oldest message.
struct Start {
  static Start all() noexcept { return {LIBCHAT_START_ALL, {}, {}, 0}; }
  static Start after(const Cursor& cursor) noexcept { return {LIBCHAT_START_AFTER, cursor, {}, 0}; }
  static Start at(Time time) noexcept { return {LIBCHAT_START_TIME, {}, time, 0}; }
  /// The last n messages; with a cursor, for a history only: the last before it.
  static Start last(std::uint32_t n, const Cursor& before = {}) noexcept {
    return {LIBCHAT_START_LAST, before, {}, n};
  }

  libchat_start kind = LIBCHAT_START_NEW;
  Cursor cursor = {};
  Time time = {};
  std::uint32_t n = 0;
};

/// Ends the calls it was given to (`options.cancel = &cancel`) once any thread fires it.
class Cancel : public detail::Owner<libchat_cancel_close> {
 public:
  Cancel() : Owner(detail::get<libchat_cancel>(libchat_cancel_new)) {}
  void fire() const { detail::check(libchat_cancel_fire(native())); }
};

namespace detail {

/// C options with what all of them have.
template <class Raw, class Options>
Raw options_in(const Options& options) {
  if (options.cancel && !*options.cancel)
    throw Error(LIBCHAT_ERR_INVALID_HANDLE, std::string("cancel: was moved from"));
  Raw raw = sized<Raw>();
  raw.cancel = options.cancel ? options.cancel->native() : 0;
  raw.timeout_ms = ms(options.timeout);
  return raw;
}

/// C options with header fields, for the time of a call.
template <class Raw>
class WithHeaders {
 public:
  template <class Options>
  explicit WithHeaders(const Options& options) : raw(options_in<Raw>(options)) {
    for (const Header& header : options.headers)
      fields_.push_back({text_in("header name", header.name), text_in("header", header.value)});
    raw.headers = fields_.data();
    raw.headers_len = fields_.size();
  }
  operator const Raw*() const noexcept { return &raw; }

  Raw raw;

 private:
  std::vector<libchat_header> fields_;
};

template <class Raw>
void start_in(Raw& raw, const Start& start) noexcept {
  raw.start = start.kind;
  raw.cursor = start.cursor.native();
  raw.time_ns = start.time.time_since_epoch().count();
}

inline Receipt receipt_out(const libchat_receipt& raw) {
  return {raw.id, raw.duplicate != 0, Cursor(raw.cursor)};
}

/// Releases the list, which may be NULL.
inline Events events_out(const libchat_events* list) {
  const std::unique_ptr<const libchat_events, void (*)(const libchat_events*)> owned(
      list, libchat_events_release);
  Events events;
  events.reserve(libchat_events_len(list));
  while (const libchat_event* event = libchat_events_get(list, events.size()))
    events.emplace_back(*event);
  return events;
}

inline std::vector<ThreadSummary> threads_out(const libchat_threads& list) {
  std::vector<ThreadSummary> threads;
  for (std::size_t i = 0; i < libchat_threads_len(&list); ++i) {
    auto raw = sized<libchat_thread_summary>();
    check(libchat_threads_get(&list, i, &raw));
    threads.push_back({raw.short_id, std::string(view(raw.name)),
                       std::string(view(raw.last_sender)), std::string(view(raw.last_body)),
                       raw.message_count, time(raw.last_activity_ns), Cursor(raw.cursor)});
  }
  return threads;
}

inline Reply reply_out(const libchat_reply& raw) {
  return {std::string(view(libchat_reply_payload(&raw)))};
}

}  // namespace detail

// ---- Watching

/// What a watch's callback answers.
enum class Flow : libchat_flow {
  go_on = LIBCHAT_CONTINUE,
  stop = LIBCHAT_STOP,  ///< as Watch::stop() does
};
using OnEvent = std::function<Flow(const Event&)>;

/// Runs once, last, on a libchat thread. `why` is null if it was stopped, else what join() throws.
/// All callbacks of the object are destroyed right after it.
using OnDone = std::function<void(std::exception_ptr why)>;

struct WatchOptions {
  Start start = {};
  bool by_short = false;          ///< `thread` is the 8 hex digits, not the name
  bool skip_own = false;          ///< leave out what this manager's agent wrote
  OnEvent on_event = {};          ///< gets every event, one at a time; none: read the Watch itself
  OnDone on_done = {};
  std::uint32_t queue = 0;        ///< events held for a slow reader; it goes on from the stream
  std::uint64_t queue_bytes = 0;  ///< the same in bytes
  milliseconds timeout = {};      ///< of the set-up, as is `cancel`
  const Cancel* cancel = nullptr;
};

/// What happens in one thread or many, once each and in stream order.
///
/// Without on_event it is read here. A loop over it waits for each message, ends when the watch is
/// stopped and throws Closed when its manager or connection is closed. After `break`, the next loop
/// goes on behind the last message. Gaps and the like are passed over, and counted in
/// Manager::stats(): a loop over next_event() sees them.
///
/// With on_event, that reads it. If it throws, the watch is stopped and join() throws the same.
class Watch
    : public detail::Running<libchat_watch_stop, libchat_watch_join, libchat_watch_close> {
 public:
  Watch() noexcept = default;

  /// Waits for the next message; none once the watch is stopped.
  std::optional<Message> next() {
    while (std::optional<Event> event = next_event())
      if (event->message) return std::move(event->message);
    return std::nullopt;
  }
  std::optional<Event> next_event() {
    while (at_ >= batch_.size()) {
      std::optional<Events> batch = take(256, forever);
      if (!batch) return std::nullopt;
      batch_ = std::move(*batch);
      at_ = 0;
    }
    return std::move(batch_[at_++]);
  }
  /// At most `max` events: empty when none came in time, none once the watch is stopped.
  std::optional<Events> take(std::size_t max, milliseconds timeout) {
    if (at_ < batch_.size()) {  // what a loop has left comes first
      Events rest;
      while (at_ < batch_.size() && rest.size() < max) rest.push_back(std::move(batch_[at_++]));
      return rest;
    }
    const libchat_events* list = nullptr;
    const auto status =
        detail::call(libchat_watch_take, native(), max, detail::ms(timeout), &list);
    if (status == LIBCHAT_END) return std::nullopt;
    return detail::events_out(list);
  }
  /// A descriptor for poll or an event loop, readable when take() would not wait. Never read it. It
  /// is yours: deregister it, then close(2) it.
  std::ptrdiff_t fd() const { return detail::get<std::ptrdiff_t>(libchat_watch_fd, native()); }

  class iterator;
  iterator begin();
  iterator end() noexcept;

 private:
  friend class Manager;
  explicit Watch(detail::Started started) noexcept : Running(std::move(started)) {}

  Events batch_;  // handed out up to at_
  std::size_t at_ = 0;
};

class Watch::iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Message;
  using difference_type = std::ptrdiff_t;
  using pointer = const Message*;
  using reference = const Message&;

  iterator() noexcept = default;  // the end
  explicit iterator(Watch& watch) : watch_(&watch) { ++*this; }
  reference operator*() const noexcept { return *message_; }
  pointer operator->() const noexcept { return &*message_; }
  iterator& operator++() {
    message_ = watch_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const iterator& a, const iterator& b) noexcept {
    return a.message_.has_value() == b.message_.has_value();
  }
  friend bool operator!=(const iterator& a, const iterator& b) noexcept { return !(a == b); }

 private:
  Watch* watch_ = nullptr;
  std::optional<Message> message_;
};

inline Watch::iterator Watch::begin() { return iterator(*this); }
inline Watch::iterator Watch::end() noexcept { return {}; }

// ---- Answering

/// Which request to answer: once, from any thread, before its answer_timeout. Answering twice or
/// too late throws INVALID_STATE.
class RequestId {
 public:
  explicit RequestId(libchat_request_id id) noexcept : id_(id) {}
  void reply(std::string_view payload) const {
    detail::call(libchat_request_reply, id_, detail::bytes(payload));
  }
  /// Says that it failed: who asks gets Remote with this code, a word, and text.
  void fail(std::string_view code, std::string_view text) const {
    detail::call(libchat_request_fail, id_, detail::Text("code", code),
                 detail::Text("text", text));
  }
  libchat_request_id native() const noexcept { return id_; }

 private:
  libchat_request_id id_;
};

/// A request as its handler sees it. Copy what outlives the handler; `id` is a value.
struct Request {
  explicit Request(const libchat_incoming& raw)
      : id(raw.id),
        subject(raw.subject),
        payload(detail::view(raw.payload)),
        headers(detail::headers_out(raw.headers, raw.headers_len)) {}

  RequestId id;
  std::string_view subject, payload;
  Headers headers;
};
using OnRequest = std::function<void(const Request&)>;

struct RespondOptions {
  OnRequest on_request = {};
  OnDone on_done = {};
  std::optional<std::string> queue_group = {};  ///< none: every responder gets every request
  std::uint32_t concurrency = 0;                ///< unanswered requests at once
  milliseconds answer_timeout = {};             ///< after it a request counts as failed
  milliseconds timeout = {};                    ///< of the set-up, as is `cancel`
  const Cancel* cancel = nullptr;
};

/// Hears requests until it is stopped; open ones can still be answered after that: join() waits for
/// them, close() fails them at once. A handler that throws fails its request and stops the
/// responder, and join() throws the same.
class Responder
    : public detail::Running<libchat_responder_stop, libchat_responder_join,
                             libchat_responder_close> {
 public:
  Responder() noexcept = default;

 private:
  friend class Manager;
  explicit Responder(detail::Started started) noexcept : Running(std::move(started)) {}
};

// ---- Sending

/// Runs once, on a libchat thread. The error is null when the message is stored; else it may be
/// kept as std::current_exception(). The receipt's id is there in both cases. If this throws, the
/// process ends: there is no one to tell.
using OnSent = std::function<void(const Receipt&, const Error*)>;

struct SendOptions {
  std::optional<std::string> id = {};        ///< sent twice under one id is stored once
  std::optional<std::string> reply_to = {};  ///< the id of the message this one answers
  Headers headers = {};
  std::optional<Cursor> expect_last = {};    ///< Conflict unless the newest; Cursor(): none yet
  bool by_short = false;                     ///< `thread` is the 8 hex digits, not the name
  bool unordered = false;                    ///< do not wait behind earlier sends to the thread
  milliseconds timeout = {};
  const Cancel* cancel = nullptr;
};

namespace detail {

struct SendOptionsIn : WithHeaders<libchat_send_options> {
  explicit SendOptionsIn(const SendOptions& options) : WithHeaders(options) {
    raw.id = text_in("id", options.id);
    raw.reply_to = text_in("reply_to", options.reply_to);
    if (options.expect_last) raw.expect_last = options.expect_last->native();
    raw.flags = flag(options.expect_last.has_value(), LIBCHAT_EXPECT_LAST) |
                flag(options.by_short, LIBCHAT_BY_SHORT) |
                flag(options.unordered, LIBCHAT_UNORDERED);
  }
};

using CallOptionsIn = WithHeaders<libchat_call_options>;

inline void on_sent(libchat_status status, const libchat_receipt* receipt,
                    const libchat_error* error, void* user_data) noexcept {
  const std::unique_ptr<OnSent> on_sent(static_cast<OnSent*>(user_data));
  if (!*on_sent) return;
  const Receipt given = receipt_out(*receipt);
  if (status == LIBCHAT_OK) return (*on_sent)(given, nullptr);
  try {
    raise(status, error);
  } catch (const Error& raised) {
    (*on_sent)(given, &raised);
  }
}

/// The user_data of a watch or a responder, destroyed at the end of its on_done.
template <class OnCall>
struct Callbacks {
  OnCall on_call;
  OnDone on_done;
  std::shared_ptr<std::exception_ptr> why = std::make_shared<std::exception_ptr>();

  /// For a catch clause. The first exception counts.
  void keep_exception() noexcept {
    if (!*why) *why = std::current_exception();
  }

  static void done(std::uint64_t, libchat_status status, const libchat_error* error,
                   void* user_data) noexcept {
    const std::unique_ptr<Callbacks> self(static_cast<Callbacks*>(user_data));
    try {
      check(status, error);
    } catch (...) {
      self->keep_exception();
    }
    try {
      if (self->on_done) self->on_done(*self->why);
    } catch (...) {
      self->keep_exception();
    }
  }
};

/// Starts a watch or a responder; once it has begun, its callbacks are C's until done.
template <class OnCall, class Raw, class Function, class... Args>
Started start(OnCall& on_call, OnDone& on_done, Raw& raw, Function function, const Args&... args) {
  using Self = Callbacks<OnCall>;
  std::unique_ptr<Self> self(new Self{std::move(on_call), std::move(on_done)});
  const auto why = self->why;  // done may run before `function` has returned
  raw.on_done = Self::done;
  raw.user_data = self.get();
  const auto handle = get<std::uint64_t>(function, args..., &raw);
  self.release();
  return {handle, why};
}

inline libchat_flow on_event(libchat_watch, const libchat_event* event, void* user_data) noexcept {
  auto& callbacks = *static_cast<Callbacks<OnEvent>*>(user_data);
  try {
    return static_cast<libchat_flow>(callbacks.on_call(Event(*event)));
  } catch (...) {
    callbacks.keep_exception();
    return LIBCHAT_STOP;
  }
}

inline void on_request(libchat_responder responder, const libchat_incoming* incoming,
                       void* user_data) noexcept {
  auto& callbacks = *static_cast<Callbacks<OnRequest>*>(user_data);
  try {
    callbacks.on_call(Request(*incoming));
  } catch (...) {
    callbacks.keep_exception();
    // Either may be refused: the handler has answered, or somebody has stopped the responder.
    libchat_request_fail(incoming->id, "exception", "the handler threw an exception", nullptr);
    libchat_responder_stop(responder);
  }
}

}  // namespace detail

// ---- Manager and connection

struct HistoryOptions {
  Start start = {};
  bool by_short = false;        ///< `thread` is the 8 hex digits, not the name
  std::uint32_t limit = 0;      ///< messages; Start::last brings its own
  std::uint64_t max_bytes = 0;  ///< of bodies; 0 = no bound
  milliseconds timeout = {};
  const Cancel* cancel = nullptr;
};

struct CallOptions {
  Headers headers = {};  ///< of a request
  milliseconds timeout = {};
  const Cancel* cancel = nullptr;
};

/// One agent in one project: all verbs.
class Manager : public detail::Owner<detail::close_manager> {
 public:
  Manager() noexcept = default;

  /// Stores one message and waits for the server's word on it.
  Receipt send(std::string_view thread, std::string_view body,
               const SendOptions& options = {}) const {
    return detail::receipt_out(detail::get<libchat_receipt>(
        libchat_send, native(), detail::Text("thread", thread), detail::bytes(body),
        detail::SendOptionsIn(options)));
  }
  /// The same without waiting. If this throws, on_sent does not run. It may be empty.
  void send_async(std::string_view thread, std::string_view body, const SendOptions& options,
                  OnSent on_sent) const {
    auto user_data = std::make_unique<OnSent>(std::move(on_sent));
    detail::call(libchat_send_async, native(), detail::Text("thread", thread),
                 detail::bytes(body), detail::SendOptionsIn(options), detail::on_sent,
                 static_cast<void*>(user_data.get()));
    user_data.release();  // detail::on_sent owns it, and may have destroyed it
  }
  std::future<Receipt> send_async(std::string_view thread, std::string_view body,
                                  const SendOptions& options = {}) const {
    auto promise = std::make_shared<std::promise<Receipt>>();
    send_async(thread, body, options, [promise](const Receipt& receipt, const Error* error) {
      error ? promise->set_exception(std::current_exception()) : promise->set_value(receipt);
    });
    return promise->get_future();
  }

  Watch watch(std::string_view thread, WatchOptions options = {}) const {
    return start_watch(options, libchat_watch_thread, detail::Text("thread", thread));
  }
  Watch watch_all(WatchOptions options = {}) const {
    return start_watch(options, libchat_watch_all);
  }
  /// Threads whose 8 hex digits match a NATS subject pattern.
  Watch watch_pattern(std::string_view pattern, WatchOptions options = {}) const {
    return start_watch(options, libchat_watch_pattern, detail::Text("pattern", pattern));
  }

  History history(std::string_view thread, const HistoryOptions& options = {}) const {
    auto raw = detail::options_in<libchat_history_options>(options);
    detail::start_in(raw, options.start);
    raw.max_bytes = options.max_bytes;
    raw.limit = options.start.kind == LIBCHAT_START_LAST ? options.start.n : options.limit;
    raw.flags = detail::flag(options.by_short, LIBCHAT_BY_SHORT);
    const auto* list = detail::get<const libchat_events*>(libchat_history, native(),
                                                          detail::Text("thread", thread), &raw);
    libchat_cursor next = {};
    const bool truncated = libchat_events_truncated(list, &next);
    return {detail::events_out(list), truncated, Cursor(next)};
  }
  std::vector<ThreadSummary> list_threads(const CallOptions& options = {}) const {
    return detail::threads_out(*detail::get_owned(libchat_threads_release, libchat_list_threads,
                                                  native(), detail::CallOptionsIn(options)));
  }
  std::vector<ThreadSummary> threads_for_agent(std::string_view agent, std::uint32_t max_threads,
                                               const CallOptions& options = {}) const {
    return detail::threads_out(*detail::get_owned(
        libchat_threads_release, libchat_threads_for_agent, native(),
        detail::Text("agent", agent), max_threads, detail::CallOptionsIn(options)));
  }

  /// The first answer of whoever listens on `subject`.
  Reply request(std::string_view subject, std::string_view payload,
                const CallOptions& options = {}) const {
    return detail::reply_out(*detail::get_owned(
        libchat_reply_release, libchat_request, native(), detail::Text("subject", subject),
        detail::bytes(payload), detail::CallOptionsIn(options)));
  }
  /// The answer of an agent of this project.
  Reply ask(std::string_view agent, std::string_view payload,
            const CallOptions& options = {}) const {
    return detail::reply_out(*detail::get_owned(
        libchat_reply_release, libchat_ask, native(), detail::Text("agent", agent),
        detail::bytes(payload), detail::CallOptionsIn(options)));
  }
  Responder respond(std::string_view subject, RespondOptions options) const {
    return start_responder(options, libchat_respond, detail::Text("subject", subject));
  }
  /// Hears what is asked of this agent.
  Responder answer(RespondOptions options) const {
    return start_responder(options, libchat_answer);
  }

  libchat_stats stats() const {
    auto stats = detail::sized<libchat_stats>();
    detail::call(libchat_manager_stats, native(), &stats);
    return stats;
  }
  /// Ends all that this manager started and waits for every callback. After Timeout the end goes on
  /// by itself; closing again waits again.
  void close(milliseconds timeout = forever) const {
    detail::call(libchat_manager_close, native(), detail::ms(timeout));
  }

 private:
  friend class Connection;
  explicit Manager(libchat_manager manager) noexcept : Owner(manager) {}

  template <class Function, class... Name>
  Watch start_watch(WatchOptions& options, Function function, const Name&... name) const {
    auto raw = detail::options_in<libchat_watch_options>(options);
    detail::start_in(raw, options.start);
    raw.limit = options.start.n;
    raw.queue = options.queue;
    raw.queue_bytes = options.queue_bytes;
    raw.flags = detail::flag(options.by_short, LIBCHAT_BY_SHORT) |
                detail::flag(options.skip_own, LIBCHAT_SKIP_OWN);
    raw.on_event = options.on_event ? detail::on_event : nullptr;
    return Watch(
        detail::start(options.on_event, options.on_done, raw, function, native(), name...));
  }
  template <class Function, class... Name>
  Responder start_responder(RespondOptions& options, Function function,
                            const Name&... name) const {
    auto raw = detail::options_in<libchat_respond_options>(options);
    raw.queue_group = detail::text_in("queue_group", options.queue_group);
    raw.concurrency = options.concurrency;
    raw.answer_timeout_ms = detail::ms(options.answer_timeout);
    raw.on_request = options.on_request ? detail::on_request : nullptr;
    return Responder(
        detail::start(options.on_request, options.on_done, raw, function, native(), name...));
  }
};

struct OpenOptions {
  bool bind_only = false;  ///< the project's stream must exist
  /// How long the server keeps messages; 0 is for ever. None: as the stream is.
  std::optional<std::chrono::nanoseconds> max_retention_age = {};
  std::uint32_t max_subscribers = 0;  ///< watches that are live at once
  milliseconds timeout = {};
  const Cancel* cancel = nullptr;
};

/// How to reach and enter the server. With nothing given it is looked for: see libchat.h.
struct ConnectOptions {
  std::optional<std::string> servers = {}, context = {}, name = {};
  std::optional<std::string> creds_file = {}, nkey_file = {};
  std::optional<std::string> user = {}, password = {}, token = {};
  std::optional<std::string> tls_ca_file = {}, tls_cert_file = {}, tls_key_file = {};
  std::optional<std::string> js_domain = {}, inbox_prefix = {};
  bool tls_required = false, tls_first = false;
  std::uint64_t buffer_bytes = 0;      ///< bound on what is queued for all watches
  std::uint32_t dispatch_threads = 0;  ///< bound on threads that run callbacks
  milliseconds timeout = {};
  const Cancel* cancel = nullptr;
};

/// One connection to the server, with its threads. Made by connect().
class Connection : public detail::Owner<detail::close_connection> {
 public:
  Connection() noexcept = default;

  Manager open(std::string_view project, std::string_view agent,
               const OpenOptions& options = {}) const {
    const detail::Text project_text("project", project), agent_text("agent", agent);
    auto raw = detail::options_in<libchat_manager_options>(options);
    raw.project = project_text;
    raw.agent_id = agent_text;
    raw.max_retention_age_ns = options.max_retention_age ? options.max_retention_age->count() : 0;
    raw.max_subscribers = options.max_subscribers;
    raw.flags = detail::flag(options.bind_only, LIBCHAT_BIND_ONLY) |
                detail::flag(options.max_retention_age.has_value(), LIBCHAT_SET_RETENTION);
    return Manager(detail::get<libchat_manager>(libchat_open, native(), &raw));
  }
  /// Begins the end of it and of every manager on it. Does not wait.
  void stop() const { detail::call(libchat_conn_stop, native()); }
  /// The same, and waits until its threads have ended. After Timeout the end goes on by itself;
  /// closing again waits again.
  void close(milliseconds timeout = forever) const {
    detail::call(libchat_conn_close, native(), detail::ms(timeout));
  }

 private:
  friend Connection connect(const ConnectOptions&);
  explicit Connection(libchat_conn connection) noexcept : Owner(connection) {}
};

/// Reaches the server: the one given, or the one found.
inline Connection connect(const ConnectOptions& options = {}) {
  auto raw = detail::options_in<libchat_conn_options>(options);
  raw.servers = detail::text_in("servers", options.servers);
  raw.context = detail::text_in("context", options.context);
  raw.name = detail::text_in("name", options.name);
  raw.creds_file = detail::text_in("creds_file", options.creds_file);
  raw.nkey_file = detail::text_in("nkey_file", options.nkey_file);
  raw.user = detail::text_in("user", options.user);
  raw.password = detail::text_in("password", options.password);
  raw.token = detail::text_in("token", options.token);
  raw.tls_ca_file = detail::text_in("tls_ca_file", options.tls_ca_file);
  raw.tls_cert_file = detail::text_in("tls_cert_file", options.tls_cert_file);
  raw.tls_key_file = detail::text_in("tls_key_file", options.tls_key_file);
  raw.js_domain = detail::text_in("js_domain", options.js_domain);
  raw.inbox_prefix = detail::text_in("inbox_prefix", options.inbox_prefix);
  raw.buffer_bytes = options.buffer_bytes;
  raw.dispatch_threads = options.dispatch_threads;
  raw.flags = detail::flag(options.tls_required, LIBCHAT_TLS_REQUIRED) |
              detail::flag(options.tls_first, LIBCHAT_TLS_FIRST);
  return Connection(detail::get<libchat_conn>(libchat_connect, &raw));
}
/// Starts the nats-server of a folder, or finds the one that runs: its address, user and password
/// included, for ConnectOptions::servers. It runs until it is stopped.
inline std::string local_server_start(std::string_view folder) {
  char url[1024];
  detail::call(libchat_local_server_start, detail::Text("folder", folder),
               static_cast<char*>(url), sizeof url);
  return url;
}
inline void local_server_stop(std::string_view folder) {
  detail::call(libchat_local_server_stop, detail::Text("folder", folder));
}

/// The 8 hex digits of a thread.
inline std::string thread_short(std::string_view project, std::string_view thread) {
  char text[9];
  detail::call(libchat_thread_short, detail::Text("project", project),
               detail::Text("thread", thread), static_cast<char*>(text));
  return text;
}

}  // namespace libchat

#endif  // LIBCHAT_HPP
