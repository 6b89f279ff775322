// The other half of two_units.cpp.
#include "libchat.hpp"

libchat::Watch watch_elsewhere(const libchat::Manager& manager, libchat::WatchOptions options);
[[noreturn]] void fail_elsewhere();

libchat::Watch watch_elsewhere(const libchat::Manager& manager, libchat::WatchOptions options) {
  return manager.watch("plan", std::move(options));
}

void fail_elsewhere() { libchat::detail::raise(LIBCHAT_ERR_CLOSED, nullptr); }
