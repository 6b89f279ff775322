/*
 * A join on a libchat thread answers WOULD_DEADLOCK at once and changes nothing; elsewhere it
 * returns when on_done has returned, or says TIMEOUT and can be called again. Point 8.
 */
#include "support.h"

static libchat_manager manager;
static libchat_watch watch, other;
static libchat_responder responder;
static struct counter messages = COUNTER, answered = COUNTER, sent = COUNTER;
static struct counter done_begun = COUNTER, done_may_end = COUNTER;
static atomic_bool done_over;

static void refuse_to_join(void)
{
    double begun = now_ms();

    CHECK(is_callback_thread());
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_watch_join(watch, LIBCHAT_INFINITE, ERR));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_watch_join(watch, 0, ERR));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_watch_join(other, LIBCHAT_INFINITE, ERR));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_responder_join(responder, LIBCHAT_INFINITE, ERR));
    CHECK(now_ms() - begun < 1000.0 * (double)slow());
}

static libchat_flow on_event(libchat_watch it, const libchat_event *event, void *user_data)
{
    (void)user_data;
    CHECK(it == watch);
    refuse_to_join();
    if (event->kind == LIBCHAT_EVENT_MESSAGE)
        counter_add(&messages, 1);
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t it, libchat_status why, const libchat_error *error, void *user_data)
{
    (void)user_data;
    CHECK(it == watch);
    check_error(why, error);
    refuse_to_join();
    counter_add(&done_begun, 1);
    counter_wait(&done_may_end, 1);
    atomic_store(&done_over, true);
}

static void on_request(libchat_responder it, const libchat_incoming *incoming, void *user_data)
{
    (void)user_data;
    CHECK(it == responder);
    refuse_to_join();
    OK(libchat_request_reply(incoming->id, text("joined nothing"), ERR));
    counter_add(&answered, 1);
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt, (void)user_data;
    check_error(status, error);
    refuse_to_join();
    counter_add(&sent, 1);
}

static void set_up(void)
{
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);

    OK(libchat_watch_all(manager, NULL, &other, ERR));
    responding.on_request = on_request;
    OK(libchat_answer(manager, &responding, &responder, ERR));
    watching.start = LIBCHAT_START_ALL;
    watching.on_event = on_event;
    watching.on_done = on_done;
    OK(libchat_watch_thread(manager, "plan", &watching, &watch, ERR));
}

int main(int argc, char **argv)
{
    const libchat_reply *reply;

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    send_numbers(manager, "plan", 3);
    set_up();

    /* Nothing is changed by a join that was refused: all of it goes on. */
    counter_wait(&messages, 3);
    send_text(manager, "plan", "4");
    counter_wait(&messages, 4);
    OK(libchat_ask(manager, "ana", text("?"), NULL, &reply, ERR));
    CHECK_TEXT("joined nothing", libchat_reply_payload(reply));
    libchat_reply_release(reply);
    OK(libchat_send_async(manager, "other", text("x"), NULL, on_sent, NULL, ERR));
    counter_wait(&sent, 1);

    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_watch_join(watch, 0, ERR)); /* nobody has stopped it */
    OK(libchat_watch_stop(watch));
    counter_wait(&done_begun, 1);
    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_watch_join(watch, 0, ERR));
    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_watch_join(watch, 20, ERR));
    counter_add(&done_may_end, 1);
    OK(libchat_watch_join(watch, LIBCHAT_INFINITE, ERR));
    CHECK(atomic_load(&done_over));
    OK(libchat_watch_join(watch, 0, ERR)); /* again is the same */

    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_responder_join(responder, 20, ERR));
    OK(libchat_responder_stop(responder));
    OK(libchat_responder_join(responder, LIBCHAT_INFINITE, ERR));
    close_conn(conn);
    return end();
}
