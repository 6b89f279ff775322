/*
 * Every function that takes a handle, callable by number, for tests that hand out handles which
 * must be refused. Each checks that nothing but a status and an error comes back.
 */
#ifndef VERBS_H
#define VERBS_H
#include "support.h"

enum kind { CONN, MANAGER, WATCH, RESPONDER, CANCEL, REQUEST };

struct verb {
    const char *name;
    enum kind kind;
    bool closes; /* of 0 or a closed handle: OK */
    libchat_status (*call)(uint64_t handle);
};

/* No callback may ever come of a call that failed. */
static inline libchat_flow never_event(libchat_watch watch, const libchat_event *event, void *data)
{
    (void)watch, (void)event, (void)data;
    fail(__FILE__, __LINE__, "on_event of a call that failed", NULL);
}

static inline void never_done(uint64_t handle, libchat_status why, const libchat_error *error,
                              void *data)
{
    (void)handle, (void)why, (void)error, (void)data;
    fail(__FILE__, __LINE__, "on_done of a call that failed", NULL);
}

static inline void never_sent(libchat_status status, const libchat_receipt *receipt,
                              const libchat_error *error, void *data)
{
    (void)status, (void)receipt, (void)error, (void)data;
    fail(__FILE__, __LINE__, "on_sent of a call that failed", NULL);
}

static inline void never_request(libchat_responder responder, const libchat_incoming *incoming,
                                 void *data)
{
    (void)responder, (void)incoming, (void)data;
    fail(__FILE__, __LINE__, "on_request of a call that failed", NULL);
}

/* `call` may use `out`, of this type, which must be 0 afterwards. */
#define VERB(name, type, call)                                                                    \
    static inline libchat_status name(uint64_t h)                                                 \
    {                                                                                             \
        type out;                                                                                 \
        type zero;                                                                                \
        memset(&out, 0xa5, sizeof out);                                                           \
        memset(&zero, 0, sizeof zero);                                                            \
        libchat_status status = (call);                                                           \
        CHECK(status == LIBCHAT_OK || !memcmp(&out, &zero, sizeof out));                          \
        return status;                                                                            \
    }
/* The same for functions that give a status only. */
#define PLAIN(name, call)                                                                         \
    static inline libchat_status name(uint64_t h)                                                 \
    {                                                                                             \
        return (call);                                                                            \
    }

static const libchat_manager_options verb_opening = {
    .struct_size = sizeof(libchat_manager_options), .agent_id = "ana", .project = "demo"};
static const libchat_watch_options verb_watching = {.struct_size = sizeof(libchat_watch_options),
                                                    .on_event = never_event,
                                                    .on_done = never_done};
static const libchat_respond_options verb_responding = {
    .struct_size = sizeof(libchat_respond_options),
    .on_request = never_request,
    .on_done = never_done};

PLAIN(verb_conn_stop, libchat_conn_stop(h, ERR))
PLAIN(verb_conn_close, libchat_conn_close(h, 1000, ERR))
VERB(verb_open, libchat_manager, libchat_open(h, &verb_opening, &out, ERR))
PLAIN(verb_manager_close, libchat_manager_close(h, 1000, ERR))
static inline libchat_status verb_send(uint64_t h)
{
    libchat_receipt out;
    libchat_status status;

    memset(&out, 0xa5, sizeof out);
    status = libchat_send(h, "plan", text("x"), NULL, &out, ERR);
    /* The id is there on every failure but those of the arguments. */
    CHECK(memchr(out.id, 0, sizeof out.id) != NULL);
    CHECK(status == LIBCHAT_OK || (!out.cursor.seq && !out.duplicate));
    return status;
}
PLAIN(verb_send_async,
      libchat_send_async(h, "plan", text("x"), NULL, never_sent, NULL, ERR))
VERB(verb_watch_thread, libchat_watch,
     libchat_watch_thread(h, "plan", &verb_watching, &out, ERR))
VERB(verb_watch_all, libchat_watch, libchat_watch_all(h, &verb_watching, &out, ERR))
VERB(verb_watch_pattern, libchat_watch,
     libchat_watch_pattern(h, "*", &verb_watching, &out, ERR))
VERB(verb_history, const libchat_events *, libchat_history(h, "plan", NULL, &out, ERR))
VERB(verb_list_threads, const libchat_threads *, libchat_list_threads(h, NULL, &out, ERR))
VERB(verb_threads_for_agent, const libchat_threads *,
     libchat_threads_for_agent(h, "ana", 10, NULL, &out, ERR))
VERB(verb_request, const libchat_reply *, libchat_request(h, "a.b", text("x"), NULL, &out, ERR))
VERB(verb_ask, const libchat_reply *, libchat_ask(h, "ben", text("x"), NULL, &out, ERR))
VERB(verb_respond, libchat_responder, libchat_respond(h, "a.b", &verb_responding, &out, ERR))
VERB(verb_answer, libchat_responder, libchat_answer(h, &verb_responding, &out, ERR))
static inline libchat_status verb_manager_stats(uint64_t h)
{
    libchat_stats out = LIBCHAT_INIT(libchat_stats);

    return libchat_manager_stats(h, &out, ERR);
}
VERB(verb_watch_take, const libchat_events *, libchat_watch_take(h, 1, 0, &out, ERR))
static inline libchat_status verb_watch_fd(uint64_t h)
{
    ptrdiff_t out = 77;
    libchat_status status = libchat_watch_fd(h, &out, ERR);

    CHECK(status == LIBCHAT_OK || out == 0 || out == -1);
    return status;
}
PLAIN(verb_watch_stop, libchat_watch_stop(h))
PLAIN(verb_watch_join, libchat_watch_join(h, 0, ERR))
PLAIN(verb_watch_close, libchat_watch_close(h))
PLAIN(verb_responder_stop, libchat_responder_stop(h))
PLAIN(verb_responder_join, libchat_responder_join(h, 0, ERR))
PLAIN(verb_responder_close, libchat_responder_close(h))
PLAIN(verb_cancel_fire, libchat_cancel_fire(h))
PLAIN(verb_cancel_close, libchat_cancel_close(h))
PLAIN(verb_request_reply, libchat_request_reply(h, text("x"), ERR))
PLAIN(verb_request_fail, libchat_request_fail(h, "code", "text", ERR))

static const struct verb verbs[] = {
    {"conn_stop", CONN, false, verb_conn_stop},
    {"conn_close", CONN, true, verb_conn_close},
    {"open", CONN, false, verb_open},
    {"manager_close", MANAGER, true, verb_manager_close},
    {"send", MANAGER, false, verb_send},
    {"send_async", MANAGER, false, verb_send_async},
    {"watch_thread", MANAGER, false, verb_watch_thread},
    {"watch_all", MANAGER, false, verb_watch_all},
    {"watch_pattern", MANAGER, false, verb_watch_pattern},
    {"history", MANAGER, false, verb_history},
    {"list_threads", MANAGER, false, verb_list_threads},
    {"threads_for_agent", MANAGER, false, verb_threads_for_agent},
    {"request", MANAGER, false, verb_request},
    {"ask", MANAGER, false, verb_ask},
    {"respond", MANAGER, false, verb_respond},
    {"answer", MANAGER, false, verb_answer},
    {"manager_stats", MANAGER, false, verb_manager_stats},
    {"watch_take", WATCH, false, verb_watch_take},
    {"watch_fd", WATCH, false, verb_watch_fd},
    {"watch_stop", WATCH, false, verb_watch_stop},
    {"watch_join", WATCH, false, verb_watch_join},
    {"watch_close", WATCH, true, verb_watch_close},
    {"responder_stop", RESPONDER, false, verb_responder_stop},
    {"responder_join", RESPONDER, false, verb_responder_join},
    {"responder_close", RESPONDER, true, verb_responder_close},
    {"cancel_fire", CANCEL, false, verb_cancel_fire},
    {"cancel_close", CANCEL, true, verb_cancel_close},
    {"request_reply", REQUEST, false, verb_request_reply},
    {"request_fail", REQUEST, false, verb_request_fail},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* Calls a verb and wants one of two answers. */
static inline void expect_verb(const struct verb *verb, uint64_t handle, libchat_status wanted,
                               libchat_status or_this)
{
    libchat_status status = verb->call(handle);
    char why[160];

    expect(__FILE__, __LINE__, verb->name, status, status); /* the error fits the status */
    if (status == wanted || status == or_this)
        return;
    snprintf(why, sizeof why, "%s of handle %" PRIx64 ", not %s or %s",
             libchat_status_name(status), handle, libchat_status_name(wanted),
             libchat_status_name(or_this));
    fail(__FILE__, __LINE__, verb->name, why);
}

#endif
