/*
 * The log callback: records come without secrets and bodies; after set_log(NULL) has returned none
 * runs; from inside one everything that blocks is refused, and what it causes to be logged is
 * dropped. Point 12 of the contract.
 */
#include "support.h"

enum { TRACE = 5 };

static const char *const body = "words that must not be in a log";
static char password[128];
static struct counter records = COUNTER, held = COUNTER, released = COUNTER;
static atomic_bool hold_one, removed, refuses;
static atomic_int inside;
static _Thread_local int depth;
static libchat_manager manager;
static libchat_watch stopped; /* from inside the callback */

static bool contains(libchat_bytes haystack, const char *needle)
{
    return memmem(haystack.data, haystack.len, needle, strlen(needle)) != NULL;
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt, (void)user_data;
    check_error(status, error);
    CHECK_EQ(LIBCHAT_OK, status);
}

/* Whatever blocks would wait for the thread that logs. */
static void everything_is_refused(void)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    const libchat_threads *threads;
    libchat_conn conn;

    options.servers = url;
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_set_log(NULL, NULL, 0));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_connect(&options, &conn, ERR));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK,
           libchat_send(manager, "plan", text(body), NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_WOULD_DEADLOCK, libchat_list_threads(manager, NULL, &threads, ERR));
    CHECK(conn == 0 && threads == NULL);
}

/* The record may come under a lock of libchat's: then this is refused too. It may not hang. */
static void works_or_is_refused(const char *call, libchat_status status)
{
    expect(__FILE__, __LINE__, call,
           status == LIBCHAT_ERR_WOULD_DEADLOCK ? status : LIBCHAT_OK, status);
}

static void what_does_not_wait_returns(void)
{
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);

    works_or_is_refused("manager_stats", libchat_manager_stats(manager, &stats, ERR));
    works_or_is_refused("send_async", libchat_send_async(manager, "other", text(body), NULL,
                                                         on_sent, NULL, ERR));
    works_or_is_refused("watch_stop", libchat_watch_stop(stopped));
}

static void on_log(int32_t level, const char *target, libchat_bytes record, void *user_data)
{
    CHECK(user_data == &records);
    CHECK(!atomic_load(&removed));
    CHECK(level >= 1 && level <= TRACE);
    CHECK(target && target[0]);
    CHECK(record.data != NULL);
    CHECK(!contains(record, password) && !contains(record, body));
    CHECK_EQ(1, ++depth); /* what a log call logs is dropped */
    atomic_fetch_add(&inside, 1);
    if (atomic_load(&refuses)) {
        everything_is_refused();
        what_does_not_wait_returns();
    }
    if (atomic_exchange(&hold_one, false)) {
        counter_add(&held, 1);
        counter_wait(&released, 1);
    }
    atomic_fetch_sub(&inside, 1);
    depth--;
    counter_add(&records, 1);
}

/* Makes something that is logged: it reads what is no envelope. */
static void *disturb(void *argument)
{
    (void)argument;
    libchat_events_release(read_all(manager, "plan"));
    return NULL;
}

static atomic_int remover;

static void *remove_log(void *argument)
{
    (void)argument;
    atomic_store(&remover, gettid());
    OK(libchat_set_log(NULL, NULL, 0));
    CHECK_EQ(0, atomic_load(&inside));
    atomic_store(&removed, true);
    return NULL;
}

/* Returns after the last log call that was running has returned. */
static void a_removed_log_does_not_run(void)
{
    atomic_store(&hold_one, true);
    pthread_t disturber = thread_start(disturb, NULL); /* held up, like all that is logged */
    counter_wait(&held, 1);
    pthread_t thread = thread_start(remove_log, NULL);
    while (!atomic_load(&remover))
        sched_yield();
    wait_until_asleep(atomic_load(&remover));
    CHECK(!atomic_load(&removed));
    counter_add(&released, 1);
    thread_join(thread);
    CHECK(atomic_load(&removed));
    thread_join(disturber);
    disturb(NULL);
}

static void *replace_all_the_time(void *argument)
{
    (void)argument;
    for (long n = rounds(2000); n > 0; n--) {
        OK(libchat_set_log(on_log, &records, TRACE));
        OK(libchat_set_log(NULL, NULL, 0));
        CHECK_EQ(0, atomic_load(&inside));
    }
    return NULL;
}

/* No more than was asked for. */
static void only_errors(int32_t level, const char *target, libchat_bytes record, void *user_data)
{
    (void)target, (void)record, (void)user_data;
    CHECK_EQ(1, level);
}

/* A message that is no envelope, read by everything that reads. */
static void store_what_is_logged(void)
{
    const libchat_events *events;
    const libchat_threads *threads;
    libchat_watch live, past;
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);

    options.start = LIBCHAT_START_ALL;
    OK(libchat_watch_all(manager, NULL, &live, ERR));
    OK(libchat_watch_all(manager, &options, &past, ERR));
    raw_store("plan", "no envelope");
    next_of(live, LIBCHAT_EVENT_MALFORMED, &events);
    libchat_events_release(events);
    next_of(past, LIBCHAT_EVENT_MALFORMED, &events);
    libchat_events_release(events);
    OK(libchat_list_threads(manager, NULL, &threads, ERR));
    libchat_threads_release(threads);
    OK(libchat_watch_close(live));
    OK(libchat_watch_close(past));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    CHECK(sscanf(url, "nats://%*[^:]:%127[^@]", password) == 1);
    OK(libchat_set_log(on_log, &records, TRACE)); /* before anything is open */
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    send_text(manager, "plan", body);
    OK(libchat_watch_all(manager, NULL, &stopped, ERR));
    atomic_store(&refuses, true);
    store_what_is_logged();
    disturb(NULL);
    counter_wait(&records, 1);
    atomic_store(&refuses, false);
    a_removed_log_does_not_run();

    /* Removed and set again while records come. */
    atomic_store(&removed, false);
    pthread_t thread = thread_start(replace_all_the_time, NULL);
    for (long n = rounds(200); n > 0; n--)
        disturb(NULL);
    thread_join(thread);
    OK(libchat_set_log(only_errors, NULL, 1));
    disturb(NULL);
    OK(libchat_set_log(NULL, NULL, 0));
    OK(libchat_set_log(NULL, NULL, 0));
    figure("%ld log records", counter_value(&records));
    close_conn(conn);
    return end();
}
