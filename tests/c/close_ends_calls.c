/*
 * Calls that wait for a server that does not answer end with their manager or their connection, be
 * it frozen or gone: none of them holds up the close until its own deadline. Point 10.
 */
#include "verbs.h"

enum { LONG_MS = 100000, SOON_MS = 4000 };

static libchat_manager manager;

static libchat_status send_one(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);

    options.timeout_ms = LONG_MS;
    return libchat_send(manager, "plan", text("x"), &options, NULL, ERR);
}

static libchat_status read_history(void)
{
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    const libchat_events *out;

    options.timeout_ms = LONG_MS;
    return libchat_history(manager, "plan", &options, &out, ERR);
}

static libchat_status list_threads(void)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_threads *out;

    options.timeout_ms = LONG_MS;
    return libchat_list_threads(manager, &options, &out, ERR);
}

static libchat_status threads_for_agent(void)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_threads *out;

    options.timeout_ms = LONG_MS;
    return libchat_threads_for_agent(manager, "ana", 10, &options, &out, ERR);
}

static libchat_status request(void)
{
    libchat_call_options options = LIBCHAT_INIT(libchat_call_options);
    const libchat_reply *out;

    options.timeout_ms = LONG_MS;
    return libchat_request(manager, "demo.somewhere", text("x"), &options, &out, ERR);
}

static libchat_status watch(void)
{
    libchat_watch_options options = verb_watching;
    libchat_watch out;

    options.timeout_ms = LONG_MS;
    return libchat_watch_all(manager, &options, &out, ERR);
}

static libchat_status answer(void)
{
    libchat_respond_options options = verb_responding;
    libchat_responder out;

    options.timeout_ms = LONG_MS;
    return libchat_answer(manager, &options, &out, ERR);
}

static const struct {
    const char *name;
    libchat_status (*call)(void);
} calls[] = {{"send", send_one},
             {"history", read_history},
             {"list_threads", list_threads},
             {"threads_for_agent", threads_for_agent},
             {"request", request},
             {"watch", watch},
             {"answer", answer}};
enum { CALLS = sizeof calls / sizeof *calls };

struct attempt {
    int call;
    atomic_int thread;
};

static void *run(void *argument)
{
    struct attempt *attempt = argument;
    const char *name = calls[attempt->call].name;

    atomic_store(&attempt->thread, gettid());
    libchat_status status = calls[attempt->call].call();
    expect(__FILE__, __LINE__, name, status, status);
    if (status != LIBCHAT_ERR_CLOSED && status != LIBCHAT_ERR_OUTCOME_UNKNOWN)
        fail(__FILE__, __LINE__, name, libchat_status_name(status));
    if (status == LIBCHAT_ERR_OUTCOME_UNKNOWN && strcmp(name, "send") != 0)
        fail(__FILE__, __LINE__, name, "OUTCOME_UNKNOWN of what stores nothing");
    return NULL;
}

static void close_ends_calls(int server, bool the_manager)
{
    libchat_conn conn = connect_here();
    struct attempt attempts[CALLS];
    pthread_t threads[CALLS];

    manager = open_as(conn, "ana");
    server_signal(server);
    for (int n = 0; n < CALLS; n++) {
        attempts[n] = (struct attempt){.call = n};
        threads[n] = thread_start(run, &attempts[n]);
    }
    for (int n = 0; n < CALLS; n++) {
        while (!atomic_load(&attempts[n].thread))
            sched_yield();
        wait_until_asleep(atomic_load(&attempts[n].thread));
    }
    if (the_manager)
        OK(libchat_manager_close(manager, (uint32_t)(SOON_MS * slow()), ERR));
    OK(libchat_conn_close(conn, (uint32_t)(SOON_MS * slow()), ERR));
    for (int n = 0; n < CALLS; n++)
        thread_join(threads[n]);
    if (server == SIGSTOP)
        server_signal(SIGCONT);
    else
        OK(libchat_local_server_start(folder, url, sizeof url, ERR));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    for (int n = 0; n < 2; n++) {
        close_ends_calls(SIGSTOP, n == 0);
        close_ends_calls(SIGKILL, n == 0);
    }
    return end();
}
