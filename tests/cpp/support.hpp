// What the test programs share: checks, waiting with a deadline, a server of their own.
#ifndef LIBCHAT_TESTS_SUPPORT_HPP
#define LIBCHAT_TESTS_SUPPORT_HPP

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <typeinfo>
#include <utility>

#include "libchat.hpp"

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : test::fail(__FILE__, __LINE__, #condition))
#define CHECK_EQUAL(a, b) test::check_equal(__FILE__, __LINE__, #a " == " #b, (a), (b))

namespace test {

using namespace std::chrono_literals;

/// No test waits longer for anything.
inline constexpr std::chrono::seconds patience = 120s;

/// From any thread. The server that is left behind is the runner's to stop.
[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::cerr << file << ":" << line << ": " << what << std::endl;
  std::_Exit(1);
}

template <class A, class B>
void check_equal(const char* file, int line, const char* what, const A& a, const B& b) {
  if (a == b) return;
  std::cerr << "left: " << a << "\nright: " << b << "\n";
  fail(file, line, what);
}

/// What `call` throws; its class must be E, not one derived from it.
template <class E, class Call>
E thrown_by(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    if (typeid(error) != typeid(E)) fail(typeid(error).name(), 0, error.what());
    return error;
  } catch (const std::exception& error) {
    fail(typeid(error).name(), 0, error.what());
  }
  fail(typeid(E).name(), 0, "was expected, and nothing was thrown");
}

/// What libchat::Error says of `call`, of whatever class it is.
template <class Call>
libchat_status status_of(Call&& call) {
  try {
    call();
  } catch (const libchat::Error& error) {
    return error.status();
  }
  return LIBCHAT_OK;
}

/// From thread to thread.
template <class T>
class Queue {
 public:
  void push(T value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    values_.push_back(std::move(value));
    pushed_.notify_one();
  }
  T pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!pushed_.wait_for(lock, patience, [this] { return !values_.empty(); }))
      fail(__FILE__, __LINE__, "nothing came");
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }
  bool empty() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return values_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable pushed_;
  std::deque<T> values_;
};

/// A nats-server in the folder that the runner gives; also the deadline of the whole program.
class Server {
 public:
  Server(int argc, char** argv) : folder_(argc > 1 ? argv[1] : "") {
    if (folder_.empty()) fail(argv[0], 0, "wants a folder of its own");
    alarm(static_cast<unsigned>(patience.count()));
    options_.servers = libchat::local_server_start(folder_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { libchat::local_server_stop(folder_); }

  const libchat::ConnectOptions& options() const { return options_; }
  libchat::Connection connect() const { return libchat::connect(options_); }

  /// Returns when all of it stands still. It is a child of this process, which started it.
  void freeze() const {
    siginfo_t stopped;
    CHECK(waitid(P_PID, signal(SIGSTOP), &stopped, WSTOPPED) == 0);
  }
  void thaw() const { signal(SIGCONT); }

 private:
  id_t signal(int number) const {
    std::ifstream file(folder_ + "/.libchat/hub.json");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto at = text.find("\"pid\":");
    CHECK(at != std::string::npos);
    const int pid = std::atoi(text.c_str() + at + 6);
    CHECK(pid > 1);
    CHECK(kill(pid, number) == 0);
    return static_cast<id_t>(pid);
  }

  std::string folder_;
  libchat::ConnectOptions options_;
};

}  // namespace test

#endif  // LIBCHAT_TESTS_SUPPORT_HPP
