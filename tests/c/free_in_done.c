/*
 * Freeing user_data in on_done is always right: however the watch or the responder ends, no
 * callback comes after it. What is freed is overwritten first, so that a use of it shows. Point 6.
 */
#include "support.h"

enum { ALIVE = 0x11fe, POISON = 0xdd };
enum end_by { STOP, ANSWER, CLOSE, MANAGER_CLOSE, CONN_STOP, CONN_CLOSE, ENDS };

/* On the heap; it ends in on_done, or in on_sent. */
struct reader {
    int alive;
    enum end_by by;
    libchat_manager manager;
    long events, open_requests;
};

static struct counter begun = COUNTER, ended = COUNTER;

static struct reader *reader_new(enum end_by by, libchat_manager manager)
{
    struct reader *reader = malloc(sizeof *reader);

    CHECK(reader != NULL);
    *reader = (struct reader){.alive = ALIVE, .by = by, .manager = manager};
    return reader;
}

static void reader_free(struct reader *reader)
{
    CHECK_EQ(ALIVE, reader->alive);
    memset(reader, POISON, sizeof *reader);
    free(reader);
    counter_add(&ended, 1);
}

static void on_done(uint64_t handle, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct reader *reader = user_data;
    bool by_itself = reader->by == STOP || reader->by == ANSWER || reader->by == CLOSE;

    CHECK(handle != 0);
    check_error(why, error);
    CHECK_EQ(by_itself ? LIBCHAT_END : LIBCHAT_ERR_CLOSED, why);
    reader_free(reader);
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    CHECK(receipt->id[0] != 0);
    check_error(status, error);
    reader_free(user_data);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct reader *reader = user_data;

    (void)watch, (void)event;
    CHECK_EQ(ALIVE, reader->alive);
    counter_add(&begun, 1);
    return reader->by == ANSWER && ++reader->events > 5 ? LIBCHAT_STOP : LIBCHAT_CONTINUE;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    struct reader *reader = user_data;

    (void)responder;
    CHECK_EQ(ALIVE, reader->alive);
    reader->open_requests++;
    OK(libchat_request_reply(incoming->id, incoming->payload, ERR));
}

static libchat_watch watch_with(struct reader *reader, bool pull)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    options.start = LIBCHAT_START_ALL;
    options.on_event = pull ? NULL : on_event;
    options.on_done = on_done;
    options.user_data = reader;
    OK(libchat_watch_thread(reader->manager, "plan", &options, &watch, ERR));
    return watch;
}

static void end_watches(enum end_by by, libchat_conn conn, libchat_manager manager)
{
    libchat_watch calls = watch_with(reader_new(by, manager), false);
    libchat_watch pulls = watch_with(reader_new(by, manager), true);
    libchat_respond_options options = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder;

    options.on_request = on_request;
    options.on_done = on_done;
    options.user_data = reader_new(by, manager);
    OK(libchat_answer(manager, &options, &responder, ERR));
    for (int n = 0; n < 20; n++)
        OK(libchat_send_async(manager, "plan", text("x"), NULL, on_sent, reader_new(by, manager),
                              ERR));
    counter_wait(&begun, 3);
    if (by == STOP) {
        OK(libchat_watch_stop(calls));
        OK(libchat_responder_stop(responder));
    }
    if (by == STOP || by == ANSWER)
        OK(libchat_watch_stop(pulls));
    if (by == CLOSE)
        OK(libchat_watch_close(calls));
    if (by == CLOSE || by == ANSWER)
        OK(libchat_responder_close(responder));
    if (by == CLOSE)
        OK(libchat_watch_close(pulls));
    if (by == ANSWER)
        OK(libchat_watch_join(calls, LIBCHAT_INFINITE, ERR));
    if (by == STOP) {
        OK(libchat_watch_join(calls, LIBCHAT_INFINITE, ERR));
        OK(libchat_watch_join(pulls, LIBCHAT_INFINITE, ERR));
        OK(libchat_responder_join(responder, LIBCHAT_INFINITE, ERR));
    }
    if (by == MANAGER_CLOSE)
        OK(libchat_manager_close(manager, LIBCHAT_INFINITE, ERR));
    if (by == CONN_STOP)
        OK(libchat_conn_stop(conn, ERR));
    close_conn(conn);
}

/* What could not be set up calls nothing: its user_data is still the caller's. */
static void a_failed_set_up_frees_nothing(libchat_manager manager)
{
    struct reader *reader = reader_new(STOP, manager);
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    uint64_t out = 1;

    watching.on_event = on_event;
    watching.on_done = responding.on_done = on_done;
    watching.user_data = responding.user_data = reader;
    responding.on_request = on_request;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_thread(manager, "", &watching, &out, ERR));
    CHECK(out == 0);
    watching.start = LIBCHAT_START_AFTER; /* without a cursor */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_all(manager, &watching, &out, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_respond(manager, "a..b", &responding, &out, ERR));
    CHECK(out == 0);
    OK(libchat_manager_close(manager, LIBCHAT_INFINITE, ERR));
    watching.start = LIBCHAT_START_ALL;
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_thread(manager, "plan", &watching, &out, ERR));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_answer(manager, &responding, &out, ERR));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_send_async(manager, "plan", text("x"), NULL, on_sent,
                                                  reader, ERR));
    reader_free(reader);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ben");
    long readers = 0;

    send_numbers(manager, "plan", 50);
    a_failed_set_up_frees_nothing(manager);
    close_conn(conn);
    CHECK_EQ(++readers, counter_value(&ended));
    for (int by = 0; by < ENDS; by++) {
        for (long n = rounds(20); n > 0; n--) {
            conn = connect_here();
            begun.value = 0;
            end_watches((enum end_by)by, conn, open_as(conn, "ana"));
            readers += 23;
            CHECK_EQ(readers, counter_value(&ended));
        }
    }
    return end();
}
