/*
 * Every verb on a closed handle says CLOSED, closing one again or closing 0 is OK. So it is when
 * the handle itself was closed, and when what it belongs to was. Points 9 and 10 of the contract.
 */
#include "verbs.h"

static struct counter requests = COUNTER;
static libchat_request_id request_id;

static void keep_request(libchat_responder responder, const libchat_incoming *incoming,
                         void *user_data)
{
    (void)responder, (void)user_data;
    request_id = incoming->id;
    counter_add(&requests, 1);
}

static void all_of_kind_say(enum kind kind, uint64_t handle, libchat_status wanted)
{
    for (int n = 0; n < VERBS; n++)
        if (verbs[n].kind == kind)
            expect_verb(&verbs[n], handle, verbs[n].closes ? LIBCHAT_OK : wanted,
                        verbs[n].closes ? LIBCHAT_OK : wanted);
}

struct handles {
    libchat_conn conn;
    libchat_manager manager;
    libchat_watch calls, pulls;
    libchat_responder responder;
};

static libchat_flow ignore_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)event, (void)user_data;
    return LIBCHAT_CONTINUE;
}

static struct handles open_all(void)
{
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    struct handles all;

    all.conn = connect_here();
    all.manager = open_as(all.conn, "ana");
    watching.on_event = ignore_event;
    OK(libchat_watch_thread(all.manager, "plan", &watching, &all.calls, ERR));
    OK(libchat_watch_all(all.manager, NULL, &all.pulls, ERR));
    responding.on_request = keep_request;
    OK(libchat_answer(all.manager, &responding, &all.responder, ERR));
    return all;
}

static void all_but_conn_are_closed(struct handles all)
{
    all_of_kind_say(MANAGER, all.manager, LIBCHAT_ERR_CLOSED);
    all_of_kind_say(WATCH, all.calls, LIBCHAT_ERR_CLOSED);
    all_of_kind_say(WATCH, all.pulls, LIBCHAT_ERR_CLOSED);
    all_of_kind_say(RESPONDER, all.responder, LIBCHAT_ERR_CLOSED);
}

static void closed_one_by_one(void)
{
    struct handles all = open_all();

    OK(libchat_watch_close(all.calls));
    all_of_kind_say(WATCH, all.calls, LIBCHAT_ERR_CLOSED);
    OK(libchat_watch_close(all.pulls));
    all_of_kind_say(WATCH, all.pulls, LIBCHAT_ERR_CLOSED);
    OK(libchat_responder_close(all.responder));
    all_of_kind_say(RESPONDER, all.responder, LIBCHAT_ERR_CLOSED);
    send_text(all.manager, "plan", "the manager goes on");
    OK(libchat_manager_close(all.manager, LIBCHAT_INFINITE, ERR));
    all_but_conn_are_closed(all);
    OK(libchat_manager_close(open_as(all.conn, "ben"), LIBCHAT_INFINITE, ERR));
    close_conn(all.conn);
    all_of_kind_say(CONN, all.conn, LIBCHAT_ERR_CLOSED);
    all_but_conn_are_closed(all);
}

static void closed_with_what_they_belong_to(void)
{
    struct handles all = open_all();

    OK(libchat_manager_close(all.manager, LIBCHAT_INFINITE, ERR));
    all_but_conn_are_closed(all);
    close_conn(all.conn);
    all = open_all();
    close_conn(all.conn);
    all_but_conn_are_closed(all);
    all_of_kind_say(CONN, all.conn, LIBCHAT_ERR_CLOSED);
}

/* A stop is no close: it can be repeated, and the handle is there until it is closed. */
static void stopped_is_not_closed(void)
{
    struct handles all = open_all();

    OK(libchat_watch_stop(all.pulls));
    OK(libchat_watch_stop(all.pulls));
    OK(libchat_watch_join(all.pulls, LIBCHAT_INFINITE, ERR));
    OK(libchat_watch_stop(all.pulls));
    OK(libchat_responder_stop(all.responder));
    OK(libchat_responder_stop(all.responder));
    OK(libchat_responder_join(all.responder, LIBCHAT_INFINITE, ERR));
    OK(libchat_conn_stop(all.conn, ERR));
    close_conn(all.conn);
    all_but_conn_are_closed(all);
}

static void *ask(void *argument)
{
    const libchat_reply *reply;

    EXPECT(LIBCHAT_ERR_REMOTE,
           libchat_ask(*(libchat_manager *)argument, "ana", text("?"), NULL, &reply, ERR));
    CHECK(reply == NULL);
    return NULL;
}

static void a_request_ends_with_its_responder(void)
{
    struct handles all = open_all();
    libchat_manager asker = open_as(all.conn, "ben");
    long before = counter_value(&requests);
    pthread_t thread = thread_start(ask, &asker);

    counter_wait(&requests, before + 1);
    OK(libchat_responder_close(all.responder));
    thread_join(thread); /* failed at once, not by its deadline */
    all_of_kind_say(REQUEST, request_id, LIBCHAT_ERR_INVALID_STATE);
    close_conn(all.conn);
    all_of_kind_say(REQUEST, request_id, LIBCHAT_ERR_INVALID_STATE);
}

int main(int argc, char **argv)
{
    libchat_cancel cancel;

    begin(argc, argv);
    for (int kind = CONN; kind <= REQUEST; kind++)
        all_of_kind_say((enum kind)kind, 0, LIBCHAT_ERR_INVALID_HANDLE);
    for (long n = rounds(10); n > 0; n--) {
        closed_one_by_one();
        closed_with_what_they_belong_to();
        stopped_is_not_closed();
        a_request_ends_with_its_responder();
        OK(libchat_cancel_new(&cancel, ERR));
        OK(libchat_cancel_fire(cancel));
        OK(libchat_cancel_fire(cancel));
        OK(libchat_cancel_close(cancel));
        all_of_kind_say(CANCEL, cancel, LIBCHAT_ERR_CLOSED);
    }
    return end();
}
