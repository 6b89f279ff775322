/*
 * Errors: what they tell, that no secret and no body is in them, that `err` may be NULL, and that
 * nobody answers is said with every place looked at.
 */
#include "support.h"

static void of_nothing(void)
{
    CHECK_EQ(LIBCHAT_OK, libchat_error_code(NULL));
    CHECK_TEXT("", text(libchat_error_message(NULL)));
    CHECK_TEXT("", text(libchat_error_hint(NULL)));
    CHECK_TEXT("", text(libchat_error_id(NULL)));
    CHECK_TEXT("", text(libchat_error_remote_code(NULL)));
    CHECK_EQ(0, libchat_error_server_code(NULL));
    CHECK(!libchat_error_is_retryable(NULL));
    libchat_error_free(NULL);
}

static void names(void)
{
    static const struct {
        libchat_status status;
        const char *name;
    } all[] = {{LIBCHAT_OK, "OK"},
               {LIBCHAT_END, "END"},
               {LIBCHAT_EMPTY, "EMPTY"},
               {LIBCHAT_ERR_INVALID_ARGUMENT, "INVALID_ARGUMENT"},
               {LIBCHAT_ERR_INVALID_HANDLE, "INVALID_HANDLE"},
               {LIBCHAT_ERR_INVALID_STATE, "INVALID_STATE"},
               {LIBCHAT_ERR_WOULD_DEADLOCK, "WOULD_DEADLOCK"},
               {LIBCHAT_ERR_FORKED, "FORKED"},
               {LIBCHAT_ERR_UNSUPPORTED, "UNSUPPORTED"},
               {LIBCHAT_ERR_BUSY, "BUSY"},
               {LIBCHAT_ERR_SYSTEM, "SYSTEM"},
               {LIBCHAT_ERR_TIMEOUT, "TIMEOUT"},
               {LIBCHAT_ERR_DISCONNECTED, "DISCONNECTED"},
               {LIBCHAT_ERR_CLOSED, "CLOSED"},
               {LIBCHAT_ERR_UNAUTHORIZED, "UNAUTHORIZED"},
               {LIBCHAT_ERR_NO_RESPONDERS, "NO_RESPONDERS"},
               {LIBCHAT_ERR_OUTCOME_UNKNOWN, "OUTCOME_UNKNOWN"},
               {LIBCHAT_ERR_REMOTE, "REMOTE"},
               {LIBCHAT_ERR_CANCELLED, "CANCELLED"},
               {LIBCHAT_ERR_NOT_FOUND, "NOT_FOUND"},
               {LIBCHAT_ERR_CONFLICT, "CONFLICT"},
               {LIBCHAT_ERR_TOO_LARGE, "TOO_LARGE"},
               {LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS, "TOO_MANY_SUBSCRIBERS"},
               {LIBCHAT_ERR_SERVER, "SERVER"},
               {LIBCHAT_ERR_PANIC, "PANIC"}};

    for (size_t n = 0; n < sizeof all / sizeof *all; n++)
        CHECK(!strcmp(all[n].name, libchat_status_name(all[n].status)));
    for (libchat_status status = -10; status < 1000; status++)
        CHECK(libchat_status_name(status) != NULL && libchat_status_name(status)[0] != 0);
}

/* Refused with a text that does not hold the password. */
static void connecting(void)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    char address[64];
    libchat_conn conn;

    options.servers = "nats://127.0.0.1:1";
    options.timeout_ms = 300;
    EXPECT(LIBCHAT_ERR_DISCONNECTED, libchat_connect(&options, &conn, ERR));
    CHECK(failure.retryable && strstr(failure.text, "127.0.0.1:1"));
    CHECK(conn == 0);
    options.timeout_ms = 0;
    snprintf(address, sizeof address, "nats://127.0.0.1:%d", atoi(strrchr(url, ':') + 1));
    options.servers = address;
    options.user = "nobody";
    options.password = "hunter2";
    EXPECT(LIBCHAT_ERR_UNAUTHORIZED, libchat_connect(&options, &conn, ERR));
    CHECK(!failure.retryable && !strstr(failure.text, "hunter2"));
    options.user = options.password = NULL;
    options.servers = "nats://127.0.0.1:notaport";
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_connect(&options, &conn, ERR));
    options.servers = address;
    options.creds_file = "/nowhere/at/all.creds";
    CHECK(libchat_connect(&options, &conn, NULL) != LIBCHAT_OK); /* err may be NULL */
    CHECK(conn == 0);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_connect(&options, NULL, ERR));
}

static void opening(libchat_conn conn)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_manager manager;

    options.agent_id = "ana";
    options.project = "a.b";
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_open(conn, &options, &manager, ERR));
    CHECK(strstr(failure.text, "project"));
    options.project = "absent";
    options.flags = LIBCHAT_BIND_ONLY;
    EXPECT(LIBCHAT_ERR_NOT_FOUND, libchat_open(conn, &options, &manager, ERR));
    CHECK_EQ(10059, failure.server_code);
    options.flags = 0;
    options.agent_id = "\xff";
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_open(conn, &options, &manager, ERR));
    options.agent_id = NULL;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_open(conn, &options, &manager, ERR));
    CHECK(manager == 0);
}

static void the_servers_word(libchat_manager manager)
{
    char answer[8192];

    raw_request("$JS.API.STREAM.UPDATE.chat-demo",
                "{\"name\":\"chat-demo\",\"subjects\":[\"chat.demo.>\"],\"max_msgs\":1,"
                "\"discard\":\"new\"}",
                answer, sizeof answer);
    CHECK(!strstr(answer, "\"error\""));
    send_text(manager, "plan", "fits");
    EXPECT(LIBCHAT_ERR_SERVER,
           libchat_send(manager, "plan", text("secret words"), NULL, NULL, ERR));
    CHECK_EQ(10077, failure.server_code);
    CHECK(failure.hint[0] && !failure.retryable && strlen(failure.id) == 32);
    CHECK(!strstr(failure.text, "secret words"));
    CHECK(failure.text[0] >= 'a' && failure.text[0] <= 'z'); /* lower case, one line, no stop */
    CHECK(!strchr(failure.text, '\n') && failure.text[strlen(failure.text) - 1] != '.');
    raw_request("$JS.API.STREAM.DELETE.chat-demo", "", answer, sizeof answer);
    EXPECT(LIBCHAT_ERR_NOT_FOUND, libchat_send(manager, "plan", text("x"), NULL, NULL, ERR));
}

/* An error is the host's own: it outlives what it is about. */
static void kept(libchat_conn conn, libchat_manager manager)
{
    libchat_error *error;

    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT,
             libchat_send(manager, "", text("x"), NULL, NULL, &error));
    close_conn(conn);
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_error_code(error));
    CHECK(strstr(libchat_error_message(error), "thread"));
    libchat_error_free(error);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");

    of_nothing();
    names();
    connecting();
    opening(conn);
    the_servers_word(manager);
    kept(conn, manager);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", LIBCHAT_VERSION_MAJOR, LIBCHAT_VERSION_MINOR,
             LIBCHAT_VERSION_PATCH);
    CHECK(!strcmp(version, libchat_version()));
    CHECK(libchat_abi_compatible(LIBCHAT_ABI));
    CHECK(!libchat_abi_compatible(LIBCHAT_ABI + 1) && !libchat_abi_compatible(0));
    return end();
}
