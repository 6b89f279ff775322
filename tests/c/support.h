/*
 * What the C tests share: checks that say what failed, a server of their own, and ways to wait.
 *
 * A test program gets a scratch folder as its only argument. It prints `figure: ...` lines and
 * failures, nothing else, and exits with 0, or with 1 at the first failed check. Nothing sleeps in
 * the hope that something has happened by then: what is waited for is an event, and a program that
 * hangs is ended by its alarm.
 */
#ifndef SUPPORT_H
#define SUPPORT_H
#define _GNU_SOURCE /* thread names, waitid, pipe2 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <libchat.h>

/* The scratch folder, and the address of the server in it, with user and password. */
extern const char *folder;
extern char url[512];

/* Starts the server. */
void begin(int argc, char **argv);
/* Starts the alarm only. */
void begin_without_server(int argc, char **argv);
/* Waits until libchat has no thread left, stops the server, and gives what main returns. */
int end(void);

/* Checks. */

#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition, NULL))
#define CHECK_EQ(wanted, found)                                                                   \
    check_eq(__FILE__, __LINE__, #found, (long long)(wanted), (long long)(found))
#define CHECK_TEXT(wanted, found) check_text(__FILE__, __LINE__, #found, (wanted), (found))
/* A call of libchat and the status it must have. Its last argument, where it takes one, is ERR:
 * then what the call says about the error must fit the status, in every call of every test. */
#define EXPECT(wanted, call) expect(__FILE__, __LINE__, #call, (wanted), (call))
#define OK(call) EXPECT(LIBCHAT_OK, call)
#define ERR fresh_error()

/* What the last EXPECT of this thread was told about a failure; empty after a success. */
struct failure {
    libchat_status code;
    char text[1024], hint[512], id[LIBCHAT_ID_MAX + 1], remote_code[80];
    uint32_t server_code;
    bool retryable;
};
extern _Thread_local struct failure failure;

_Noreturn void fail(const char *file, int line, const char *what, const char *why);
void check_eq(const char *file, int line, const char *what, long long wanted, long long found);
void check_text(const char *file, int line, const char *what, const char *wanted,
                libchat_bytes found);
libchat_status expect(const char *file, int line, const char *call, libchat_status wanted,
                      libchat_status found);
libchat_error **fresh_error(void);
/* The same for an error that a callback was given: NULL exactly where `status` is no failure. */
void check_error(libchat_status status, const libchat_error *error);

/* For whoever wonders where a program hangs. */
void note_place(const char *file, int line, const char *what);

/* Waiting. */

/* A number that others wait for. */
struct counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    long value;
};
#define COUNTER {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
long counter_add(struct counter *counter, long more);
void counter_wait(struct counter *counter, long at_least);
long counter_value(struct counter *counter);
/* An on_sent for sends that must be stored: counts them in `counter`, if that is not NULL. */
void count_sent(libchat_status status, const libchat_receipt *receipt, const libchat_error *error,
                void *counter);

pthread_t thread_start(void *(*run)(void *), void *argument);
void thread_join(pthread_t thread);
/* Waits until a thread of this process sleeps in the kernel. */
void wait_until_asleep(pid_t thread);
/* Waits until as many threads of this process are libchat's. */
void wait_until_threads(long wanted);
bool is_callback_thread(void);
double now_ms(void);

/* How many times slower than natively: more under valgrind, by LIBCHAT_TEST_SLOW. */
long slow(void);
/* `full` rounds, fewer where all is slow. */
long rounds(long full);
bool is_long(void);
void figure(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What nearly every test does. */

libchat_conn connect_here(void);
/* `agent` in project demo. */
libchat_manager open_as(libchat_conn conn, const char *agent);
void close_conn(libchat_conn conn);
libchat_bytes text(const char *body);
libchat_receipt send_text(libchat_manager manager, const char *thread, const char *body);
/* The bodies "0", "1", ... */
void send_numbers(libchat_manager manager, const char *thread, long count);
/* The body of a message made by send_numbers. */
long number_of(const libchat_message *message);
/* How many messages are stored in a thread. */
size_t stored(libchat_manager manager, const char *thread);
/* All of the thread; release it. */
const libchat_events *read_all(libchat_manager manager, const char *thread);
/* A pull watch's next event of this kind, others passed over; release what it is in. */
const libchat_event *next_of(libchat_watch watch, libchat_event_kind kind,
                             const libchat_events **in);

/* The server as a process. After SIGSTOP all of its threads stand; after SIGKILL it is gone. */
pid_t server_pid(void);
void server_signal(int number);
/* Bytes that lie at a frozen server's door: written by us, not read by it. */
long server_unread(void);
/* Plain NATS behind libchat's back: sends a request and copies the answer. */
void raw_request(const char *subject, const char *payload, char *answer, size_t size);
/* Stores `payload` under chat.demo.<short of the thread>; gives its sequence. */
long raw_store(const char *thread, const char *payload);

#endif
