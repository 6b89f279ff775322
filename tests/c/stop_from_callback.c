/*
 * A watch ended from its own callback: no further event, then on_done once, with END. Point 7 of
 * the contract from inside.
 */
#include "support.h"

enum way { BY_STOP, BY_ANSWER, BY_STOP_AND_ANSWER, WAYS };

struct reader {
    enum way way;
    libchat_watch watch; /* written by libchat before the first event */
    long messages;
    bool stopped;
    struct counter done;
};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct reader *reader = user_data;

    CHECK(!reader->stopped);
    CHECK(watch == reader->watch);
    CHECK(is_callback_thread());
    if (event->kind != LIBCHAT_EVENT_MESSAGE)
        return LIBCHAT_CONTINUE;
    CHECK_EQ(reader->messages, number_of(event->message));
    if (++reader->messages < 3)
        return LIBCHAT_CONTINUE;
    reader->stopped = true;
    if (reader->way != BY_ANSWER) {
        OK(libchat_watch_stop(watch));
        OK(libchat_watch_stop(watch)); /* again is the same */
    }
    return reader->way == BY_STOP ? LIBCHAT_CONTINUE : LIBCHAT_STOP;
}

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct reader *reader = user_data;

    CHECK(watch == reader->watch && reader->stopped);
    CHECK(is_callback_thread());
    CHECK_EQ(LIBCHAT_END, why);
    check_error(why, error);
    counter_add(&reader->done, 1);
}

static void stop_by(libchat_manager manager, enum way way)
{
    struct reader reader = {.way = way, .done = COUNTER};
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);

    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = &reader;
    OK(libchat_watch_thread(manager, "plan", &options, &reader.watch, ERR));
    counter_wait(&reader.done, 1);
    /* Ended, not closed: the handle still answers. */
    OK(libchat_watch_stop(reader.watch));
    OK(libchat_watch_join(reader.watch, LIBCHAT_INFINITE, ERR));
    OK(libchat_watch_close(reader.watch));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_stop(reader.watch));
    CHECK_EQ(3, reader.messages);
    CHECK_EQ(1, counter_value(&reader.done));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");

    send_numbers(manager, "plan", 10);
    for (int way = 0; way < WAYS; way++)
        for (long n = rounds(20); n > 0; n--)
            stop_by(manager, (enum way)way);
    close_conn(conn);
    return end();
}
