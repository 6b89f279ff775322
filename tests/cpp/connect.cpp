// Connecting and opening: every option arrives, and what is refused is told apart.
#include <chrono>
#include <fstream>

#include "support.hpp"

using namespace std::chrono_literals;

struct Address {
  std::string user, password, host;
};

/// Takes "nats://user:password@host:port" apart.
static Address taken_apart(const std::string& url) {
  const auto user = url.find("://") + 3, password = url.find(':', user), host = url.find('@');
  CHECK(password < host && host != std::string::npos);
  return {url.substr(user, password - user), url.substr(password + 1, host - password - 1),
          url.substr(host + 1)};
}

static void credentials_may_stand_beside_the_address(const Address& address) {
  libchat::ConnectOptions options;
  options.servers = address.host;
  test::thrown_by<libchat::Unauthorized>([&] { libchat::connect(options); });
  options.user = address.user;
  options.password = "not " + address.password;
  const auto refused =
      test::thrown_by<libchat::Unauthorized>([&] { libchat::connect(options); });
  CHECK_EQUAL(refused.status(), LIBCHAT_ERR_UNAUTHORIZED);
  CHECK(std::string(refused.what()).find(address.password) == std::string::npos);
  options.password = address.password;
  CHECK(libchat::connect(options));

  options.tls_required = true;
  CHECK(test::status_of([&] { libchat::connect(options); }) >= 100);
  options.tls_required = false;
  options.creds_file = "/no/such/file";
  CHECK(test::status_of([&] { libchat::connect(options); }) >= 100);
}

static void nobody_there_is_told_at_the_deadline() {
  libchat::ConnectOptions options;
  options.servers = "nats://127.0.0.1:1";
  options.timeout = 200ms;
  const auto error = test::thrown_by<libchat::Error>([&] { libchat::connect(options); });
  CHECK_EQUAL(error.status(), LIBCHAT_ERR_DISCONNECTED);
  CHECK(error.retryable());
  CHECK(std::string(error.what()).find("127.0.0.1:1") != std::string::npos);
}

static void an_open_takes_its_options(const libchat::Connection& connection) {
  libchat::OpenOptions options;
  options.bind_only = true;
  const auto status = [&](const char* project) {
    return test::status_of([&] { connection.open(project, "ana", options); });
  };
  CHECK_EQUAL(status("absent"), LIBCHAT_ERR_NOT_FOUND);
  options = {};
  options.max_retention_age = 1ms;  // less than a server takes
  CHECK_EQUAL(status("demo"), LIBCHAT_ERR_INVALID_ARGUMENT);
  options.max_retention_age = 24h;
  CHECK_EQUAL(status("demo"), LIBCHAT_OK);
  options.max_retention_age = 0ns;
  CHECK_EQUAL(status("demo"), LIBCHAT_OK);
  options = {};
  options.bind_only = true;
  CHECK_EQUAL(status("demo"), LIBCHAT_OK);
  CHECK_EQUAL(status("not.a.project"), LIBCHAT_ERR_INVALID_ARGUMENT);

  options.max_subscribers = 1;
  const libchat::Manager ana = connection.open("demo", "ana", options);
  const libchat::Watch first = ana.watch_all();
  CHECK_EQUAL(test::status_of([&] { ana.watch_all(); }), LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS);
}

static void the_server_of_a_folder_is_found_again(const test::Server& server, const char* folder) {
  CHECK_EQUAL(libchat::local_server_start(folder), server.options().servers.value());
  const std::string file = std::string(folder) + "/file";
  std::ofstream(file) << "no folder";
  CHECK(test::status_of([&] { libchat::local_server_start(file); }) >= 100);
}

int main(int argc, char** argv) {
  const test::Server server(argc, argv);
  const libchat::Connection connection = server.connect();
  credentials_may_stand_beside_the_address(taken_apart(server.options().servers.value()));
  nobody_there_is_told_at_the_deadline();
  an_open_takes_its_options(connection);
  the_server_of_a_folder_is_found_again(server, argv[1]);
}
