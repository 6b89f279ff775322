/*
 * From inside a watch callback: ask a responder of the same connection, send, read history, list,
 * open and close a watch. Blocking calls wait for the network, never for the thread they block.
 * Points 2 and 11 of the contract.
 */
#include "support.h"

static libchat_conn conn;
static libchat_manager manager;
static struct counter done = COUNTER;

static void ask_back(void)
{
    const libchat_reply *reply;

    OK(libchat_ask(manager, "ana", text("from a callback"), NULL, &reply, ERR));
    CHECK_TEXT("from a callback", libchat_reply_payload(reply));
    libchat_reply_release(reply);
    EXPECT(LIBCHAT_ERR_NO_RESPONDERS, libchat_ask(manager, "nobody", text("?"), NULL, &reply, ERR));
    CHECK(reply == NULL);
}

static void use_every_verb(void)
{
    const libchat_threads *threads;
    const libchat_events *events;
    libchat_watch watch;
    ptrdiff_t fd;
    char again[512];

    send_text(manager, "notes", "from a callback");
    CHECK(stored(manager, "notes") > 0);
    OK(libchat_list_threads(manager, NULL, &threads, ERR));
    CHECK_EQ(2, libchat_threads_len(threads));
    libchat_threads_release(threads);
    OK(libchat_threads_for_agent(manager, "ana", 1, NULL, &threads, ERR));
    CHECK_EQ(1, libchat_threads_len(threads));
    libchat_threads_release(threads);
    OK(libchat_watch_thread(manager, "notes", NULL, &watch, ERR));
    OK(libchat_watch_fd(watch, &fd, ERR));
    close((int)fd);
    send_text(manager, "notes", "and again");
    next_of(watch, LIBCHAT_EVENT_MESSAGE, &events);
    libchat_events_release(events);
    OK(libchat_watch_close(watch));
    libchat_manager other = open_as(conn, "eve");
    OK(libchat_manager_close(other, 0, ERR)); /* here it only starts it */
    OK(libchat_local_server_start(folder, again, sizeof again, ERR)); /* it runs: found again */
    CHECK(!strcmp(again, url));
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)user_data;
    if (event->kind == LIBCHAT_EVENT_MESSAGE) {
        CHECK(is_callback_thread());
        ask_back();
        use_every_verb();
        counter_add(&done, 1);
    }
    return LIBCHAT_CONTINUE;
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)user_data;
    CHECK(is_callback_thread());
    if (incoming->payload.len < 4 || memcmp(incoming->payload.data, "deep", 4) != 0) {
        OK(libchat_request_reply(incoming->id, incoming->payload, ERR));
        return;
    }
    /* A responder that asks another before it answers. */
    const libchat_reply *reply;
    OK(libchat_request(manager, "demo.other", text("x"), NULL, &reply, ERR));
    OK(libchat_request_reply(incoming->id, libchat_reply_payload(reply), ERR));
    libchat_reply_release(reply);
}

static void on_other_request(libchat_responder responder, const libchat_incoming *incoming,
                             void *user_data)
{
    (void)responder, (void)user_data;
    OK(libchat_request_reply(incoming->id, text("from the other"), ERR));
}

int main(int argc, char **argv)
{
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_responder responder;
    libchat_watch watch;
    const libchat_reply *reply;
    long messages = rounds(20);

    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    responding.on_request = on_request;
    OK(libchat_answer(manager, &responding, &responder, ERR));
    responding.on_request = on_other_request;
    OK(libchat_respond(manager, "demo.other", &responding, &responder, ERR));
    watching.start = LIBCHAT_START_ALL;
    watching.on_event = on_event;
    OK(libchat_watch_thread(manager, "plan", &watching, &watch, ERR));
    send_numbers(manager, "plan", messages);
    counter_wait(&done, messages);
    OK(libchat_ask(manager, "ana", text("deep"), NULL, &reply, ERR));
    CHECK_TEXT("from the other", libchat_reply_payload(reply));
    libchat_reply_release(reply);
    close_conn(conn);
    return end();
}
