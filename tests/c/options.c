/*
 * Every option struct, as an older or a newer program would pass it: shorter, longer with zeros,
 * longer with what this library does not know, absurd, absent.
 */
#include "verbs.h"

enum { ROOM = 8192 };

static libchat_conn conn;
static libchat_manager manager;

/* A struct in more memory than it needs. Its first member is its size. */
static _Alignas(16) unsigned char room[ROOM];

static libchat_status call_connect(void)
{
    libchat_conn out = 1;
    libchat_status status = libchat_connect((const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != 0));
    if (out)
        CHECK_EQ(LIBCHAT_OK, libchat_conn_close(out, LIBCHAT_INFINITE, NULL));
    return status;
}

static libchat_status call_open(void)
{
    libchat_manager out = 1;
    libchat_status status = libchat_open(conn, (const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != 0));
    if (out)
        CHECK_EQ(LIBCHAT_OK, libchat_manager_close(out, LIBCHAT_INFINITE, NULL));
    return status;
}

static libchat_status call_send(void)
{
    return libchat_send(manager, "plan", text("x"), (const void *)room, NULL, ERR);
}

static struct counter completed = COUNTER;

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt, (void)user_data;
    CHECK_EQ(LIBCHAT_OK, status);
    CHECK(!error);
    counter_add(&completed, 1);
}

static libchat_status call_send_async(void)
{
    long before = counter_value(&completed);
    libchat_status status = libchat_send_async(manager, "plan", text("x"), (const void *)room,
                                               on_sent, NULL, ERR);

    if (status == LIBCHAT_OK)
        counter_wait(&completed, before + 1);
    return status;
}

static libchat_status call_watch(void)
{
    libchat_watch out = 1;
    libchat_status status = libchat_watch_all(manager, (const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != 0));
    CHECK_EQ(LIBCHAT_OK, libchat_watch_close(out));
    return status;
}

static libchat_status call_history(void)
{
    const libchat_events *out;
    libchat_status status = libchat_history(manager, "plan", (const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != NULL));
    libchat_events_release(out);
    return status;
}

static libchat_status call_list(void)
{
    const libchat_threads *out;
    libchat_status status = libchat_list_threads(manager, (const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != NULL));
    libchat_threads_release(out);
    return status;
}

static libchat_status call_respond(void)
{
    libchat_responder out = 1;
    libchat_status status = libchat_respond(manager, "a.b", (const void *)room, &out, ERR);

    CHECK((status == LIBCHAT_OK) == (out != 0));
    CHECK_EQ(LIBCHAT_OK, libchat_responder_close(out));
    return status;
}

static libchat_conn_options connecting = LIBCHAT_INIT(libchat_conn_options);
static libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
static const libchat_send_options sending = LIBCHAT_INIT(libchat_send_options);
static const libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
static const libchat_history_options reading = LIBCHAT_INIT(libchat_history_options);
static const libchat_call_options calling = LIBCHAT_INIT(libchat_call_options);

/* `least`: with fewer bytes than this something that must be given is missing. */
static const struct {
    const char *name;
    libchat_status (*call)(void);
    const void *options;
    size_t size, least;
} cases[] = {
    {"connect", call_connect, &connecting, sizeof connecting,
     offsetof(libchat_conn_options, context)},
    {"open", call_open, &verb_opening, sizeof verb_opening,
     offsetof(libchat_manager_options, cancel)},
    {"send", call_send, &sending, sizeof sending, 8},
    {"send_async", call_send_async, &sending, sizeof sending, 8},
    {"watch", call_watch, &watching, sizeof watching, 8},
    {"history", call_history, &reading, sizeof reading, 8},
    {"list_threads", call_list, &calling, sizeof calling, 8},
    {"respond", call_respond, &responding, sizeof responding,
     offsetof(libchat_respond_options, on_done)},
};
enum { CASES = sizeof cases / sizeof *cases };

/* With `struct_size`, and what lies behind the struct filled with `tail`. */
static void call_with(int n, size_t struct_size, int tail, libchat_status wanted)
{
    size_t passed = struct_size < cases[n].size ? struct_size : cases[n].size;
    char why[128];

    memset(room, tail, sizeof room);
    memcpy(room, cases[n].options, passed);
    memcpy(room, &struct_size, sizeof struct_size);
    libchat_status found = cases[n].call();
    expect(__FILE__, __LINE__, cases[n].name, found, found);
    snprintf(why, sizeof why, "struct_size %zu, tail %02x: %s, not %s", struct_size,
             (unsigned)tail, libchat_status_name(found), libchat_status_name(wanted));
    if (found != wanted)
        fail(__FILE__, __LINE__, cases[n].name, why);
}

static void sizes(int n)
{
    size_t size = cases[n].size;

    call_with(n, size, 0xff, LIBCHAT_OK);    /* what lies behind it is not looked at */
    call_with(n, size + 8, 0, LIBCHAT_OK);   /* a newer program that uses nothing new */
    call_with(n, size + 1, 0, LIBCHAT_OK);
    call_with(n, 4096, 0, LIBCHAT_OK);
    call_with(n, size + 8, 0xff, LIBCHAT_ERR_UNSUPPORTED);
    call_with(n, size + 1, 1, LIBCHAT_ERR_UNSUPPORTED);
    call_with(n, 4096, 1, LIBCHAT_ERR_UNSUPPORTED);
    call_with(n, 4097, 0, LIBCHAT_ERR_INVALID_ARGUMENT);
    call_with(n, 0, 0, LIBCHAT_ERR_INVALID_ARGUMENT);
    call_with(n, 7, 0, LIBCHAT_ERR_INVALID_ARGUMENT);
    call_with(n, SIZE_MAX, 0, LIBCHAT_ERR_INVALID_ARGUMENT);
    /* An older program: what it does not pass is as if it were 0. */
    for (size_t shorter = cases[n].least; shorter < size; shorter += 4)
        call_with(n, shorter, 0xff, LIBCHAT_OK);
    call_with(n, size - 1, 0xff, LIBCHAT_OK); /* cut within a member that is 0 */
    if (cases[n].least > 8)
        call_with(n, 8, 0xff, n == 0 ? LIBCHAT_OK : LIBCHAT_ERR_INVALID_ARGUMENT);
}

static void absent(void)
{
    libchat_manager out = 1;
    const libchat_events *events;
    const libchat_threads *threads;
    libchat_conn other;
    libchat_watch watch;

    OK(libchat_connect(NULL, &other, ERR)); /* by LIBCHAT_URL */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_open(other, NULL, &out, ERR));
    CHECK(out == 0);
    close_conn(other);
    OK(libchat_send(manager, "plan", text("x"), NULL, NULL, ERR));
    OK(libchat_watch_all(manager, NULL, &watch, ERR));
    OK(libchat_watch_close(watch));
    OK(libchat_history(manager, "plan", NULL, &events, ERR));
    libchat_events_release(events);
    OK(libchat_list_threads(manager, NULL, &threads, ERR));
    libchat_threads_release(threads);
}

static void unknown_flags_and_values_are_refused(void)
{
    libchat_send_options send = sending;
    libchat_watch_options watch = watching;
    libchat_manager_options open = verb_opening;
    libchat_watch out;

    send.flags = 1u << 31;
    libchat_status status = libchat_send(manager, "plan", text("x"), &send, NULL, ERR);
    expect(__FILE__, __LINE__, "unknown flag", status, status);
    CHECK(status == LIBCHAT_ERR_UNSUPPORTED || status == LIBCHAT_ERR_INVALID_ARGUMENT);
    watch.start = 77;
    status = libchat_watch_all(manager, &watch, &out, ERR);
    expect(__FILE__, __LINE__, "unknown start", status, status);
    CHECK(status == LIBCHAT_ERR_UNSUPPORTED || status == LIBCHAT_ERR_INVALID_ARGUMENT);
    open.reserved0 = 1;
    status = libchat_open(conn, &open, &out, ERR);
    expect(__FILE__, __LINE__, "reserved member", status, status);
    CHECK(status == LIBCHAT_ERR_UNSUPPORTED || status == LIBCHAT_ERR_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    CHECK(setenv("LIBCHAT_URL", url, 1) == 0);
    connecting.servers = url;
    responding.on_request = never_request;
    conn = connect_here();
    manager = open_as(conn, "ana");
    for (int n = 0; n < CASES; n++)
        sizes(n);
    absent();
    unknown_flags_and_values_are_refused();
    close_conn(conn);
    return end();
}
