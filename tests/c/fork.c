/*
 * A child forked from a process that has something open is told FORKED by every function, leaves
 * what it inherited alone, and exits; the parent does not notice. A child of a process that has
 * nothing open yet is a process like any other. Point 14 of the contract.
 */
#include "verbs.h"

#include <sys/wait.h>

static libchat_conn conn;
static libchat_manager manager;
static uint64_t by_kind[REQUEST + 1];
static const libchat_message *kept;
static const libchat_events *history;
static struct counter requests = COUNTER, heard = COUNTER, sent = COUNTER, forked = COUNTER;
static atomic_bool pouring;

static void wait_for(pid_t child)
{
    int status;

    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Nothing is open: the child may do everything. It leaves the server for the parent. */
static void a_child_of_an_innocent_process(int argc, char **argv)
{
    pid_t child = fork();

    if (child != 0) {
        wait_for(child);
        return;
    }
    begin(argc, argv);
    libchat_conn own = connect_here();
    send_numbers(open_as(own, "child"), "plan", 3);
    close_conn(own);
    wait_until_threads(0);
    exit(0);
}

static void every_function_with_a_status_says_forked(void)
{
    libchat_cursor cursor = {1, 2, 3, 0};
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    char buffer[512], id[9];
    uint64_t out = 1;

    for (int n = 0; n < VERBS; n++)
        expect_verb(&verbs[n], by_kind[verbs[n].kind], LIBCHAT_ERR_FORKED, LIBCHAT_ERR_FORKED);
    options.servers = url;
    EXPECT(LIBCHAT_ERR_FORKED, libchat_connect(&options, &out, ERR));
    CHECK(out == 0);
    EXPECT(LIBCHAT_ERR_FORKED, libchat_cancel_new(&out, ERR));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_set_log(NULL, NULL, 0));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_local_server_start(folder, buffer, sizeof buffer, ERR));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_local_server_stop(folder, ERR));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_thread_short("demo", "plan", id, ERR));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_cursor_format(cursor, buffer, sizeof buffer, ERR));
    EXPECT(LIBCHAT_ERR_FORKED, libchat_cursor_parse("c1.1.2.3", &cursor, ERR));
}

/* Others may be called, and neither crash nor hang. */
static void what_has_no_status_does_nothing(void)
{
    CHECK(libchat_version()[0] != 0);
    CHECK(!strcmp(libchat_status_name(LIBCHAT_ERR_FORKED), "FORKED"));
    libchat_message_release(libchat_message_retain(kept));
    libchat_message_release(kept);
    libchat_events_release(history);
    libchat_error_free(NULL);
}

static _Noreturn void be_the_child(void)
{
    alarm((unsigned)(60 * slow())); /* the parent's is not inherited */
    every_function_with_a_status_says_forked();
    what_has_no_status_does_nothing();
    exit(0); /* with all that runs at exit */
}

static void keep_request(libchat_responder responder, const libchat_incoming *incoming,
                         void *user_data)
{
    (void)responder, (void)user_data;
    by_kind[REQUEST] = incoming->id;
    counter_add(&requests, 1);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)user_data;
    if (event->kind != LIBCHAT_EVENT_MESSAGE)
        return LIBCHAT_CONTINUE;
    if (counter_add(&heard, 1) == 1) {
        /* From a libchat thread too. */
        pid_t child = fork();
        if (child == 0)
            be_the_child();
        wait_for(child);
        counter_add(&forked, 1);
    }
    return LIBCHAT_CONTINUE;
}

/* So that a fork happens amid work, with locks held somewhere. */
static void *pour(void *argument)
{
    (void)argument;
    for (long n = 0; atomic_load(&pouring); n++) {
        OK(libchat_send_async(manager, "plan", text("x"), NULL, count_sent, &sent, ERR));
        counter_wait(&sent, n - 100);
    }
    return NULL;
}

static void *ask(void *argument)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *reply;

    (void)argument;
    options.timeout_ms = 600000;
    OK(libchat_ask(manager, "ana", text("?"), &options, &reply, ERR));
    libchat_reply_release(reply);
    return NULL;
}

static void open_everything(void)
{
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch calls;

    by_kind[CONN] = conn = connect_here();
    by_kind[MANAGER] = manager = open_as(conn, "ana");
    OK(libchat_watch_all(manager, NULL, &by_kind[WATCH], ERR));
    watching.on_event = on_event;
    OK(libchat_watch_thread(manager, "plan", &watching, &calls, ERR));
    responding.on_request = keep_request;
    responding.answer_timeout_ms = 600000;
    OK(libchat_answer(manager, &responding, &by_kind[RESPONDER], ERR));
    OK(libchat_cancel_new(&by_kind[CANCEL], ERR));
    history = read_all(manager, "plan");
    kept = libchat_message_retain(libchat_events_get(history, 0)->message);
}

int main(int argc, char **argv)
{
    a_child_of_an_innocent_process(argc, argv);
    begin(argc, argv);
    open_everything();
    CHECK_EQ(3, libchat_events_len(history));
    pthread_t asker = thread_start(ask, NULL);
    counter_wait(&requests, 1);
    atomic_store(&pouring, true);
    pthread_t pourer = thread_start(pour, NULL);
    for (long n = rounds(30); n > 0; n--) {
        long before = counter_value(&sent);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            be_the_child();
        wait_for(child);
        counter_wait(&sent, before + 1); /* the parent goes on */
    }
    counter_wait(&forked, 1);
    atomic_store(&pouring, false);
    thread_join(pourer);

    /* What the children were refused works here. */
    OK(libchat_request_reply(by_kind[REQUEST], text("here"), ERR));
    thread_join(asker);
    CHECK_TEXT("0", libchat_message_body(kept));
    long before = counter_value(&heard);
    send_text(manager, "plan", "still the parent's");
    counter_wait(&heard, before + 1);
    libchat_message_release(kept);
    libchat_events_release(history);
    OK(libchat_cancel_close(by_kind[CANCEL]));
    close_conn(conn);
    return end();
}
